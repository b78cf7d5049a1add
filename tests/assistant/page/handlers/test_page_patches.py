"""What an event sends: the blocks that a tab does not have, however long the conversation is."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.fake_chat import FakeChat
from helpers.handler_steps import collect, event, request, say

from assistant.chat.library import ConversationTurn
from assistant.page.chat_events import ChatHandlers
from assistant.page.handlers.page_update import SKIP, PageUpdate
from assistant.page.handlers.patches import in_patches
from assistant.page.session.chat_session import ChatSession
from assistant.page.session.sent_blocks import SentBlocks
from assistant.page.views import conversation

MOST = 20_000
"""Bytes that an event may move."""


def size(update: PageUpdate) -> int:
    """Bytes of an update as JSON, as Gradio sends it."""
    return len(
        json.dumps([part for part in update if part is not SKIP], default=str, ensure_ascii=False).encode()
    )


class Tab:
    """What a browser does with the updates of its conversation."""

    def __init__(self, handlers: ChatHandlers, memory: object) -> None:
        self.session, self._html = ChatSession(), dict[str, str]()
        self.shown: list[str] = []
        self.draw(in_patches(handlers.opening.open)(self.session, request(), memory))

    def draw(self, update: PageUpdate) -> PageUpdate:
        if update.conversation is not SKIP:
            self._html |= update.conversation["html"]
            self.shown = [self._html[key] for key in update.conversation["order"]]
        return update


@pytest.fixture
def long(chat: FakeChat, handlers: ChatHandlers, monkeypatch: pytest.MonkeyPatch) -> Tab:
    """A tab with a conversation of 300 messages, beside twenty others. The first 298 are not in the store."""
    rater, history = "rater-1", chat.library.history
    conversations = [
        SimpleNamespace(id=f"c{number}", title=f"conversation {number}", updated_at=datetime.now(UTC))
        for number in range(20)
    ]
    earlier = [
        ConversationTurn(
            id=f"{number:032x}",
            parent_id=f"{number - 1:032x}" if number else None,
            role="assistant" if number % 2 else "user",
            content=f"Message {number} of many words. " * 20,
            thought="2 and 2 make 4" if number % 2 else None,
            version="v1" if number % 2 else None,
            finish_reason="end" if number % 2 else None,
            thought_seconds=0.5,
            rating=0,
            reasons=(),
            comment="",
        )
        for number in range(298)
    ]
    session = ChatSession(browser=rater)
    say(handlers, session, "the last question")
    own = chat.library.conversations
    monkeypatch.setattr(chat.library, "history", lambda *about: [*earlier, *history(*about)])
    monkeypatch.setattr(chat.library, "conversations", lambda *about: [*own(*about), *conversations])
    tab = Tab(handlers, session.memory())
    assert len(tab.session.turns) == len(tab.shown) == 300
    return tab


def test_in_a_conversation_of_300_messages_no_event_moves_more_than_20_kb(
    handlers: ChatHandlers, long: Tab
) -> None:
    session, sizes = long.session, dict[str, int]()

    def act(handler: Callable[..., Any], *arguments: Any) -> None:
        result = in_patches(handler)(*arguments)
        updates = [result] if isinstance(result, PageUpdate) else collect(result)
        for update in updates:
            long.draw(update)
        # Of a stream only the first update is sent whole; of each later one, the differences.
        sizes[handler.__name__] = max(size(update) for update in updates)

    last = session.turns[-1].id
    act(handlers.rating.rate_reply, session, event(turn=last, value="1"))
    act(handlers.rating.finish, session, event(2, turn=last, value="1", reasons=["clear"], text="yes"))
    act(handlers.rating.correct, session, event(turn=last))
    act(handlers.branching.cancel, session)
    act(handlers.branching.edit, session, event(turn=session.turns[-2].id))
    act(handlers.conversation_list.ask_rename, session, event(turn=session.conversation))
    act(handlers.conversation_list.rename, session, event(turn=session.conversation, text="Renamed"))
    act(handlers.opening.check_for_changes, session)
    act(handlers.sending.send, "and another one", session)
    act(handlers.sending.retry, session, event(turn=session.turns[-1].id))
    act(handlers.branching.show_sibling, session, event(turn=session.turns[-1].siblings[0]))
    act(handlers.branching.undo, session)
    assert {name: moved for name, moved in sizes.items() if moved > MOST} == {}
    assert "".join(long.shown) == "".join(conversation.conversation(session))


def test_a_tab_that_misses_something_gets_everything(handlers: ChatHandlers, session: ChatSession) -> None:
    for text in ("one", "two"):
        collect(in_patches(handlers.sending.send)(text, session))
    last = session.turns[-1].id
    rated = in_patches(handlers.rating.rate_reply)(session, event(turn=last, value="1"))
    assert len(rated.conversation["order"]) == 4 and len(rated.conversation["html"]) == 1
    assert "You said: two" in str(rated.conversation["html"]) and rated.header is SKIP
    for everything in (
        in_patches(handlers.opening.send_all)(session),
        in_patches(handlers.opening.open)(session, request(), session.memory()),
    ):
        assert list(everything.conversation["html"]) == everything.conversation["order"]
    assert everything.header is not SKIP


def test_two_blocks_that_look_alike_have_keys_of_their_own() -> None:
    sent = SentBlocks()
    update = sent.update(["a", "b", "a"], {}, sent.shown)
    assert len(set(update["order"])) == 3
    assert [update["html"][key] for key in update["order"]] == ["a", "b", "a"]


def test_what_is_skipped_within_one_event_is_in_its_last_update() -> None:
    sent = SentBlocks()
    known = sent.shown
    sent.update(["a"], {}, known)
    assert set(sent.update(["a", "b"], {}, known)["html"].values()) == {"a", "b"}
    assert set(sent.update(["a", "c"], {}, sent.shown)["html"].values()) == {"c"}

"""Replies that go on while no tab shows them, and tabs that find them again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from helpers.fake_chat import FakeChat
from helpers.handler_steps import collect, event, request, shown

from assistant.bases.built_in_cards import STARTER_CARD
from assistant.page.chat_events import ChatHandlers
from assistant.page.handlers.page_update import PageUpdate
from assistant.page.i18n.languages import ENGLISH
from assistant.page.session import running_replies
from assistant.page.session.chat_session import ChatSession


async def begun(handlers: ChatHandlers, session: ChatSession, mode: str = "one") -> Any:
    """The screens of a slow reply of which some words are written."""
    screens = handlers.sending.send("slow", session, None, False, mode)
    async for screen in screens:
        if "tick" in shown(screen):
            break
    return screens


@pytest.mark.parametrize("mode", ["one", "resample"])
def test_a_tab_that_is_reloaded_in_mid_reply_follows_it_to_its_end(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession, mode: str
) -> None:
    async def run() -> list[PageUpdate]:
        screens = await begun(handlers, session, mode)
        await screens.aclose()
        again = ChatSession()
        opened = handlers.opening.open(again, request(), session.memory())
        followed = [opened]
        async for screen in handlers.sending.follow(again):
            assert len(followed) > 1 or not chat.closed.is_set()
            followed.append(screen)
            await handlers.sending.stop(again)
        assert not again.busy
        return followed

    opened, started, *_, last = asyncio.run(run())
    assert "data-unfollowed" in shown(opened) and "tick" in shown(opened)
    assert shown(opened).count("slow</div>") == 1
    assert opened.stop.visible and not opened.send.visible
    assert "data-unfollowed" not in shown(started)
    if mode == "one":
        assert "v1 · stopped" in shown(last)
    else:
        assert ENGLISH.choices["left"] in shown(last)


def test_a_reply_that_no_tab_shows_is_stopped_after_a_while(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_replies, "UNFOLLOWED_SECONDS", 0.05)

    async def run() -> None:
        screens = await begun(handlers, session)
        await screens.aclose()
        assert not chat.finished
        reply = handlers.sessions.running.of(session.conversation)
        assert reply is not None
        await asyncio.wait([reply.task], timeout=10)

    asyncio.run(run())
    assert list(chat.finished.values()) == ["stopped"]
    assert handlers.sessions.running.of(session.conversation) is None


def test_a_reply_goes_on_while_its_tab_shows_another_conversation(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    async def run() -> tuple[PageUpdate, PageUpdate]:
        screens = await begun(handlers, session)
        conversation = session.conversation
        new = handlers.branching.new_conversation(session)
        assert [screen async for screen in screens] == []
        assert not chat.finished and session.conversation is None
        back = handlers.conversation_list.open_conversation(session, event(turn=conversation))
        async for _ in handlers.sending.follow(session):
            await handlers.sending.stop(session)
        return new, back

    new, back = asyncio.run(run())
    assert STARTER_CARD.texts["en"].greeting in shown(new)
    assert "tick" in shown(back)
    assert list(chat.finished.values()) == ["stopped"]


def test_deleting_a_conversation_ends_its_reply_first(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    async def run() -> None:
        screens = await begun(handlers, session)
        await handlers.conversation_list.delete(session, event(turn=session.conversation))
        assert [screen async for screen in screens] == []

    asyncio.run(run())
    assert not chat.turns and chat.store.verify() == []


def test_a_thief_cannot_follow_somebody_elses_reply(handlers: ChatHandlers, session: ChatSession) -> None:
    async def run() -> PageUpdate:
        screens = await begun(handlers, session)
        thief = ChatSession()
        opened = handlers.opening.open(thief, request(), {**session.memory(), "rater": "rater-2"})
        await handlers.sending.stop(session)
        async for _ in screens:
            pass
        return opened

    assert "tick" not in shown(asyncio.run(run()))


def test_two_answers_still_ask_for_a_choice_after_a_reload_until_one_is_made(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    collect(handlers.sending.send("which?", session, None, False, "thinking"))
    assert session.pair is not None
    left, right = session.pair.left_id, session.pair.right_id
    memory = session.memory()
    again = ChatSession()
    opened = handlers.opening.open(again, request(), memory)
    assert ENGLISH.choices["left"] in shown(opened)
    assert shown(opened).count("You said: which?") == 2
    chosen = handlers.rating.choose(again, event(value="right"))
    assert ENGLISH.with_thinking in shown(chosen) and chosen.memory["pair"] is None
    [(comparison, *_)] = chat.store.comparisons()
    assert (comparison.left_reply_id, comparison.right_reply_id, comparison.how) == (left, right, "thinking")
    for stored in ("x", ["thinking", 1, 2], ["no", left, right], ["thinking", left, "other"]):
        handlers.opening.open(other := ChatSession(), request(), {**memory, "pair": stored})
        assert other.pair is None and len(other.turns) == 2

"""Texts from people, models, versions and translations never become HTML, whatever characters they have."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest

from assistant.auth.accounts import Account
from assistant.bases.built_in_cards import neutral_card
from assistant.chat.library import ConversationTurn
from assistant.chat.reply_stream import Update
from assistant.chat.token_steps import Alternative, Step
from assistant.page.handlers.page_update import file_download
from assistant.page.i18n.languages import ENGLISH, LANGUAGES
from assistant.page.session.chat_session import AnswerPair, ChatSession, TokenView
from assistant.page.session.preferences import Preferences
from assistant.page.views import conversation, dialogs, sidebar, token_panel
from assistant.page.views.markdown import difference
from assistant.sampling_settings import Sampling

HOSTILE = """</textarea></script>'"><hostile x-hostile='1'>&lt;"""


class Elements(HTMLParser):
    """Names of all elements and attributes of some HTML, and all its texts and attribute values."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.texts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(name for name, _ in attrs)}
        self.texts += [value for _, value in attrs if value is not None]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def hostile(value: Any) -> Any:
    """`value` with HOSTILE after each text in it; places for `str.format` stay."""
    if isinstance(value, dict):
        return {key: hostile(text) for key, text in value.items()}
    return tuple(map(hostile, value)) if isinstance(value, tuple) else f"{value}{HOSTILE}"


def turn(id: str, role: str, **fields: Any) -> ConversationTurn:
    """A turn whose every text is hostile."""
    other = {"thought": None, "finish_reason": None, "thought_seconds": 1.0, "rating": 0, "reasons": ()}
    texts = {"content": f"x {HOSTILE}", "version": f"v1{HOSTILE}", "comment": HOSTILE}
    return ConversationTurn(id=id + HOSTILE, parent_id=None, role=role, **{**other, **texts, **fields})


NOW = datetime(2026, 11, 29, tzinfo=UTC)


def update(**fields: Any) -> Update:
    """A reply whose every text is hostile."""
    texts = dict.fromkeys(("reply_id", "conversation", "thought", "answer", "version"), HOSTILE)
    other = {"thinking": False, "finish_reason": None, "seconds": 1.0, "thought_seconds": None}
    return Update(**{**texts, **other, **fields})


def sessions() -> Iterator[ChatSession]:
    """A tab in every state in which its conversation or its list looks different."""
    reply = turn(
        "r", "assistant", thought=HOSTILE, correction=HOSTILE, siblings=("a", f"r{HOSTILE}", HOSTILE)
    )
    turns = [turn("s", "system"), turn("m", "user", siblings=(HOSTILE, f"m{HOSTILE}")), reply]
    states: list[dict[str, Any]] = [
        {},
        {"sending": HOSTILE, "answering": True, "live": update(thinking=True)},
        {"answering": True, "live": update()},
        {"answering": True, "live": update(waiting=2)},
        {"editing": f"m{HOSTILE}", "notice": HOSTILE},
        {"correcting": f"r{HOSTILE}", "notice": HOSTILE, "notice_is_error": True},
        {"rating": f"r{HOSTILE}", "remark": (f"r{HOSTILE}", HOSTILE)},
        {"pair": AnswerPair("thinking", update(), update(waiting=1), ("left",))},
        {
            "pair": AnswerPair(
                "thinking", update(finish_reason="end"), update(answer=""), ("left",), "both_good"
            )
        },
        {"renaming": f"c1{HOSTILE}", "search": HOSTILE},
        {"deleting": f"c1{HOSTILE}", "account": Account("name" + HOSTILE, HOSTILE), "admin": True},
        {"way_in": "hugging_face"},
    ]
    for state in states:
        session = ChatSession(
            turns=[*turns, dataclasses.replace(reply, rating=1)], conversation=HOSTILE, **state
        )
        session.conversations = [
            SimpleNamespace(id=f"c1{HOSTILE}", title=HOSTILE, updated_at=NOW),  # type: ignore[list-item]
            SimpleNamespace(id="c2", title="", updated_at=NOW),  # type: ignore[list-item]
        ]
        yield session
    yield ChatSession(turns=turns[:2])
    yield ChatSession(search=HOSTILE)


def views() -> Iterator[str]:
    """The HTML of every view of the chat page."""
    for session in sessions():
        yield from conversation.conversation(session)
        yield sidebar.sidebar_top(session)
        yield from sidebar.conversation_list(session)
        yield sidebar.sidebar_bottom(session)
    session = ChatSession(preferences=Preferences(system=HOSTILE))
    texts = session.texts
    yield conversation.header(texts, HOSTILE, HOSTILE)
    yield conversation.footnote(texts)
    yield conversation.answer_mode(session, HOSTILE)
    yield sidebar.login_message()
    yield dialogs.settings(session, Sampling())
    facts = {
        "id": HOSTILE,
        "parent": HOSTILE,
        "stage": HOSTILE,
        "created": HOSTILE,
        "data": {HOSTILE: HOSTILE},
    }
    for base in ("starter", HOSTILE):
        named = SimpleNamespace(name=base, revision=HOSTILE)
        manifest: Any = SimpleNamespace(base=named, metrics={HOSTILE: 1}, **facts)
        card = neutral_card(HOSTILE, (HOSTILE,), HOSTILE)
        yield conversation.welcome(texts, card, HOSTILE)
        yield dialogs.version_card(texts, manifest, card, HOSTILE)
    alternatives = (
        Alternative(1, HOSTILE, 0.5),
        Alternative(2, HOSTILE, 0.0001),
        Alternative(0, "", 0.1, True),
    )
    parts = ("mark", "thought", "mark", "answer", "end")
    steps = [Step(number, 1, HOSTILE, 0.5, part, alternatives) for number, part in enumerate(parts)]  # type: ignore[arg-type]
    for chosen in (None, 1, 4):
        session.tokens = TokenView(HOSTILE, steps, chosen)
        yield token_panel.token_panel(session)
    yield file_download(HOSTILE, "text/markdown", HOSTILE).download
    yield difference(texts, HOSTILE, f"{HOSTILE} {HOSTILE}")
    yield difference(texts, HOSTILE, "0")
    yield difference(texts, f"{HOSTILE} {HOSTILE}", HOSTILE)


@pytest.mark.parametrize("language", ["hostile texts", "english"])
def test_no_text_becomes_an_element_or_an_attribute(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    if language == "hostile texts":
        fields = {name: hostile(text) for name, text in vars(ENGLISH).items() if name != "code"}
        monkeypatch.setitem(LANGUAGES, "en", dataclasses.replace(ENGLISH, **fields))
    shown = 0
    for html in views():
        elements = Elements(html)
        assert not elements.names & {"hostile", "x-hostile", "script"}, html
        shown += sum(HOSTILE in text for text in elements.texts)
    assert shown > 100  # the texts are there, and complete

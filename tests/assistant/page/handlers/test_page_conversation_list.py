"""Saving, opening and deleting conversations."""

from __future__ import annotations

import asyncio
import base64

import pytest
from helpers.fake_chat import FakeChat
from helpers.handler_steps import collect, event, say, shown
from markupsafe import escape

from assistant.page.chat_events import ChatHandlers
from assistant.page.i18n.languages import ENGLISH
from assistant.page.session.chat_session import ChatSession
from feedback_store.rows import exporters


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no json", "not_json"),
        ("[" * 100_000, "not_json"),
        ("[]", "not_ours"),
        ('{"format": "thumbtune-conversation"}', "damaged"),
        (
            '{"format": "thumbtune-conversation", "title": "t", "head": null, "messages": '
            '[{"id": "a", "parent": "b", "role": "user", "content": "x"}]}',
            "damaged",
        ),
        ("x" * 2_000_001, "too_large"),
    ],
)
def test_a_file_of_another_kind_is_refused_with_the_reason_and_stores_nothing(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession, text: str, reason: str
) -> None:
    screen = handlers.conversation_list.import_file(session, event(text=text))
    assert escape(ENGLISH.import_refused[reason]) in shown(screen)
    assert chat.owners == {}


def test_a_conversation_file_restores_every_branch_and_no_rating(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "hello")
    first = session.turns[-1].id
    handlers.rating.rate_reply(session, event(turn=first, value="1"))
    collect(handlers.sending.retry(session, event(turn=first)))
    link = handlers.conversation_list.export_json(session).download
    saved = base64.b64decode(link.split("base64,")[1].split('"')[0]).decode()
    handlers.conversation_list.import_file(session, event(text=saved))
    assert [turn.content for turn in session.turns] == ["hello", "You said: hello"]
    assert len(session.turns[-1].siblings) == 2
    assert session.turns[-1].version == "imported"
    assert len(chat.ratings) == 1
    assert chat.store.verify() == []


def test_a_deleted_conversation_leaves_no_training_rows(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    def row_counts() -> dict[str, int]:
        return {format: len(list(exporters.rows(chat.store, format))) for format in exporters.FORMATS}

    say(handlers, session, "hello")
    reply = session.turns[-1].id
    handlers.rating.rate_reply(session, event(turn=reply, value="-1"))
    handlers.rating.keep_correction(session, event(turn=reply, text="Hello to you."))
    assert all(row_counts().values())
    asyncio.run(handlers.conversation_list.delete(session, event(turn=session.conversation)))
    assert not any(row_counts().values())

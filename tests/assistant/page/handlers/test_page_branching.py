"""Edits, retries and undo add to the conversation's tree and change nothing in it."""

from __future__ import annotations

from helpers.fake_chat import FakeChat
from helpers.handler_steps import collect, event, say, shown

from assistant.page.chat_events import ChatHandlers
from assistant.page.session.chat_session import ChatSession


def test_an_edit_adds_a_sibling_of_the_message(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "first")
    say(handlers, session, "second")
    message = session.turns[2]
    assert f">\n{message.content}</textarea>" in shown(
        handlers.branching.edit(session, event(turn=message.id))
    )
    collect(handlers.sending.resend(session, event(turn=message.id, text="better")))
    assert [turn.content for turn in session.turns] == [
        "first",
        "You said: first",
        "better",
        "You said: better",
    ]
    assert [turn.content for turn in chat.siblings(message.parent_id)] == ["second", "better"]


def test_editing_the_first_message_begins_at_the_root(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    say(handlers, session, "first")
    collect(handlers.sending.resend(session, event(turn=session.turns[0].id, text="other")))
    assert [turn.content for turn in chat.siblings(None)] == ["first", "other"]
    assert len(chat.owners) == 1


def test_cancelling_an_edit_changes_nothing(handlers: ChatHandlers, session: ChatSession) -> None:
    say(handlers, session, "first")
    handlers.branching.edit(session, event(turn=session.turns[0].id))
    assert "<form" not in shown(handlers.branching.cancel(session))
    assert session.turns[0].content == "first"


def test_retry_adds_a_sibling_reply(chat: FakeChat, handlers: ChatHandlers, session: ChatSession) -> None:
    say(handlers, session, "hello")
    first = session.turns[-1]
    collect(handlers.sending.retry(session, event(turn=first.id)))
    assert session.turns[-1].id != first.id
    assert len(chat.siblings(first.parent_id)) == 2


def test_undo_returns_the_message_to_the_box(handlers: ChatHandlers, session: ChatSession) -> None:
    say(handlers, session, "first")
    say(handlers, session, "second")
    update = handlers.branching.undo(session)
    assert update.message == "second"
    assert [turn.content for turn in session.turns] == ["first", "You said: first"]

"""What every handler does to a session: wake it, read it again, say what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.errors import AssistantError
from assistant.page.screen import Screen, redrawn
from assistant.page.session import Session
from assistant.page.words import ENGLISH, explained
from feedback_store import StoreError

if TYPE_CHECKING:
    from assistant.conversation import Chat

ERRORS = (AssistantError, StoreError)
"""What people are told of; anything else is a bug, and Gradio logs it."""


def wake(chat: Chat, session: Session, memory: object, language: str = ENGLISH.code) -> None:
    """Fill a new session from what the browser kept.

    Every handler begins with it: after the server was restarted, an open page goes on with a new session.
    """
    if session.rater:
        return
    session.remember(memory, language)
    if session.conversation is not None:
        try:
            session.turns = chat.history(session.conversation, session.rater)
        except ERRORS:
            session.conversation = None
            session.notice = session.words.lost_conversation
    list_again(chat, session)


def refresh(chat: Chat, session: Session) -> None:
    """Read the conversation's current path again. If it cannot be read, what is on the screen stays."""
    try:
        if session.conversation is not None:
            session.turns = chat.history(session.conversation, session.rater)
    except ERRORS as error:
        report(session, error)
    list_again(chat, session)


def list_again(chat: Chat, session: Session) -> None:
    """Read the list of conversations again. If it cannot be read, what is on the screen stays."""
    try:
        session.shelf = chat.library.conversations(session.rater, session.search)
    except ERRORS as error:
        report(session, error)


def report(session: Session, error: Exception) -> None:
    """Show an error under the conversation, in the page's language."""
    session.notice, session.notice_is_error = explained(session.words, error), True


def hint(chat: Chat, session: Session, text: str) -> Screen:
    """Show a line under the conversation that is no error."""
    session.notice, session.notice_is_error = text, False
    return redrawn(chat, session)


async def end_stream(chat: Chat, session: Session) -> None:
    """Stop the reply being written, if there is one, and let its stream find that it is over."""
    session.run += 1
    ids = session.writing_ids()
    session.ended()
    session.pair = None
    for reply_id in ids:
        await chat.stop(reply_id)

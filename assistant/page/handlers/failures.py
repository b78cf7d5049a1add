"""How an error in a handler reaches the person: as a notice below the conversation, in the page's language."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from assistant.errors import AssistantError, ConversationError, EngineBusy, PromptError
from assistant.page.handlers.page_update import PageUpdate, conversation_update
from assistant.page.i18n.languages import explained
from assistant.page.session.chat_session import ChatSession
from feedback_store import StoreError

if TYPE_CHECKING:
    from assistant.chat.chat import Chat

log = logging.getLogger(__name__)

ERRORS = (AssistantError, StoreError)
"""Errors with a text for people. Any other exception is a bug; `report_unexpected` logs it."""

EXPECTED = (PromptError, ConversationError, EngineBusy)
"""Errors that people cause or that pass by themselves; they are no warning in the log."""


def report(session: ChatSession, error: Exception) -> None:
    """Show an error as a notice in the page's language, and log its own message."""
    level = logging.INFO if isinstance(error, EXPECTED) else logging.WARNING
    log.log(level, "showed a person %s: %s", type(error).__name__, error)
    session.notice, session.notice_is_error = explained(session.texts, error), True


def report_unexpected(chat: Chat, handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler`, but with any exception logged and shown as a notice.

    Without it the page shows nothing when a handler fails, and a rating, say, looks as if it had been saved. Handlers
    that stream are returned as they are: `SendingHandlers.recover` follows their failure.
    """
    if inspect.isasyncgenfunction(handler):
        return handler

    def failure(arguments: tuple[Any, ...]) -> PageUpdate:
        log.exception("%s failed", handler.__qualname__)
        session = next(argument for argument in arguments if isinstance(argument, ChatSession))
        session.notice, session.notice_is_error = session.texts.unforeseen, True
        return conversation_update(chat, session)

    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def call_async(*arguments: Any) -> Any:
            try:
                return await handler(*arguments)
            except Exception:
                return failure(arguments)

        return call_async

    @functools.wraps(handler)
    def call(*arguments: Any) -> Any:
        try:
            return handler(*arguments)
        except Exception:
            return failure(arguments)

    return call

"""What nobody foresaw: without this a handler that fails shows nothing at all, and a vote seems to have been kept."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from assistant.page.handlers.updates import Screen, redrawn
from assistant.page.session.chat_session import Session

if TYPE_CHECKING:
    from assistant.chat.chat import Chat

log = logging.getLogger(__name__)


def told(chat: Chat, handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler`, which logs what nobody foresaw and tells the person, in the page's language.

    Those that stream are left as they are: `Sending.recover` follows their failure.
    """
    if inspect.isasyncgenfunction(handler):
        return handler

    def failed(given: tuple[Any, ...]) -> Screen:
        log.exception("%s failed", handler.__qualname__)
        session = next(one for one in given if isinstance(one, Session))
        session.notice, session.notice_is_error = session.texts.unforeseen, True
        return redrawn(chat, session)

    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def later(*given: Any) -> Any:
            try:
                return await handler(*given)
            except Exception:
                return failed(given)

        return later

    @functools.wraps(handler)
    def now(*given: Any) -> Any:
        try:
            return handler(*given)
        except Exception:
            return failed(given)

    return now

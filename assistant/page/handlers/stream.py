"""Streamed replies are always closed: closing one cancels its generation, and keeps what there is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from assistant.chat.reply_stream import Update


def closing(updates: AsyncIterator[Update]) -> AbstractAsyncContextManager[AsyncGenerator[Update, None]]:
    """A context that yields `updates` and closes them on the way out, however that is taken."""
    return aclosing(cast("AsyncGenerator[Update, None]", updates))

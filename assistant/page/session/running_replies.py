"""Replies that are written whether a tab shows them or not: after a reload, a tab follows its reply again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assistant.chat.library import ConversationTurn
    from feedback_store.records import How

log = logging.getLogger(__name__)

UNFOLLOWED_SECONDS = 60.0
"""How long a reply goes on while no tab shows it. Then it is stopped, and kept as far as it is."""


class RunningReply:
    """One reply, or two side by side, written in a task of its own. Any number of tabs can follow it."""

    def __init__(
        self,
        updates: AsyncGenerator[Any, None],
        turns: Iterable[ConversationTurn],
        message: str | None,
        how: How | None,
        announce: Callable[[RunningReply], None],
    ) -> None:
        """Start writing. `turns`: the shown path before the reply; `message`: the new message after it.

        `how`: how two replies differ; None for one. `announce` is called when the conversation's id is known.
        """
        self.turns, self.message, self.how = tuple(turns), message, how
        self.latest: Any = None
        """The newest update, or the newest of both replies; None before the first."""
        self.conversation: str | None = None
        """The conversation's id, once it is known."""
        self._announce = announce
        self._error: Exception | None = None
        self._followers = 0
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._write(updates))

    async def follow(self) -> AsyncGenerator[Any, None]:
        """The newest update, and each later one; a slow reader misses some. Raises the error that ends the reply."""
        self._followers += 1
        shown: Any = None
        try:
            while True:
                news = self._news
                if self.latest is not shown:
                    shown = self.latest
                    yield shown
                elif self.task.done():
                    break
                else:
                    await news.wait()
        finally:
            self._followers -= 1
            if not self._followers and not self.task.done():
                asyncio.get_running_loop().call_later(UNFOLLOWED_SECONDS, self._end_unless_followed)
        if self._error is not None:
            raise self._error

    async def end(self) -> None:
        """Stop it, and wait until what it has so far is stored."""
        self.task.cancel()
        await asyncio.wait([self.task])

    def _end_unless_followed(self) -> None:
        if not self._followers:
            self.task.cancel()

    def _tell(self, *_: object) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def _write(self, updates: AsyncGenerator[Any, None]) -> None:
        asyncio.current_task().add_done_callback(self._tell)  # type: ignore[union-attr]
        try:
            # Closing stops the generation, and keeps its tokens so far.
            async with aclosing(updates):
                async for update in updates:
                    self.latest = update
                    if self.conversation is None:
                        self.conversation = (update[0] if self.how else update).conversation
                        self._announce(self)
                    self._tell()
        except Exception as error:
            self._error = error
            if not self._followers:
                log.warning("a reply that no tab shows failed: %s", error)


class RunningReplies:
    """The replies being written now, by conversation."""

    def __init__(self) -> None:
        self._replies: dict[str, RunningReply] = {}

    def start(
        self,
        updates: AsyncGenerator[Any, None],
        turns: Iterable[ConversationTurn],
        message: str | None,
        how: How | None,
    ) -> RunningReply:
        """Start writing a reply; its arguments are those of `RunningReply`."""
        return RunningReply(updates, turns, message, how, self._add)

    def of(self, conversation: str | None) -> RunningReply | None:
        """The reply being written in a conversation, None if there is none."""
        return self._replies.get(conversation or "")

    def _add(self, reply: RunningReply) -> None:
        conversation = str(reply.conversation)
        self._replies[conversation] = reply

        def forget(_: object) -> None:
            if self._replies.get(conversation) is reply:
                del self._replies[conversation]

        reply.task.add_done_callback(forget)

"""Replies while they are written: which version writes, how often each is shown, and how one is stopped."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager

from assistant.chat.reply_stream import Request, Update, answer
from assistant.errors import AssistantError
from assistant.registry.live_comparison import UnderWay
from assistant.serving.remote import RemoteEngine, RemoteServed
from assistant.serving.transformers_engine import Engine, Served
from feedback_store import FeedbackStore

log = logging.getLogger(__name__)

SMOOTH = 0.05
"""Shortest time between two updates of a reply, in seconds: about twenty a second read as smooth."""
UNHURRIED = 4
"""Replies at once up to which each is shown as often as that. Beyond, all together get as many updates as these: each
update takes the interpreter, which page, API and model share."""
MOST_PAUSES = 10.0
"""How many times as long the time between updates may become: two updates a second still say that somebody writes."""


class Writing:
    """The replies that are being written now."""

    def __init__(
        self,
        store: FeedbackStore,
        engine: Engine | RemoteEngine,
        trial: UnderWay | None,
        smooth: float = SMOOTH,
    ) -> None:
        """`trial`: the live comparison that may decide which version writes. `smooth`: as SMOOTH."""
        self._store = store
        self._engine = engine
        self._trial = trial
        self._smooth = smooth
        self._stops: dict[str, asyncio.Event] = {}

    def pause(self) -> float:
        """Seconds until a reply is shown again: more while many are written, or showing would take the time."""
        return self._smooth * min(max(len(self._stops) / UNHURRIED, 1.0), MOST_PAUSES)

    @asynccontextmanager
    async def leased(
        self, version: str | None, conversation: str | None = None
    ) -> AsyncGenerator[Served | RemoteServed, None]:
        """A version by its name; without one, the version that answers in this conversation.

        Raises what `Engine.prepare` raises for one that cannot serve.
        """
        if version is not None:
            # It may have to be loaded, and nobody else should wait for that.
            await asyncio.to_thread(self._engine.prepare, version)
        elif conversation is not None:
            version = await asyncio.to_thread(self._candidate, conversation)
        with self._engine.lease(version) as served:
            yield served

    async def write(self, served: Served | RemoteServed, request: Request) -> AsyncGenerator[Update, None]:
        """The reply, streamed and stored. Raises EngineError if generation fails."""
        stop = self._stops[request.reply_id] = asyncio.Event()
        try:
            async with aclosing(answer(self._store, served, request, stop, self.pause)) as updates:
                async for update in updates:
                    yield update
        finally:
            del self._stops[request.reply_id]

    async def stop(self, reply_id: str) -> None:
        """End a reply; what there is of it is kept. Nothing happens if it has ended already."""
        if reply_id in self._stops:
            self._stops[reply_id].set()

    def _candidate(self, conversation: str) -> str | None:
        """The candidate, loaded, where a live comparison drew this conversation for it; None is the released one."""
        drawn = self._trial.candidate(conversation, self._engine.version.id) if self._trial else None
        try:
            if drawn is not None:
                self._engine.prepare(drawn)
        except AssistantError as error:
            # Nobody is to wait for an answer because an experiment fails; such a reply counts for neither arm.
            log.warning("%s answers instead of %s: %s", self._engine.version.id, drawn, error)
            return None
        return drawn

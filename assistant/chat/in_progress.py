"""Replies in progress: which version writes each, how often it is shown, how it is stopped, and that it is stored."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from assistant.chat.reply_stream import Draft, Request, Update, chunks_of, next_chunk
from assistant.chat.reply_totals import ReplyTotals
from assistant.errors import AssistantError, EngineError
from assistant.registry.live_comparison import TrialFollower
from assistant.serving.engine import Engine, ServedVersion
from feedback_store import FeedbackStore

log = logging.getLogger(__name__)

UPDATE_SECONDS = 0.05
"""Shortest time between two updates of a reply: about twenty a second read as smooth."""
UNTHROTTLED_REPLIES = 4
"""Replies at once up to which each is shown as often as that. Beyond, all together get as many updates as these: each
update takes the interpreter, which the page, the API and the model share."""
MAX_SLOWDOWN = 10.0
"""Largest factor by which the time between updates grows: two updates a second still show that the reply goes on."""


class RepliesInProgress:
    """The replies that are being written now."""

    def __init__(
        self,
        store: FeedbackStore,
        engine: Engine,
        trials: TrialFollower | None,
        update_seconds: float = UPDATE_SECONDS,
    ) -> None:
        """`trials`: the live comparisons that may decide which version writes; None if there can be none."""
        self._store = store
        self._engine = engine
        self._trials = trials
        self._update_seconds = update_seconds
        self._stops: dict[str, asyncio.Event] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_closed = False
        self.totals = ReplyTotals()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._stops)

    def pause(self) -> float:
        """Seconds between two updates of a reply: more while many are written, or showing would take the time."""
        slowdown = max(len(self._stops) / UNTHROTTLED_REPLIES, 1.0)
        return self._update_seconds * min(slowdown, MAX_SLOWDOWN)

    @asynccontextmanager
    async def lease(
        self, version: str | None, conversation: str | None = None
    ) -> AsyncGenerator[tuple[ServedVersion, str | None], None]:
        """Lease a version by its id; if `version` is None, the version that answers in this conversation.

        With it comes the id of the live comparison that drew it, in either arm; None if none did. Raises what
        `Engine.prepare` raises if it cannot serve.
        """
        trial = None
        if version is not None:
            # It may have to be loaded, which must not block other replies.
            await asyncio.to_thread(self._engine.prepare, version)
        elif conversation is not None:
            version, trial = await asyncio.to_thread(self._draw, conversation)
        with self._engine.lease(version) as served:
            yield served, trial

    async def write(self, served: ServedVersion, request: Request) -> AsyncGenerator[Update, None]:
        """Stream a reply, and store it once, when it ends: whole, stopped or failed.

        Raises EngineError if generation fails, or the app stops; the tokens until then are stored.
        """
        self._loop = asyncio.get_running_loop()
        stop = self._stops[request.reply_id] = asyncio.Event()
        if self._is_closed:
            stop.set()
        draft, chunks = Draft(request, served, self._engine.name), chunks_of(request, served)
        try:
            yield draft.update
            while (chunk := await next_chunk(chunks, stop)) is not None and not draft.take(chunk):
                yield draft.update
                # The engine gathers what comes meanwhile into the next chunk. The first words do not wait.
                if chunk.token_ids and draft.has_text:
                    await asyncio.sleep(self.pause())
            if self._is_closed and draft.finish_reason == "stopped":
                raise EngineError("This server is stopping. Send the message again in a moment.")
        except AssistantError:
            draft.finish_reason = "error"
            raise
        finally:
            del self._stops[request.reply_id]
            await chunks.aclose()
            # Shielded: a reader who leaves must not leave a reply half recorded.
            reply = draft.finish()
            self.totals.add(reply)
            await asyncio.shield(asyncio.to_thread(self._store.add_reply, reply))
        yield draft.update

    async def stop(self, reply_id: str) -> None:
        """End a reply; its tokens so far are kept. Does nothing if it has ended already."""
        if reply_id in self._stops:
            self._stops[reply_id].set()

    def close(self) -> None:
        """End all replies, which keep their tokens so far, and any that is asked for later. From any thread."""
        self._is_closed = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended, and its replies with it
                self._loop.call_soon_threadsafe(self._end_all)

    def _end_all(self) -> None:
        for stop in self._stops.values():
            stop.set()

    def _draw(self, conversation: str) -> tuple[str | None, str | None]:
        """Ids of the version that a live comparison draws for this conversation, and of the live comparison.

        The version is None for the released one, and a candidate is loaded; both are None if there is no comparison.
        """
        released = self._engine.version.id
        trial = self._trials.under_way(released) if self._trials else None
        if trial is None:
            return None, None
        if trial.version(conversation) == released:
            return None, trial.id
        try:
            self._engine.prepare(trial.candidate)
        except AssistantError as error:
            # Nobody should wait for an answer because an experiment fails; such a reply counts for neither arm.
            log.warning("%s answers instead of %s: %s", released, trial.candidate, error)
            return None, None
        return trial.candidate, trial.id

"""The starter for visitors of the tour, beside whatever model serves: opened when somebody needs it, shared, and closed
when nobody has used it for a while.
"""

import asyncio
import logging
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from assistant.serving.engine import Engine, ServedVersion

log = logging.getLogger(__name__)

IDLE_SECONDS = 300.0
"""How long the starter stays in memory after its last use."""


class SharedStarter:
    """One engine for all visitors of the tour; its versions are those of `starter_engine`."""

    def __init__(self, open_engine: Callable[[Path], Engine], idle_seconds: float = IDLE_SECONDS) -> None:
        """`open_engine`: an engine whose home is the folder that it gets, which is empty and removed afterwards."""
        self._open_engine = open_engine
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._users = 0
        self._engine: Engine | None = None
        self._opened = ExitStack()
        self._timer: threading.Timer | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is in memory."""
        return self._engine is not None

    @asynccontextmanager
    async def lease(self, version_id: str) -> AsyncGenerator[ServedVersion, None]:
        """Hold a version for one answer. The first lease takes a second, in which the engine is opened.

        Raises what `open_engine` and `Engine.lease` raise.
        """
        # In a thread, and without counting: a visitor who leaves meanwhile must not be counted for ever.
        await asyncio.to_thread(self._prepare, version_id)
        engine = self._take()
        try:
            with engine.lease(version_id) as served:
                yield served
        finally:
            self._give_back()

    def close(self) -> None:
        """Close the engine, if it is open."""
        with self._lock:
            self._close()

    def _prepare(self, version_id: str) -> None:
        with self._lock:
            self._stop_timer()
            engine = self._open()
            # Until the lease, it counts as just used.
            self._start_timer()
        engine.prepare(version_id)

    def _take(self) -> Engine:
        with self._lock:
            self._stop_timer()
            engine = self._open()
            self._users += 1
            return engine

    def _give_back(self) -> None:
        with self._lock:
            self._users -= 1
            self._start_timer()

    def _open(self) -> Engine:
        if self._engine is None:
            with ExitStack() as opening:
                home = opening.enter_context(tempfile.TemporaryDirectory(prefix="thumbtune-tour-"))
                self._engine = self._open_engine(Path(home))
                opening.callback(self._engine.close)
                self._opened = opening.pop_all()
            log.info("Opened the starter for the tour")
        return self._engine

    def _start_timer(self) -> None:
        self._stop_timer()
        if self._users == 0 and self._engine is not None:
            self._timer = threading.Timer(self._idle_seconds, self._close_if_idle)
            self._timer.daemon = True
            self._timer.start()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close_if_idle(self) -> None:
        with self._lock:
            if self._users == 0:
                self._close()

    def _close(self) -> None:
        self._stop_timer()
        if self._engine is not None:
            self._engine = None
            self._opened.close()
            log.info("Closed the starter for the tour")

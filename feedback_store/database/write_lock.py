"""A lock that makes the writers of one file queue, across threads and processes.

SQLite makes a waiting writer poll, with growing pauses. Among many processes most of the time is then spent in pauses,
and an unlucky writer gives up. This lock only makes waiting fair and fast. SQLite's own lock still protects the data,
so a folder in which no lock file can be created is as safe, only slower.
"""

import os
import threading
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: threads queue, processes poll
    fcntl = None  # type: ignore[assignment]


class WriteLock:
    """A context manager for mutual exclusion across threads and processes. The lock ends with its process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.Lock()
        self._handle: int | None = None

    def __enter__(self) -> None:
        self._threads.acquire()
        self._handle = None
        if fcntl is None:
            return
        try:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX)
        except OSError:  # a folder that cannot be written, a file system without locks
            self._release()

    def __exit__(self, *_: object) -> None:
        try:
            self._release()
        finally:
            self._threads.release()

    def _release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

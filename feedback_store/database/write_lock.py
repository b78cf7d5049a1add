"""A queue for the writers of one SQLite file, over threads and processes.

SQLite itself lets a waiting writer only look again and again, with pauses that grow: among many processes most of the
time goes by unused, and whoever is unlucky waits until its patience ends. The queue decides nothing about what is
right: SQLite's own lock still does, and a place where no queue can be made is as safe, only slower.
"""

import os
import threading
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: threads queue, processes poll
    fcntl = None  # type: ignore[assignment]


class WriteLock:
    """A context manager: inside it, nobody else who uses the same file is inside theirs. Ends with its process."""

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
            self._leave()

    def __exit__(self, *_: object) -> None:
        try:
            self._leave()
        finally:
            self._threads.release()

    def _leave(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

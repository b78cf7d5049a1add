"""Backups while an app runs, every so many minutes, and one more when it stops."""

import logging
import threading
from pathlib import Path

from feedback_store.backup.create_backup import KEEP, back_up
from feedback_store.backup.home_files import Known
from feedback_store.errors import StoreError

log = logging.getLogger(__name__)
MINUTES = 10.0


class Schedule:
    """Backs a home up from a thread of its own, until it is closed. A backup that fails is tried again next time."""

    def __init__(self, home: Path, url: str, minutes: float = MINUTES, keep: int = KEEP) -> None:
        self._home, self._url, self._seconds, self._keep = home, url, minutes * 60, keep
        self._known: Known = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backup", daemon=True)
        self._thread.start()

    def close(self) -> bool:
        """Wait for a backup that is under way and make the last one; whether that is there."""
        self._stop.set()
        self._thread.join()
        return self._back_up()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._back_up()

    def _back_up(self) -> bool:
        try:
            back_up(self._home, self._url, keep=self._keep, known=self._known)
        except StoreError as error:
            log.error("No backup was made: %s", error)
            return False
        return True

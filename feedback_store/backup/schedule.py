"""Scheduled backups of a running app: one every few minutes, and one when the app stops."""

import logging
import threading
from pathlib import Path

from feedback_store.backup.create_backup import KEEP, back_up
from feedback_store.backup.home_files import Known
from feedback_store.errors import StoreError

log = logging.getLogger(__name__)
MINUTES = 10.0  # between two backups


class Schedule:
    """Backs up a home regularly in a background thread. A failed backup is logged, and retried at the next interval."""

    def __init__(self, home: Path, url: str, minutes: float = MINUTES, keep: int = KEEP) -> None:
        self._home, self._url, self._seconds, self._keep = home, url, minutes * 60, keep
        self._known: Known = {}
        self._warned = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backup", daemon=True)
        self._thread.start()

    def close(self) -> bool:
        """Wait for a running backup, make a last one, and return whether it succeeded."""
        self._stop.set()
        self._thread.join()
        return self._back_up()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            self._back_up()

    def _back_up(self) -> bool:
        try:
            saved = back_up(self._home, self._url, keep=self._keep, known=self._known)
            if saved.elsewhere and not self._warned:  # once is enough
                log.warning("%s", saved.elsewhere)
                self._warned = True
        except StoreError as error:
            log.error("No backup was made: %s", error)
            return False
        return True

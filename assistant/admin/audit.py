"""Who did what, and when: one line of JSON an action in HOME/audit.jsonl, only ever added to."""

import json
import logging
import os
from pathlib import Path

from assistant.registry.versions import now

log = logging.getLogger(__name__)

LONGEST = 2_000
"""Characters of a detail that are kept."""


class Audit:
    """The trail of one home. Several processes may write to it."""

    def __init__(self, home: Path) -> None:
        self.path = home / "audit.jsonl"

    def write(self, who: str, what: str, detail: str = "") -> None:
        """Add a line; it is on the disk when this returns. Raises OSError: what cannot be traced is not done."""
        line = json.dumps(
            {"at": now(), "who": who, "what": what, "detail": detail[:LONGEST]}, ensure_ascii=False
        )
        # Only this user may read it; O_APPEND keeps the lines of two writers apart.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, f"{line}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def last(self, count: int) -> list[dict[str, str]]:
        """The newest lines, the newest first. A line that a crash cut is passed over."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in reversed(lines):
            try:
                entry = json.loads(line)
                found.append({key: str(entry[key]) for key in ("at", "who", "what", "detail")})
            except (ValueError, TypeError, KeyError):
                log.warning("%s has a line that cannot be read", self.path)
            if len(found) == count:
                break
        return found

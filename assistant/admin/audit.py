"""The audit trail in HOME/audit.jsonl: one line of JSON per admin action. Lines are only added."""

import json
import logging
import os
from pathlib import Path

from assistant.registry.versions import now

log = logging.getLogger(__name__)

MAX_DETAIL = 2_000
"""Maximum length of a detail, in characters; the rest is cut off."""


class Audit:
    """The audit trail of one home. Several processes may write to it."""

    def __init__(self, home: Path) -> None:
        self.path = home / "audit.jsonl"

    def write(self, admin: str, action: str, detail: str = "") -> None:
        """Append a line and flush it to disk. Raises OSError; the caller must then not carry out the action."""
        line = json.dumps(
            {"at": now(), "who": admin, "what": action, "detail": detail[:MAX_DETAIL]}, ensure_ascii=False
        )
        # Readable by this user alone. O_APPEND keeps the lines of two writers apart.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, f"{line}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def last(self, count: int) -> list[dict[str, str]]:
        """The last `count` lines, the newest first. A line that a crash cut off is skipped."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        entries: list[dict[str, str]] = []
        for line in reversed(lines):
            try:
                entry = json.loads(line)
                entries.append({key: str(entry[key]) for key in ("at", "who", "what", "detail")})
            except (ValueError, TypeError, KeyError):
                log.warning("%s has a line that cannot be read", self.path)
            if len(entries) == count:
                break
        return entries

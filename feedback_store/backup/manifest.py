"""The manifest of a backup: a JSON file that lists its files, and whose name contains the hash of its text."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from feedback_store.errors import BackupDamaged

FORMAT = 1  # increased when the meaning of a manifest changes
FOLDER = "backups"
DATABASE = "feedback.db"
"""The file name of the database, in a home and in a backup."""
_NAME = re.compile(rf"{FOLDER}/(\d{{8}}T\d{{12}}Z-[0-9a-f]{{16}})\.json")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Content:
    """One file of a home: its SHA-256 in hexadecimal, its size in bytes, its permission bits."""

    sha256: str
    size: int
    mode: int

    @property
    def place(self) -> str:
        """Name of the stored content, relative to the backup URL."""
        return f"files/{self.sha256[:2]}/{self.sha256}"


@dataclass(frozen=True)
class Backup:
    """The state of a home at the time `made`: the content of each file, by its path relative to the home."""

    id: str
    made: datetime
    files: Mapping[str, Content]

    @property
    def size(self) -> int:
        """Total size of all files in bytes."""
        return sum(content.size for content in self.files.values())

    @property
    def place(self) -> str:
        """Name of the manifest, relative to the backup URL."""
        return f"{FOLDER}/{self.id}.json"


def written(files: Mapping[str, Content], newest: str | None) -> tuple[Backup, bytes]:
    """Return a new backup and the text of its manifest.

    Its id sorts after `newest`, the id of the newest backup so far, even where the clock was set back.
    """
    made = datetime.now(UTC)
    if newest is not None:
        made = max(made, _time_of(newest) + timedelta(microseconds=1))
    fields = {
        "format": FORMAT,
        "made": made.isoformat(),
        "files": {name: asdict(file_content) for name, file_content in sorted(files.items())},
    }
    text = json.dumps(fields, ensure_ascii=False, indent=1).encode() + b"\n"
    return Backup(f"{made:%Y%m%dT%H%M%S%f}Z-{_text_hash(text)}", made, files), text


def id_of(name: str) -> str | None:
    """The id of the backup that has a manifest of this name; None if the name is not that of a manifest."""
    match = _NAME.fullmatch(name)
    return match[1] if match else None


def read(backup_id: str, text: bytes) -> Backup:
    """Parse and check the text of a manifest. Raises: BackupDamaged."""
    if _text_hash(text) != backup_id.rpartition("-")[2]:
        raise BackupDamaged(
            f"The manifest of backup {backup_id} was changed or truncated after it was written."
        )
    try:
        fields = json.loads(text)
        if fields["format"] != FORMAT:
            raise BackupDamaged(
                f"Backup {backup_id} was written by a newer release. Install that release to restore it."
            )
        files = {_safe_path(name): _content(**entry) for name, entry in fields["files"].items()}
        return Backup(backup_id, datetime.fromisoformat(fields["made"]), files)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackupDamaged(f"The manifest of backup {backup_id} cannot be read: {error}.") from error


def _content(sha256: str, size: int, mode: int) -> Content:
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r} is not a SHA-256")
    return Content(sha256, int(size), int(mode) & 0o777)


def _safe_path(name: Any) -> str:
    # A manifest is untrusted input: none of its paths may lead out of the home.
    path = PurePosixPath(name)
    if path.is_absolute() or "\\" in name or ":" in name or not path.parts:
        raise ValueError(f"{name!r} is not a path inside a home")
    if any(part.startswith(".") for part in path.parts):
        raise ValueError(f"{name!r} is hidden or leads out of the home")
    return str(path)


def _text_hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def _time_of(backup_id: str) -> datetime:
    return datetime.strptime(backup_id.partition("Z-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)

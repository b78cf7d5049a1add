"""What a backup holds, as a small JSON file whose name proves its content."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from feedback_store.errors import BackupDamaged

FORMAT = 1  # raised when the meaning of a manifest changes
FOLDER = "backups"
DATABASE = "feedback.db"
"""The store's file in a home, and its name among a backup's files."""
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
        """Where the content lies below a backup's URL."""
        return f"files/{self.sha256[:2]}/{self.sha256}"


@dataclass(frozen=True)
class Backup:
    """A home at one moment: the content of each of its files, by path."""

    id: str
    made: datetime
    files: Mapping[str, Content]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(content.size for content in self.files.values())

    @property
    def place(self) -> str:
        """Where the manifest lies below a backup's URL."""
        return f"{FOLDER}/{self.id}.json"


def written(files: Mapping[str, Content], newest: str | None) -> tuple[Backup, bytes]:
    """A new backup and its manifest's text. `newest` is the id after which it must stand, whatever the clock says."""
    made = datetime.now(UTC)
    if newest is not None:
        made = max(made, _moment(newest) + timedelta(microseconds=1))
    content = {
        "format": FORMAT,
        "made": made.isoformat(),
        "files": {name: asdict(one) for name, one in sorted(files.items())},
    }
    text = json.dumps(content, ensure_ascii=False, indent=1).encode() + b"\n"
    return Backup(f"{made:%Y%m%dT%H%M%S%f}Z-{_proof(text)}", made, files), text


def id_of(place: str) -> str | None:
    """The backup whose manifest a file is by its name, if it is any."""
    found = _NAME.fullmatch(place)
    return found[1] if found else None


def read(backup_id: str, text: bytes) -> Backup:
    """Raises: BackupDamaged."""
    if _proof(text) != backup_id.rpartition("-")[2]:
        raise BackupDamaged(f"The manifest of backup {backup_id} is not the one that was written.")
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise BackupDamaged(
                f"Backup {backup_id} was written by a newer release. Install that release to restore it."
            )
        files = {_safe(name): _content(**one) for name, one in content["files"].items()}
        return Backup(backup_id, datetime.fromisoformat(content["made"]), files)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackupDamaged(f"The manifest of backup {backup_id} cannot be read: {error}.") from error


def _content(sha256: str, size: int, mode: int) -> Content:
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r} is no SHA-256")
    return Content(sha256, int(size), int(mode) & 0o777)


def _safe(name: Any) -> str:
    # A backup comes from elsewhere: no name in it may lead out of the home.
    path = PurePosixPath(name)
    if path.is_absolute() or "\\" in name or ":" in name or not path.parts:
        raise ValueError(f"{name!r} is no path inside a home")
    if any(part.startswith(".") for part in path.parts):
        raise ValueError(f"{name!r} is hidden, or leads out of the home")
    return str(path)


def _proof(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def _moment(backup_id: str) -> datetime:
    return datetime.strptime(backup_id.partition("Z-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)

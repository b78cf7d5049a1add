"""What of a home goes into a backup: the database as it stood at one moment, and every file beside it."""

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from feedback_store.backup.manifest import DATABASE, Content
from feedback_store.database.connection import BUSY_SECONDS
from feedback_store.database.store_location import URL_FILE
from feedback_store.errors import BackupFailed, StoreDamaged
from feedback_store.hashing import sha256_file

CHUNK = 1 << 20  # bytes
# Checkpoints are large and can be made again; the URL of a database may hold its password; a lock (below) names a
# process of this machine.
LEFT_OUT = ("training", "lost+found", URL_FILE)
LOCK = "lock"
Known = dict[tuple[str, int, int, int], str]
"""SHA-256 of files that have been read before, by path, size, time of change and inode."""


def files(home: Path, below: Path | None = None) -> Iterator[tuple[str, Path]]:
    """(name, path) of every file of a home but the database; hidden ones are somebody's work in progress.

    A folder's own files come before the folders in it, and folders are listed late: a pointer such as
    `versions/released.json` is read before what it points at, so that nothing in a backup points at nothing.
    """
    folder = below or home
    try:
        found = sorted(folder.iterdir())
    except FileNotFoundError:
        return
    for path in found:
        own = below is None and (path.name.startswith(DATABASE) or path.name in LEFT_OUT)
        if path.name.startswith(".") or path.name == LOCK or own:
            continue
        if path.is_file():
            yield path.relative_to(home).as_posix(), path
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            if below is None and path.name in LEFT_OUT:
                continue
            yield from files(home, path)


def is_empty(home: Path) -> bool:
    """Whether a backup of this home would hold nothing."""
    return not (home / DATABASE).exists() and next(files(home), None) is None


def copy_database(source: Path, target: Path) -> None:
    """Copy a SQLite database as it stands at this moment; who writes meanwhile is neither stopped nor copied.

    Raises: StoreDamaged (a damaged store must not push sound backups out), BackupFailed.
    """
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
            # All pages in one step: with several, each write in between would begin the copy anew.
            live.backup(copy, pages=-1)
            # One file, without a log beside it: whoever opens it next decides how it is kept.
            copy.execute("PRAGMA journal_mode=DELETE")
            (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise StoreDamaged(_damaged(source, verdict))
    except sqlite3.DatabaseError as error:
        if "malformed" in str(error) or "not a database" in str(error):
            raise StoreDamaged(_damaged(source, str(error))) from error
        raise BackupFailed(
            f"{source} cannot be backed up: {error}. Look at the space left on the disk."
        ) from error


def fingerprint(path: Path, known: Known) -> str:
    """SHA-256 of a file, from `known` where it has not changed since it was read."""
    now = path.stat()
    key = (str(path), now.st_size, now.st_mtime_ns, now.st_ino)
    if key not in known:
        known[key] = sha256_file(path)
    return known[key]


def held_still(source: Path, target: Path) -> Content:
    """Copy a file that somebody may be writing; what the copy holds."""
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as file, target.open("wb") as copy:
        while piece := file.read(CHUNK):
            copy.write(piece)
            digest.update(piece)
            size += len(piece)
    shutil.copymode(source, target)
    return Content(digest.hexdigest(), size, source.stat().st_mode & 0o777)


def _damaged(path: Path, why: str) -> str:
    return (
        f"{path} is damaged ({why}), and was not backed up: older backups stay. "
        "Move the home away and restore the newest of them."
    )

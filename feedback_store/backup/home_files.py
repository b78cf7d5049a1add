"""Select and read the files of a home that belong in a backup: the database and the files beside it."""

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
# Checkpoints and exported versions are large and can be made again. The URL of a database may contain its password. A
# lock file (LOCK) names a process of this machine.
LEFT_OUT = ("training", "exports", "cache", "lost+found", URL_FILE)
LOCK = "lock"
Known = dict[tuple[str, int, int, int], str]
"""SHA-256 of files that were hashed before, by path, size, modification time in nanoseconds, and inode."""


def files(home: Path, below: Path | None = None) -> Iterator[tuple[str, Path]]:
    """Iterate over (name relative to the home, path) of every file of a home except the database.

    Hidden files are skipped: they are still being written. The files of a folder come before its sub-folders,
    which are listed only when they are reached. A pointer such as `versions/released.json` is thus read before
    the folder that it names, and a backup never contains a pointer without its target.
    """
    folder = below or home
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        return
    for path in entries:
        excluded = below is None and (path.name.startswith(DATABASE) or path.name in LEFT_OUT)
        if path.name.startswith(".") or path.name == LOCK or excluded:
            continue
        if path.is_file():
            yield path.relative_to(home).as_posix(), path
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            if below is None and path.name in LEFT_OUT:
                continue
            yield from files(home, path)


def is_empty(home: Path) -> bool:
    """Whether a home contains nothing that a backup would hold."""
    return not (home / DATABASE).exists() and next(files(home), None) is None


def copy_database(source: Path, target: Path) -> None:
    """Copy a SQLite database in the state of one moment, without blocking concurrent writers.

    Raises: StoreDamaged (backups of a damaged store would in time replace all good ones), BackupFailed.
    """
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
            # Copy all pages in one step: between steps, a concurrent write would restart the copy.
            live.backup(copy, pages=-1)
            # Turn off write-ahead logging in the copy, so that it is a single file.
            copy.execute("PRAGMA journal_mode=DELETE")
            (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise StoreDamaged(_damaged(source, verdict))
    except sqlite3.DatabaseError as error:
        if "malformed" in str(error) or "not a database" in str(error):
            raise StoreDamaged(_damaged(source, str(error))) from error
        raise BackupFailed(f"{source} cannot be backed up: {error}. Check the free disk space.") from error


def fingerprint(path: Path, known: Known) -> str:
    """SHA-256 of a file in hexadecimal; taken from `known` if the file has not changed since it was hashed."""
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if key not in known:
        known[key] = sha256_file(path)
    return known[key]


def held_still(source: Path, target: Path) -> Content:
    """Copy a file that may be changing, and return the content of the copy."""
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as file, target.open("wb") as copy:
        while piece := file.read(CHUNK):
            copy.write(piece)
            digest.update(piece)
            size += len(piece)
    shutil.copymode(source, target)
    return Content(digest.hexdigest(), size, source.stat().st_mode & 0o777)


def _damaged(path: Path, reason: str) -> str:
    return (
        f"{path} is damaged ({reason}) and was not backed up; older backups are unchanged. "
        "Move the home away and restore the newest backup."
    )

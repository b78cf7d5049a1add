"""Bringing a home back: everything is fetched and checked aside, and only then moved to where it belongs.

HOME/.restoring-…   being fetched: of no worth if it is cut off
HOME/.restored      whole and checked: moving it into place goes on after a kill
"""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from feedback_store.backup import manifest
from feedback_store.backup.home_files import is_empty
from feedback_store.backup.location import BackupLocation
from feedback_store.backup.manifest import DATABASE, Backup
from feedback_store.errors import BackupDamaged, BackupFailed, HomeNotEmpty, NoBackup

_FETCHING, _WHOLE = ".restoring-", ".restored"


@dataclass(frozen=True)
class Restored:
    """The backup that was restored, and what was wrong with newer ones that had to be passed over."""

    backup: Backup
    passed_over: Sequence[str]


def backups(url: str) -> list[Backup]:
    """The backups of a place, the oldest first; damaged ones are left out. Raises: BackupFailed, MissingDependency."""
    place = BackupLocation(url)
    found = []
    for backup_id in _ids(place):
        try:
            found.append(_manifest(place, backup_id))
        except BackupDamaged:
            continue
    return found


def restore(home: Path, url: str, backup_id: str | None = None, *, quiet: bool = True) -> Restored:
    """Fill an empty home with a backup: the one that is named, or the newest that is sound.

    Raises: HomeNotEmpty, NoBackup, BackupDamaged, BackupFailed, MissingDependency. The home is then as it was.
    """
    finish(home)
    if not is_empty(home):
        raise HomeNotEmpty(
            f"{home} is not empty, and a backup is never written over a home. Name an empty folder, or move it away."
        )
    place = BackupLocation(url)
    ids = _ids(place)
    if not ids or (backup_id is not None and backup_id not in ids):
        known = f" It has: {', '.join(ids)}." if ids else ""
        raise NoBackup(f"There is no backup{f' {backup_id}' * bool(backup_id)} at {place.url}.{known}")
    passed_over: list[str] = []
    for one in [backup_id] if backup_id is not None else reversed(ids):
        try:
            backup = _manifest(place, one)
            _fetch(home, place, backup, quiet)
        except BackupDamaged as error:
            passed_over.append(str(error))
            continue
        finish(home)
        return Restored(backup, passed_over)
    raise BackupDamaged(f"Nothing was restored from {place.url}. {' '.join(passed_over)}")


def restore_if_empty(home: Path, url: str, *, quiet: bool = True) -> Restored | None:
    """What an app does at its start: nothing where the home holds something, or where no backup was ever made.

    A dataset or bucket of the Hub that does not exist is made, so that a missing token is told now and not when
    the first backup is due. Raises: BackupDamaged, BackupFailed, MissingDependency: going on without what was
    saved would in the end push it out.
    """
    finish(home)
    if not is_empty(home):
        return None
    BackupLocation(url, create=True)
    try:
        return restore(home, url, quiet=quiet)
    except NoBackup:
        return None


def finish(home: Path) -> None:
    """Move what was fetched and checked into place, also for a restore that was cut off; clear what was not.

    Raises: BackupFailed.
    """
    for left in home.glob(f"{_FETCHING}*"):
        shutil.rmtree(left, ignore_errors=True)
    whole = home / _WHOLE
    if not whole.is_dir():
        return
    try:
        moving = sorted(path for path in whole.rglob("*") if path.is_file())
        # The database last: a home without one is still being restored.
        for path in sorted(moving, key=lambda one: one == whole / DATABASE):
            target = home / path.relative_to(whole)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
        shutil.rmtree(whole)
    except OSError as error:
        raise BackupFailed(
            f"{home} is restored in part: {error.strerror or error}. Free what holds it and start again to go on."
        ) from error


def _fetch(home: Path, place: BackupLocation, backup: Backup, quiet: bool) -> None:
    """Bring a backup into HOME/.restored, checked. Raises: BackupDamaged, BackupFailed."""
    there = place.sizes()
    for name, content in backup.files.items():
        if there.get(content.place) != content.size:
            raise BackupDamaged(f"Backup {backup.id} has lost its {name}.")
    aside = None
    try:
        home.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=_FETCHING, dir=home))
        with tqdm(
            total=backup.size, desc="restoring", unit="B", unit_scale=True, disable=quiet or None
        ) as bar:
            for name, content in backup.files.items():
                target = aside / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if place.fetch(content.place, target, bar.update) != content.sha256:
                    raise BackupDamaged(f"The {name} of backup {backup.id} is not the file that was saved.")
                target.chmod(content.mode)
        aside.replace(home / _WHOLE)
    except OSError as error:
        raise BackupFailed(
            f"The backup cannot be restored into {home}: {error.strerror or error}. "
            "Look at its permissions and the space left."
        ) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def _manifest(place: BackupLocation, backup_id: str) -> Backup:
    return manifest.read(backup_id, place.read(f"{manifest.FOLDER}/{backup_id}.json"))


def _ids(place: BackupLocation) -> list[str]:
    """Of all backups, the oldest first."""
    return sorted(filter(None, map(manifest.id_of, place.sizes())))

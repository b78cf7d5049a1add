"""Restore a home from a backup: download and check everything in a hidden folder, then move it into place.

HOME/.restoring-…   download in progress; discarded if the restore is interrupted
HOME/.restored      complete and checked; moving it into place continues after an interruption
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

_DOWNLOADING, _COMPLETE = ".restoring-", ".restored"


@dataclass(frozen=True)
class Restored:
    """The backup that was restored, and in `passed_over` why each newer one could not be."""

    backup: Backup
    passed_over: Sequence[str]


def backups(url: str) -> list[Backup]:
    """The undamaged backups at a URL, oldest first. Raises: BackupFailed, MissingDependency."""
    location = BackupLocation(url)
    undamaged = []
    for backup_id in _ids(location):
        try:
            undamaged.append(_manifest(location, backup_id))
        except BackupDamaged:
            continue
    return undamaged


def restore(home: Path, url: str, backup_id: str | None = None, *, quiet: bool = True) -> Restored:
    """Restore the backup `backup_id`, or else the newest undamaged one, into an empty home.

    Raises: HomeNotEmpty, NoBackup, BackupDamaged, BackupFailed, MissingDependency. The home then stays unchanged.
    """
    finish(home)
    if not is_empty(home):
        raise HomeNotEmpty(
            f"{home} is not empty, and a backup is never written over a home. Choose an empty folder."
        )
    location = BackupLocation(url)
    ids = _ids(location)
    if not ids or (backup_id is not None and backup_id not in ids):
        available = f" Available: {', '.join(ids)}." if ids else ""
        raise NoBackup(f"There is no backup{f' {backup_id}' * bool(backup_id)} at {location.url}.{available}")
    passed_over: list[str] = []
    for candidate_id in [backup_id] if backup_id is not None else reversed(ids):
        try:
            backup = _manifest(location, candidate_id)
            _download(home, location, backup, quiet)
        except BackupDamaged as error:
            passed_over.append(str(error))
            continue
        finish(home)
        return Restored(backup, passed_over)
    raise BackupDamaged(f"No backup at {location.url} could be restored. {' '.join(passed_over)}")


def restore_if_empty(home: Path, url: str, *, quiet: bool = True) -> Restored | None:
    """Restore the newest backup at the start of an app; None if the home is not empty or no backup exists.

    A missing dataset or bucket on the Hub is created, so that a missing token is reported now and not at the
    first backup. Raises: BackupDamaged, BackupFailed, MissingDependency: an app that started without the saved
    data would in time replace all its backups.
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
    """Move completely downloaded files into place, also those of an interrupted restore; delete incomplete ones.

    Raises: BackupFailed.
    """
    for incomplete in home.glob(f"{_DOWNLOADING}*"):
        shutil.rmtree(incomplete, ignore_errors=True)
    complete = home / _COMPLETE
    if not complete.is_dir():
        return
    try:
        paths = sorted(path for path in complete.rglob("*") if path.is_file())
        # Move the database last: a home without one counts as still being restored.
        for path in sorted(paths, key=lambda path: path == complete / DATABASE):
            target = home / path.relative_to(complete)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
        shutil.rmtree(complete)
    except OSError as error:
        raise BackupFailed(
            f"{home} is only partly restored: {error.strerror or error}. Remove the cause and start again to continue."
        ) from error


def _download(home: Path, location: BackupLocation, backup: Backup, quiet: bool) -> None:
    """Download a backup into HOME/.restored and check every hash. Raises: BackupDamaged, BackupFailed."""
    stored = location.sizes()
    for name, content in backup.files.items():
        if stored.get(content.place) != content.size:
            raise BackupDamaged(f"The {name} of backup {backup.id} is missing or incomplete.")
    temporary = None
    try:
        home.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=_DOWNLOADING, dir=home))
        with tqdm(
            total=backup.size, desc="restoring", unit="B", unit_scale=True, disable=quiet or None
        ) as bar:
            for name, content in backup.files.items():
                target = temporary / name
                target.parent.mkdir(parents=True, exist_ok=True)
                if location.fetch(content.place, target, bar.update) != content.sha256:
                    raise BackupDamaged(f"The {name} of backup {backup.id} is damaged: its SHA-256 differs.")
                target.chmod(content.mode)
        temporary.replace(home / _COMPLETE)
    except OSError as error:
        raise BackupFailed(
            f"The backup cannot be restored into {home}: {error.strerror or error}. "
            "Check its permissions and the free disk space."
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _manifest(location: BackupLocation, backup_id: str) -> Backup:
    return manifest.read(backup_id, location.read(f"{manifest.FOLDER}/{backup_id}.json"))


def _ids(location: BackupLocation) -> list[str]:
    """The ids of all backups, oldest first."""
    return sorted(filter(None, map(manifest.id_of, location.sizes())))

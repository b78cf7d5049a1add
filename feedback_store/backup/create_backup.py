"""Make a backup: upload the database, the files and the manifest, in this order; then remove old backups."""

import logging
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from feedback_store.backup import home_files, manifest
from feedback_store.backup.home_files import Known
from feedback_store.backup.location import BackupLocation, Progress
from feedback_store.backup.manifest import DATABASE, Backup, Content
from feedback_store.backup.old_backups import remove_old
from feedback_store.database.store_location import checked_url, store_of
from feedback_store.errors import BackupDamaged, BackupFailed, StoreUnavailable

log = logging.getLogger(__name__)
KEEP = 10


@dataclass(frozen=True)
class Saved:
    """The backup that matches the home now.

    `new` is false where the previous backup already matched; `sent` counts the uploaded bytes. `elsewhere` says, if
    the home's store is not in the home, that the feedback is not in the backup.
    """

    backup: Backup
    new: bool
    sent: int
    elsewhere: str = ""


def back_up(
    home: Path, url: str, *, keep: int = KEEP, known: Known | None = None, quiet: bool = True
) -> Saved:
    """Back up a home to `url`, and remove all but the newest `keep` backups there.

    Content that is already stored is not uploaded again. The store may be written to meanwhile. Pass the same
    `known` to later calls to avoid hashing unchanged files again.
    Raises: BackupFailed, StoreDamaged, MissingDependency; older backups then remain unchanged.
    """
    if home_files.is_empty(home):
        raise BackupFailed(f"{home} contains nothing to back up. Check the name of the folder.")
    location = BackupLocation(url, create=True)
    if location.folder is not None and location.folder.resolve().is_relative_to(home.resolve()):
        raise BackupFailed(
            f"{location.folder} lies inside the home, so the backup would be lost with it. Choose another folder."
        )
    try:
        with (
            tempfile.TemporaryDirectory(prefix="thumbtune-backup-") as scratch,
            tqdm(desc="backing up", unit="B", unit_scale=True, disable=quiet or None) as bar,
        ):
            saved = _save(home, location, keep, {} if known is None else known, Path(scratch), bar)
            return replace(saved, elsewhere=_elsewhere(home))
    except OSError as error:
        raise BackupFailed(
            f"{home} cannot be backed up: {error.strerror or error}. Check its permissions and the free disk space."
        ) from error


def _elsewhere(home: Path) -> str:
    store = store_of(home)
    if isinstance(store, Path):
        return ""
    try:
        where = checked_url(store).render_as_string()  # without the password
    except StoreUnavailable:
        where = "another database"
    return (
        f"The feedback is not in this backup: the store of {home} is {where}. "
        "Back that up with its own tools, such as pg_dump."
    )


def _save(
    home: Path, location: BackupLocation, keep: int, known: Known, scratch: Path, bar: "tqdm[None]"
) -> Saved:
    stored = location.sizes()
    bar.total = sum(path.stat().st_size for _, path in home_files.files(home))
    contents: dict[str, Content] = {}
    sent = 0
    # The database comes before the files, so that the files include every snapshot and version that it names.
    if (home / DATABASE).exists():
        copy = scratch / DATABASE
        bar.total += (home / DATABASE).stat().st_size
        home_files.copy_database(home / DATABASE, copy)
        content = Content(home_files.fingerprint(copy, {}), copy.stat().st_size, 0o600)
        sent += _upload(location, copy, content, stored, bar.update)
        contents[DATABASE] = content
        copy.unlink()
    for name, path in home_files.files(home):
        with suppress(FileNotFoundError):  # deleted since it was listed
            content, sent_bytes = _upload_file(location, path, scratch / "file", known, stored, bar.update)
            contents[name] = content
            sent += sent_bytes
    backups = _undamaged(location, stored)
    newest = max(backups, default=None)
    if newest is not None and backups[newest].files == contents:
        return Saved(backups[newest], False, sent)
    backup, text = manifest.written(contents, max(map(_id, stored), default="") or None)
    (scratch / "manifest").write_bytes(text)
    location.put(scratch / "manifest", backup.place, lambda _: None)
    try:
        remove_old(location, keep, backups | {backup.id: backup}, stored)
    except BackupFailed as error:  # the backup is complete; the next one tries again to remove old ones
        log.warning("Old backups were not removed: %s", error)
    return Saved(backup, True, sent)


def _upload_file(
    location: BackupLocation, path: Path, copy: Path, known: Known, stored: dict[str, int], progress: Progress
) -> tuple[Content, int]:
    """Upload a file unless its content is stored already. Returns the content and the number of bytes sent."""
    stat = path.stat()
    content = Content(home_files.fingerprint(path, known), stat.st_size, stat.st_mode & 0o777)
    if stored.get(content.place) == content.size:
        progress(content.size)
        return content, 0
    # Upload a copy: a file that changes during the upload would be stored under the wrong hash.
    content = home_files.held_still(path, copy)
    return content, _upload(location, copy, content, stored, progress)


def _upload(
    location: BackupLocation, path: Path, content: Content, stored: dict[str, int], progress: Progress
) -> int:
    # A partial file of a killed backup has a different size, and is written again.
    if stored.get(content.place) == content.size:
        progress(content.size)
        return 0
    location.put(path, content.place, progress)
    stored[content.place] = content.size
    return content.size


def _undamaged(location: BackupLocation, stored: Mapping[str, int]) -> dict[str, Backup]:
    """The backups with an undamaged manifest, by id."""
    backups: dict[str, Backup] = {}
    for backup_id in filter(None, map(_id, stored)):
        with suppress(BackupDamaged):
            backups[backup_id] = manifest.read(
                backup_id, location.read(f"{manifest.FOLDER}/{backup_id}.json")
            )
    return backups


def _id(name: str) -> str:
    return manifest.id_of(name) or ""

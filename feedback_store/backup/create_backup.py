"""Making a backup: the database first, then the files, then the manifest, and last what is too old goes."""

import logging
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from feedback_store.backup import home_files as home_
from feedback_store.backup import manifest
from feedback_store.backup.home_files import Known
from feedback_store.backup.location import BackupLocation, Progress
from feedback_store.backup.manifest import DATABASE, Backup, Content
from feedback_store.errors import BackupDamaged, BackupFailed

log = logging.getLogger(__name__)
KEEP = 10
# What no backup names may be one that another process is about to write. Older than this it is rubbish.
RUBBISH_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Saved:
    """The backup that now holds the home. `new` is false where the one before did already; `sent` is in bytes."""

    backup: Backup
    new: bool
    sent: int


def back_up(
    home: Path, url: str, *, keep: int = KEEP, known: Known | None = None, quiet: bool = True
) -> Saved:
    """Copy a home to a place, which keeps the last `keep` backups; what lies there already is not sent again.

    People may write into the store meanwhile. `known` spares a later call the reading of unchanged files.
    Raises: BackupFailed, StoreDamaged, MissingDependency; older backups are then as they were.
    """
    if home_.is_empty(home):
        raise BackupFailed(f"There is nothing in {home} to back up. Check the folder's name.")
    place = BackupLocation(url, create=True)
    if place.folder is not None and place.folder.resolve().is_relative_to(home.resolve()):
        raise BackupFailed(
            f"{place.folder} lies inside the home, and would be lost with it. Name another place."
        )
    try:
        with (
            tempfile.TemporaryDirectory(prefix="thumbtune-backup-") as scratch,
            tqdm(desc="backing up", unit="B", unit_scale=True, disable=quiet or None) as bar,
        ):
            return _save(home, place, keep, {} if known is None else known, Path(scratch), bar)
    except OSError as error:
        raise BackupFailed(
            f"{home} cannot be backed up: {error.strerror or error}. Look at its permissions and the space left."
        ) from error


def _save(
    home: Path, place: BackupLocation, keep: int, known: Known, scratch: Path, bar: "tqdm[None]"
) -> Saved:
    there = place.sizes()
    bar.total = sum(path.stat().st_size for _, path in home_.files(home))
    contents: dict[str, Content] = {}
    sent = 0
    # Before the files: every snapshot and version that the database names is then among them.
    if (home / DATABASE).exists():
        copy = scratch / DATABASE
        bar.total += (home / DATABASE).stat().st_size
        home_.copy_database(home / DATABASE, copy)
        content = Content(home_.fingerprint(copy, {}), copy.stat().st_size, 0o600)
        sent += _send(place, copy, content, there, bar.update)
        contents[DATABASE] = content
        copy.unlink()
    for name, path in home_.files(home):
        with suppress(FileNotFoundError):  # deleted by its owner since it was listed
            content, new = _keep_file(place, path, scratch / "file", known, there, bar.update)
            contents[name] = content
            sent += new
    made = _sound(place, there)
    newest = max(made, default=None)
    if newest is not None and made[newest].files == contents:
        return Saved(made[newest], False, sent)
    backup, text = manifest.written(contents, max(map(_id, there), default="") or None)
    (scratch / "manifest").write_bytes(text)
    place.put(scratch / "manifest", backup.place, lambda _: None)
    try:
        _tidy(place, keep, made | {backup.id: backup}, there)
    except BackupFailed as error:  # the backup itself is there; the next one tidies again
        log.warning("Old backups were not removed: %s", error)
    return Saved(backup, True, sent)


def _keep_file(
    place: BackupLocation, path: Path, copy: Path, known: Known, there: dict[str, int], progress: Progress
) -> tuple[Content, int]:
    """See that a file's content is in the place. Returns it, and how many bytes were sent."""
    now = path.stat()
    content = Content(home_.fingerprint(path, known), now.st_size, now.st_mode & 0o777)
    if there.get(content.place) == content.size:
        progress(content.size)
        return content, 0
    # From a copy: a file that changes while it is sent would lie there under a false name.
    content = home_.held_still(path, copy)
    return content, _send(place, copy, content, there, progress)


def _send(
    place: BackupLocation, path: Path, content: Content, there: dict[str, int], progress: Progress
) -> int:
    # Half a file, of a backup that was killed, has another size: it is written again.
    if there.get(content.place) == content.size:
        progress(content.size)
        return 0
    place.put(path, content.place, progress)
    there[content.place] = content.size
    return content.size


def _sound(place: BackupLocation, there: Mapping[str, int]) -> dict[str, Backup]:
    """All backups of a place whose manifests are whole, by id."""
    found: dict[str, Backup] = {}
    for backup_id in filter(None, map(_id, there)):
        with suppress(BackupDamaged):
            found[backup_id] = manifest.read(backup_id, place.read(f"{manifest.FOLDER}/{backup_id}.json"))
    return found


def _tidy(place: BackupLocation, keep: int, made: Mapping[str, Backup], there: Mapping[str, int]) -> None:
    """Remove all but the last `keep` backups, what only they held, and what was left half done long ago."""
    kept = set(sorted(made)[-keep:])
    needed = {made[one].place for one in kept} | {
        content.place for one in kept for content in made[one].files.values()
    }
    past = [made[one].place for one in made if one not in kept]
    held = {content.place for one in made if one not in kept for content in made[one].files.values()}
    ours = (name for name in there if name.startswith(("files/", f"{manifest.FOLDER}/")))
    rubbish = {
        name
        for name in ours
        if name not in needed and name not in held and name not in past
        if place.age(name) > RUBBISH_SECONDS
    }
    # A manifest goes before what it names: what is cut off here is no backup that lacks a file.
    place.remove(past)
    place.remove(sorted((held - needed) | rubbish))


def _id(name: str) -> str:
    return manifest.id_of(name) or ""

"""Which old backups are removed, and what only they used."""

from collections.abc import Iterable, Mapping

from feedback_store.backup import manifest
from feedback_store.backup.location import BackupLocation
from feedback_store.backup.manifest import Backup

# Another process may still be uploading a file that no manifest names yet. Older files of that kind are abandoned.
ABANDONED_SECONDS = 24 * 3600.0


def remove_old(
    location: BackupLocation, keep: int, backups: Mapping[str, Backup], stored: Mapping[str, int]
) -> None:
    """Remove all but the newest `keep` backups, the content that only they used, and abandoned files."""
    kept = set(sorted(backups)[-keep:])
    removed = set(backups) - kept
    needed = {backups[backup_id].place for backup_id in kept} | _content_names(backups, kept)
    old_manifests = [backups[backup_id].place for backup_id in backups if backup_id in removed]
    old_contents = _content_names(backups, removed)
    backup_files = (name for name in stored if name.startswith(("files/", f"{manifest.FOLDER}/")))
    abandoned = {
        name
        for name in backup_files
        if name not in needed and name not in old_contents and name not in old_manifests
        if location.age(name) > ABANDONED_SECONDS
    }
    # Manifests go first: an interruption here must not leave a manifest whose files are gone.
    location.remove(old_manifests)
    location.remove(sorted((old_contents - needed) | abandoned))


def _content_names(backups: Mapping[str, Backup], ids: Iterable[str]) -> set[str]:
    """The stored names of all contents of some backups."""
    return {content.place for backup_id in ids for content in backups[backup_id].files.values()}

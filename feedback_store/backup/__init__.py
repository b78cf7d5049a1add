"""Back up a home to a folder or an object store, while the app runs, and restore it from there.

A backup holds the database and every file beside it, below one URL:

    URL/files/ab/ab12…                            each distinct content once, named by its SHA-256
    URL/backups/20261124T224300000000Z-1f….json   a manifest: which content each path of the home had

The manifest is written last, and a backup without one does not exist. A backup that is interrupted therefore
leaves the previous one as the newest. A manifest's name contains the hash of its text, so a truncated manifest
is recognised. A restore checks every hash before it moves the first file into the home.
"""

from feedback_store.backup.create_backup import back_up
from feedback_store.backup.manifest import Backup
from feedback_store.backup.restore_backup import finish, restore, restore_if_empty
from feedback_store.backup.schedule import Schedule

__all__ = ["Backup", "Schedule", "back_up", "finish", "restore", "restore_if_empty"]

"""Copies of a whole home elsewhere: the database, while people write into it, and every file beside it.

    URL/files/ab/ab12…                      each content once, named by its SHA-256
    URL/backups/20261124T224300000000Z-1f….json   a backup: which content stood where

A backup exists once its manifest does, and the manifest is written last: what was cut off before is no backup,
and the one before it stays in force. A manifest's name holds the hash of its own text, so half of one is none.
Restoring checks every hash before the first file reaches the home.
"""

from feedback_store.backup.create_backup import back_up
from feedback_store.backup.manifest import Backup
from feedback_store.backup.restore_backup import finish, restore, restore_if_empty
from feedback_store.backup.schedule import Schedule

__all__ = ["Backup", "Schedule", "back_up", "finish", "restore", "restore_if_empty"]

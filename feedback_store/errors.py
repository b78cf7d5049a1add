"""What can go wrong with the store. Each message says what happened, why, and what to do."""


class StoreError(Exception):
    """Root of every error this package raises on purpose."""


class StoreMissing(StoreError):
    """No store exists at the place that was named, and none was to be made."""


class NotAStore(StoreError):
    """The file is not a database, or a database that belongs to something else."""


class NewerSchema(StoreError):
    """The store was written by a newer release of this package."""


class StoreUnwritable(StoreError):
    """The place cannot be written: permissions, a full disk, a path that is not a file."""


class StoreDamaged(StoreError):
    """The database says that its own pages are damaged."""


class StoreUnavailable(StoreError):
    """The database cannot be reached, or stayed locked longer than the patience of a writer."""


class StoreConflict(StoreError):
    """Somebody else wrote or forgot what a write rests on, at the same moment. Nothing was written."""


class UnknownRater(StoreError, LookupError):
    """No rater has this id."""


class UnknownConversation(StoreError, LookupError):
    """No conversation has this id."""


class UnknownMessage(StoreError, LookupError):
    """No message has this id in the conversation that was named."""


class UnknownReply(StoreError, LookupError):
    """No reply has this id."""


class InvalidMessage(StoreError, ValueError):
    """A message or reply has a field that cannot be stored as it is."""


class InvalidRating(StoreError, ValueError):
    """A rating has a value, reason or comment outside what a rating can be."""


class InvalidCorrection(StoreError, ValueError):
    """A correction is no text that can be stored, or too long."""


class InvalidComparison(StoreError, ValueError):
    """A comparison has a choice that does not exist, or two replies that do not answer the same message."""


class InvalidRules(StoreError, ValueError):
    """A rule for making rows has a value that can select nothing sensible."""


class SnapshotError(StoreError):
    """A snapshot cannot be written, read or recorded."""


class SnapshotDamaged(SnapshotError):
    """A snapshot's folder does not hold what its manifest says."""


class UnknownSnapshot(StoreError, LookupError):
    """No snapshot has this id."""


class MissingDependency(StoreError, ImportError):
    """A package that is not needed for serving is needed now, and is not installed."""


class ImportFailed(StoreError):
    """A file of another system could not be imported. The message says how far the import came."""


class FileDamaged(ImportFailed):
    """The file is cut off, in another encoding, or not in any format that importers read."""


class NothingUsable(ImportFailed):
    """No row of the file can be used: most often it is another system's file."""


class PushFailed(StoreError):
    """The Hub did not take an export."""


class BackupFailed(StoreError):
    """A backup could not be written or restored: the place, the network, the disk. Older backups stay in force."""


class NoBackup(BackupFailed):
    """The place holds no backup, or none of that name."""


class BackupDamaged(BackupFailed):
    """A backup does not hold what its manifest says. Nothing was restored from it."""


class HomeNotEmpty(BackupFailed):
    """A backup is restored into an empty home only: nothing is ever written over."""

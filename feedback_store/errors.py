"""Errors of this package. Each message says what happened, why, and what to do."""


class StoreError(Exception):
    """Base class of the errors in this package."""


class StoreMissing(StoreError):
    """No store exists at the given location, and it was not to be created."""


class NotAStore(StoreError):
    """The file is not a database, or a database that belongs to something else."""


class NewerSchema(StoreError):
    """The store was written by a newer release of this package."""


class StoreUnwritable(StoreError):
    """The location cannot be written: permissions, a full disk, a path that is not a file."""


class StoreDamaged(StoreError):
    """The database reports that its own pages are damaged."""


class StoreUnavailable(StoreError):
    """The database cannot be reached, or stayed locked for longer than a writer waits."""


class StoreConflict(StoreError):
    """Data that a write refers to was changed or forgotten at the same moment. Nothing was written."""


class UnknownRater(StoreError, LookupError):
    """No rater has this id."""


class UnknownConversation(StoreError, LookupError):
    """No conversation has this id."""


class UnknownMessage(StoreError, LookupError):
    """No message of the given conversation has this id."""


class UnknownReply(StoreError, LookupError):
    """No reply has this id."""


class InvalidMessage(StoreError, ValueError):
    """A message or reply has a field that cannot be stored unchanged."""


class InvalidRating(StoreError, ValueError):
    """A rating has an invalid value, reason, comment or rater id."""


class InvalidCorrection(StoreError, ValueError):
    """A correction is too long, or text that cannot be stored."""


class InvalidComparison(StoreError, ValueError):
    """A comparison has an unknown choice, or two replies that do not answer the same message."""


class InvalidRules(StoreError, ValueError):
    """A rule for making rows has a value that cannot select anything."""


class SnapshotError(StoreError):
    """A snapshot cannot be written, read or recorded."""


class SnapshotDamaged(SnapshotError):
    """A snapshot's folder does not hold what its manifest says."""


class UnknownSnapshot(StoreError, LookupError):
    """No snapshot has this id."""


class UnknownImport(StoreError, LookupError):
    """No import has this id."""


class MissingDependency(StoreError, ImportError):
    """An optional package is needed and not installed."""


class ImportFailed(StoreError):
    """A file of another system could not be imported. The message says how many rows were imported."""


class FileDamaged(ImportFailed):
    """The file is truncated, in another encoding, or in no format that importers read."""


class NothingUsable(ImportFailed):
    """No row of the file can be used. Usually the file is of another system than the one given."""


class PushFailed(StoreError):
    """The Hub did not accept an export."""


class BackupFailed(StoreError):
    """A backup could not be written or restored. Older backups remain valid."""


class NoBackup(BackupFailed):
    """The location holds no backup, or none with that name."""


class BackupDamaged(BackupFailed):
    """A backup does not match its manifest. Nothing was restored from it."""


class HomeNotEmpty(BackupFailed):
    """A backup can be restored into an empty home only: restoring never overwrites a file."""

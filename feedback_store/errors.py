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

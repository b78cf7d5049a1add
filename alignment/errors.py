"""Errors of training. Each message says what happened, why, and what to do."""

import errno

from assistant.events.event_error import EventError


class AlignmentError(EventError):
    """Root of every error that training raises on purpose."""


class DataError(AlignmentError):
    """There are no rows to train on, or they cannot be used."""


class TrainingError(AlignmentError):
    """Training failed, for example with a loss that is not a number."""


class FlagError(AlignmentError):
    """A stage has no such flag, or a configuration file has a key that is no flag of the stage."""


class TrackerError(AlignmentError):
    """The tracker for training curves is unknown or not installed."""


class PolicyError(AlignmentError):
    """A policy has an unknown key or a value that cannot be used."""


class ComparisonError(AlignmentError):
    """Two versions cannot be compared: their measures or prompts differ, or there are no answers."""


class LockError(AlignmentError):
    """Another process is running a cycle on the same home."""


class CycleError(AlignmentError):
    """A cycle, or a live comparison, cannot begin or go on."""


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or its cause, is a full disk.

    Libraries written in Rust and SQLite raise errors without an errno, so their texts are searched too.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(text in str(error) for text in ("No space left on device", "os error 28", "disk is full")):
            return True
        error = error.__cause__ or error.__context__
    return False

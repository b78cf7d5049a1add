"""Errors of training, meant for the person who started it: what happened, why, what to do."""

import errno


class AlignmentError(Exception):
    """Root of every error that training raises on purpose."""


class DataError(AlignmentError):
    """There are no rows to train on, or they cannot be used."""


class TrainingError(AlignmentError):
    """Training itself went wrong, for example a loss that is not a number."""


class FlagError(AlignmentError):
    """A stage has no such flag, or a configuration file has a key that is no flag of the stage."""


class TrackerError(AlignmentError):
    """Curves cannot be sent where they should go: no such tracker, or it is not installed."""


class PolicyError(AlignmentError):
    """A policy has an unknown key or a value that cannot be used."""


class ComparisonError(AlignmentError):
    """Two versions cannot be compared: not the same measures, not the same prompts, or no answers."""


class LockError(AlignmentError):
    """Another process is at work on the same home."""


class CycleError(AlignmentError):
    """A cycle, or a live comparison, cannot begin or go on."""


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or what it came of, is that the disk is full. Libraries say it in words of their own."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(error) for words in ("No space left on device", "os error 28", "disk is full")):
            return True
        error = error.__cause__ or error.__context__
    return False

"""Errors of training, meant for the person who started it: what happened, why, what to do."""


class AlignmentError(Exception):
    """Root of every error that training raises on purpose."""


class DataError(AlignmentError):
    """There are no rows to train on, or they cannot be used."""


class TrainingError(AlignmentError):
    """Training itself went wrong, for example a loss that is not a number."""


class PolicyError(AlignmentError):
    """A policy has an unknown key or a value that cannot be used."""


class ComparisonError(AlignmentError):
    """Two versions cannot be compared: not the same measures, not the same prompts, or no answers."""


class LockError(AlignmentError):
    """Another process is at work on the same home."""


class CycleError(AlignmentError):
    """A cycle, or a live comparison, cannot begin or go on."""

"""Errors of training. Each message says what happened, why, and what to do."""

import errno

from assistant.errors import AssistantError
from assistant.events.event import Event
from assistant.events.event_error import EventError, event_of
from feedback_store import StoreError


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


class ExportError(AlignmentError):
    """A version cannot be written in the format that was asked for, or the Hub did not take it."""


class LockError(AlignmentError):
    """Another process is running a cycle on the same home."""


class CycleError(AlignmentError):
    """A cycle, or a live comparison, cannot begin or go on."""


def is_explained(error: BaseException) -> bool:
    """Whether an error was raised on purpose, with a message for people."""
    return isinstance(error, AlignmentError | AssistantError | StoreError)


def explain(error: BaseException) -> Event:
    """An error as an event: what it says itself, a full disk, too little memory, or that nobody foresaw it."""
    if is_disk_full(error):
        return Event.of("disk_full")
    if is_explained(error):
        return event_of(error)
    if is_out_of_memory(error):
        return Event.of("out_of_memory")
    return Event.of("unexpected", kind=type(error).__name__, text=str(error))


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or its cause, is that memory could not be had; torch says so in texts alone on a CPU."""
    while error is not None:
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        if any(
            text in str(error)
            for text in ("an't allocate memory", "annot allocate memory", "not enough memory")
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


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

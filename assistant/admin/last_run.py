"""How the last run of `python -m alignment cycle` on a home ended, whoever started it.

HOME/cycles/last_run.json   the run's process, when it began, and when it ended; a run that was killed leaves no end
HOME/cycles/failure.json    the last failure of a run, until an admin has seen it on the dashboard
"""

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from assistant.events.event import Event, event_from
from assistant.registry.versions import now
from feedback_store.atomic_files import write_atomically


@dataclass(frozen=True)
class LastRun:
    """One run, as HOME/cycles/last_run.json holds it."""

    pid: int
    created: float
    """When the operating system started the process: another process may have its number by now."""
    host: str
    began: str
    ended: str = ""

    def was_killed(self) -> bool:
        """Whether its process is gone and left no word. One on another machine cannot be seen from here."""
        return not (self.ended or self.is_running())

    def is_running(self) -> bool:
        """Whether it goes on, as far as can be seen from here."""
        elsewhere = self.host != socket.gethostname()
        return not self.ended and (elsewhere or living_process(self.pid, self.created) is not None)


@dataclass(frozen=True)
class RunFailure:
    """A run that failed."""

    at: str
    event: Event
    """What happened, why, and what to do."""


def living_process(pid: int, created: float) -> psutil.Process | None:
    """The process with this number that was started then, or None if it has ended."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created) < 1
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


@contextlib.contextmanager
def recorded(home: Path, explain: Callable[[Exception], Event]) -> Iterator[None]:
    """Record a run of this process; if it raises an error, as `explain` describes it. Ctrl-C is no failure."""
    if (before := failure(home)) is not None:
        # An earlier run that was killed: its record gives way to this run's.
        _write_failure(home, before)
    run = LastRun(os.getpid(), psutil.Process().create_time(), socket.gethostname(), now())
    _write(home / "cycles" / "last_run.json", asdict(run))
    try:
        yield
    except Exception as error:
        _write_failure(home, RunFailure(now(), explain(error)))
        mark_ended(home)
        raise
    except KeyboardInterrupt:
        mark_ended(home)
        raise
    mark_ended(home)


def failure(home: Path) -> RunFailure | None:
    """The last failure that no admin has seen yet; None if there is none, or while a run goes on."""
    content = _read(home / "cycles" / "failure.json")
    try:
        event = event_from(content["event"])
        if event is not None:
            return RunFailure(str(content["at"]), event)
    except (KeyError, TypeError):
        pass
    run = _last_run(home)
    if run is not None and run.was_killed():
        return RunFailure(run.began, Event.of("cycle_run_killed"))
    return None


def is_running(home: Path) -> bool:
    """Whether a run goes on now, whoever started it."""
    run = _last_run(home)
    return run is not None and run.is_running()


def mark_seen(home: Path) -> None:
    """An admin has seen the last failure."""
    drop_failure(home)
    mark_ended(home)


def drop_failure(home: Path) -> None:
    """Nobody needs to see the last failure any more."""
    (home / "cycles" / "failure.json").unlink(missing_ok=True)


def mark_ended(home: Path) -> None:
    """The last run has ended: by itself, or because an admin cancelled it. Nothing to do while another run goes on."""
    run = _last_run(home)
    if run is not None and (run.was_killed() or run.pid == os.getpid()):
        _write(home / "cycles" / "last_run.json", asdict(replace(run, ended=now())))


def _last_run(home: Path) -> LastRun | None:
    try:
        return LastRun(**_read(home / "cycles" / "last_run.json"))
    except TypeError:
        return None


def _write_failure(home: Path, failed: RunFailure) -> None:
    _write(home / "cycles" / "failure.json", {"at": failed.at, "event": failed.event.content()})


def _write(path: Path, content: dict[str, Any]) -> None:
    # What cannot be recorded, on a full disk, must not hide the failure itself.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(content, ensure_ascii=False) + "\n")


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None

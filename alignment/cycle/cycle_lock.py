"""One cycle at a time in a home: a file that names the process which holds it.

A process that was killed leaves its file. It is recognised by what no other process shares: the machine, its boot, the
process id, and when that process started in ticks since the boot. No clock of the wall is asked, so that one set back
changes nothing.
"""

import contextlib
import json
import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from alignment.errors import LockError

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock at `path`. Raises LockError if a living process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    mine.write_text(json.dumps(holder(os.getpid())), encoding="utf-8")
    try:
        _take(path, mine)
        yield
    finally:
        # Only what is ours: links to one file have one inode.
        with contextlib.suppress(OSError):
            if path.samefile(mine):
                path.unlink()
        mine.unlink(missing_ok=True)


def _take(path: Path, mine: Path) -> None:
    for _ in range(10):
        try:
            # Making a link fails where the name is taken, whoever else tries at the same moment.
            os.link(mine, path)
            return
        except FileExistsError:
            there = _read(path)
            if there is not None and is_alive(there):
                raise LockError(
                    f"Another cycle is at work on this home: process {there['pid']} on {there['host']} holds {path}. "
                    "Wait until it has ended. If it runs on another machine and is gone, delete that file."
                ) from None
            _remove_stale(path, there)
    raise LockError(f"The lock {path} cannot be had: others take it all the time. Try again.")


def _remove_stale(path: Path, judged: dict[str, Any] | None) -> None:
    aside = path.with_name(f".{path.name}-stale-{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, aside)
        # Somebody may have taken the lock since it was judged: theirs goes back.
        if _read(aside) != judged:
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink()


def _read(path: Path) -> dict[str, Any] | None:
    """Who holds the lock; None where the file is gone or damaged, which nobody living wrote: links are whole."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: found[name] for name in ("pid", "started", "boot", "host")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def holder(pid: int) -> dict[str, Any]:
    """What names a process on this machine."""
    return {"pid": pid, "started": _started(pid), "boot": _boot(), "host": socket.gethostname()}


def is_alive(there: dict[str, Any]) -> bool:
    """Whether the process that wrote this still runs. What another machine holds counts as alive: nobody can tell."""
    if there["host"] != socket.gethostname():
        return True
    return bool(
        there["boot"] == _boot()
        and psutil.pid_exists(there["pid"])
        and _started(there["pid"]) == there["started"]
    )


def _boot() -> str:
    # Where there is no such file, process ids and start times must do.
    return _BOOT.read_text().strip() if _BOOT.exists() else ""


def _started(pid: int) -> float | None:
    """Ticks since boot on Linux, seconds of the wall clock elsewhere; None for a process that is gone."""
    try:
        if _BOOT.exists():
            # The name in brackets may hold spaces; the 22nd field is the 20th after it.
            return float(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        return float(psutil.Process(pid).create_time())
    except (OSError, psutil.Error):
        return None

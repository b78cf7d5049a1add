"""One cycle at a time in a home: a lock file that names the process which holds it.

A process that was killed leaves its file behind. A process is identified by what no other shares: the machine, its
boot, the process id, and the process's start in ticks since the boot. The wall clock, which may be set back, plays no
part.
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
from assistant.events.event import Event

_BOOT = Path("/proc/sys/kernel/random/boot_id")


@contextlib.contextmanager
def cycle_lock(path: Path) -> Iterator[None]:
    """Hold the lock at `path`. Raises LockError if a living process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    own.write_text(json.dumps(process_identity(os.getpid())), encoding="utf-8")
    try:
        _acquire(path, own)
        yield
    finally:
        # Remove the lock only if it is ours: links to one file share its inode.
        with contextlib.suppress(OSError):
            if path.samefile(own):
                path.unlink()
        own.unlink(missing_ok=True)


def _acquire(path: Path, own: Path) -> None:
    for _ in range(10):
        try:
            # Making a link fails where the name exists, whichever process tries at the same moment.
            os.link(own, path)
            return
        except FileExistsError:
            holder = _read(path)
            if holder is not None and is_alive(holder):
                raise LockError(
                    Event.of("cycle_locked", pid=holder["pid"], host=holder["host"], path=str(path))
                ) from None
            _remove_stale(path, holder)
    raise LockError(Event.of("cycle_lock_contested", path=str(path)))


def _remove_stale(path: Path, stale: dict[str, Any] | None) -> None:
    aside = path.with_name(f".{path.name}-stale-{uuid.uuid4().hex}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, aside)
        # Another process may have acquired the lock since it was read: then put that lock back.
        if _read(aside) != stale:
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink()


def _read(path: Path) -> dict[str, Any] | None:
    """The identity of the holder; None where the file is gone or damaged, which no living process leaves."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: content[name] for name in ("pid", "started", "boot", "host")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def process_identity(pid: int) -> dict[str, Any]:
    """What identifies a process of this machine."""
    return {"pid": pid, "started": _started(pid), "boot": _boot(), "host": socket.gethostname()}


def is_alive(identity: dict[str, Any]) -> bool:
    """Whether a process still runs. One on another machine counts as alive, since it cannot be seen from here."""
    if identity["host"] != socket.gethostname():
        return True
    return bool(
        identity["boot"] == _boot()
        and psutil.pid_exists(identity["pid"])
        and _started(identity["pid"]) == identity["started"]
    )


def _boot() -> str:
    # Without such a file, process ids and start times must do.
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

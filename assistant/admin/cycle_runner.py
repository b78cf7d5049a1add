"""The loop as the app sees it: alignment runs as processes of their own, and serving imports nothing of it.

HOME/cycles/run.json    the cycle that was started from the dashboard: process, moment, person
HOME/cycles/run.log     what it says
"""

import contextlib
import json
import logging
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil

from assistant.errors import LoopError
from assistant.registry import live_comparison
from assistant.registry.versions import now, write_atomically
from feedback_store import FeedbackStore, StoreError

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
NEEDED = ("trl", "datasets", "scipy", "yaml")
"""Packages of requirements-train.txt without which no cycle runs."""
FOLLOW_SECONDS = 30.0
"""How often an app looks for new thumbs while a live comparison is under way."""
CLOSE_SECONDS = 5.0
"""Of waiting at shutdown: a Space that is stopped has a last backup to make."""
LONGEST_SECONDS = 300.0
"""For a command that is waited for."""


def missing() -> list[str]:
    """Training packages that are not installed here."""
    return [name for name in NEEDED if find_spec(name) is None]


@dataclass(frozen=True)
class Started:
    """A cycle that somebody started, as HOME/cycles/run.json holds it."""

    pid: int
    created: float
    """When the operating system began the process: its number alone may be another's by now."""
    began: str
    who: str

    def process(self) -> psutil.Process | None:
        """The process, None if it has ended."""
        try:
            found = psutil.Process(self.pid)
            alive = abs(found.create_time() - self.created) < 1 and found.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return found if alive else None


class Loop:
    """Starts alignment on one home."""

    def __init__(self, home: Path, policy: Path | None = None) -> None:
        """`policy`: the YAML file that cycles and live comparisons obey; their defaults if left out."""
        self.home = home.resolve()
        self._policy = policy.resolve() if policy else None
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def call(self, *arguments: str) -> str:
        """Run a short command, such as ("trial", "stop"), to its end; its last line. Raises LoopError."""
        return _last_line(self._run(*arguments))

    def plan(self) -> list[str]:
        """What a cycle would do now, in words; nothing is changed. Raises LoopError."""
        self._check_packages()
        return [line for line in self._run("cycle", "--dry-run").splitlines() if line.strip()]

    def _run(self, *arguments: str) -> str:
        try:
            done = subprocess.run(
                self._command(*arguments),
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=LONGEST_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise LoopError(f"`python -m alignment {arguments[0]}` did not end: {error}.") from error
        if done.returncode:
            raise LoopError(_last_line(done.stderr) or f"`python -m alignment {arguments[0]}` failed.")
        return done.stdout

    def _check_packages(self) -> None:
        if absent := missing():
            raise LoopError(
                f"A cycle needs packages that are not installed here: {', '.join(absent)}. "
                "Install them with `pip install -r requirements-train.txt`, or run cycles on another machine."
            )

    def begin_cycle(self, who: str) -> Started:
        """Start a cycle that outlives this process. Raises LoopError if one runs already, or cannot here."""
        self._check_packages()
        with self._lock:
            if self.running() is not None:
                raise LoopError("A cycle is at work already. Wait until it has ended, or cancel it.")
            folder = self.home / "cycles"
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "run.log").open("wb") as output:
                child = subprocess.Popen(
                    self._command("cycle"),
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._child = child
            try:
                created = psutil.Process(child.pid).create_time()
            except psutil.Error:
                created = 0.0
            started = Started(child.pid, created, now(), who)
            write_atomically(folder / "run.json", json.dumps(asdict(started)) + "\n")
        return started

    def started(self) -> Started | None:
        """The last cycle that was started from here, whether or not it has ended."""
        try:
            return Started(**json.loads((self.home / "cycles" / "run.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def running(self) -> Started | None:
        """That cycle, while it is at work; also one that an earlier run of the app has started."""
        if self._child is not None:
            self._child.poll()  # Else an ended child stays a zombie.
        started = self.started()
        return started if started is not None and started.process() is not None else None

    def cancel(self) -> bool:
        """End it; whether there was one. The next cycle goes on from its last finished step."""
        started = self.running()
        process = started.process() if started else None
        if process is None:
            return False
        try:
            family = [process, *process.children(recursive=True)]
        except psutil.Error:
            family = [process]
        for one in family:
            with contextlib.suppress(psutil.Error):
                one.terminate()
        _, left = psutil.wait_procs(family, timeout=5)
        for one in left:
            with contextlib.suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(left, timeout=5)
        return True

    def said(self, lines: int = 200) -> list[str]:
        """The last lines of what the last cycle wrote."""
        try:
            text = (self.home / "cycles" / "run.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        # A progress bar draws itself over and over with carriage returns.
        return [line.rsplit("\r", 1)[-1].rstrip() for line in text.splitlines() if line.strip()][-lines:]

    def _command(self, *arguments: str) -> list[str]:
        policy = ["--policy", str(self._policy)] if self._policy else []
        return [sys.executable, "-m", "alignment", *arguments, "--home", str(self.home), *policy]


class Follower:
    """Follows the live comparison of a home while the app runs: wins and rollbacks wait for no cycle."""

    def __init__(self, loop: Loop, store: FeedbackStore, seconds: float = FOLLOW_SECONDS) -> None:
        self._loop = loop
        self._store = store
        self._seconds = seconds
        self._stop = threading.Event()
        self._refused = ""
        self._thread = threading.Thread(target=self._follow, name="follow-trial", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Follow no more. A look that has begun is a process of its own: it is waited for, but not for long."""
        self._stop.set()
        self._thread.join(CLOSE_SECONDS)

    def _follow(self) -> None:
        seen: tuple[float, ...] = ()
        while not self._stop.wait(self._seconds):
            if not (self._loop.home / live_comparison.FILE).exists():
                continue
            try:
                stamp = self._stamp()
                if stamp == seen:
                    continue
                log.info("%s", self._loop.call("trial", "follow"))
                seen, self._refused = stamp, ""
            except (LoopError, StoreError) as error:
                if str(error) != self._refused:
                    log.error("The live comparison cannot be followed: %s", error)
                self._refused = str(error)

    def _stamp(self) -> tuple[float, ...]:
        """When anything changed that a decision rests on: thumbs, the comparison itself, the released version."""
        names = (live_comparison.FILE, "versions/released.json")
        return (self._store.said(), *(_changed(self._loop.home / name) for name in names))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""

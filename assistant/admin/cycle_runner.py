"""Run cycles and other `alignment` commands as subprocesses, because the app does not import `alignment`.

HOME/cycles/run.json    the cycle last started from the dashboard: process id, start time, admin
HOME/cycles/run.log     its output: events as JSON Lines, mixed with the log lines of libraries
"""

import contextlib
import json
import logging
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from assistant.admin import last_run
from assistant.admin.last_run import living_process
from assistant.errors import CommandError
from assistant.events.describe import describe
from assistant.events.event import Event, event_from_line, text_event
from assistant.missing_packages import TRAINING, missing
from assistant.registry import live_comparison
from assistant.registry.versions import now
from feedback_store import FeedbackStore, StoreError
from feedback_store.atomic_files import write_atomically

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
FOLLOW_SECONDS = 30.0
"""How often an app looks for new thumbs while a live comparison is under way."""
CLOSE_SECONDS = 5.0
"""How long a shutdown waits for a command: a Space that is stopped must still make its last backup."""
COMMAND_SECONDS = 300.0
"""Time limit for a command that the app waits for."""


@dataclass(frozen=True)
class Started:
    """A cycle that was started from the dashboard, as HOME/cycles/run.json holds it."""

    pid: int
    created: float
    """When the operating system started the process: another process may have its number by now."""
    began: str
    who: str
    """Name of the admin who started it."""

    def process(self) -> psutil.Process | None:
        """The process, or None if it has ended."""
        return living_process(self.pid, self.created)


class CycleRunner:
    """Starts commands of `alignment` on one home."""

    def __init__(self, home: Path, policy: Path | None = None) -> None:
        """`policy`: the YAML file that cycles and live comparisons obey; their defaults if left out."""
        self.home = home.resolve()
        self.policy = policy.resolve() if policy else None
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def call(self, *arguments: str) -> Event:
        """Run a short command, such as ("trial", "stop"), to its end; its last event. Raises CommandError."""
        events = self._run(*arguments)
        return events[-1] if events else text_event("")

    def plan(self) -> list[Event]:
        """The steps that a cycle would take now, without taking them. Raises CommandError."""
        self._check_packages()
        return self._run("cycle", "--dry-run")

    def _run(self, *arguments: str) -> list[Event]:
        command = f"python -m alignment {arguments[0]}"
        try:
            done = subprocess.run(
                self._command(*arguments),
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CommandError(Event.of("command_not_ended", command=command, error=str(error))) from error
        events = [event for event in _events(done.stdout) if event.code != "text"]
        if done.returncode:
            # Without an event, the command ended before it could write one: show the last line of its complaint.
            complaint = [line for line in done.stderr.splitlines() if line.strip()][-1:]
            failed = Event.of("command_failed", command=command, error="".join(complaint))
            raise CommandError(events[-1] if events else failed)
        return events

    def _check_packages(self) -> None:
        if absent := missing(TRAINING):
            raise CommandError(Event.of("packages_missing", packages=absent))

    def begin_cycle(self, admin: str) -> Started:
        """Start a cycle that outlives this process. Raises CommandError if one is running, or packages are missing."""
        self._check_packages()
        with self._lock:
            if self.running() is not None:
                raise CommandError(Event.of("cycle_running"))
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
            started = Started(child.pid, created, now(), admin)
            write_atomically(folder / "run.json", json.dumps(asdict(started)) + "\n")
        return started

    def started(self) -> Started | None:
        """The cycle that was started last on this home, whether or not it has ended."""
        try:
            return Started(**json.loads((self.home / "cycles" / "run.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def running(self) -> Started | None:
        """The cycle that was started last, while it runs; an earlier run of the app may have started it."""
        if self._child is not None:
            self._child.poll()  # Reap a child that has ended; otherwise it stays a zombie.
        started = self.started()
        return started if started is not None and started.process() is not None else None

    def cancel(self) -> bool:
        """Stop the running cycle; the next run resumes at the first unfinished step. Returns whether one ran."""
        started = self.running()
        process = started.process() if started else None
        if process is None:
            return False
        try:
            family = [process, *process.children(recursive=True)]
        except psutil.Error:
            family = [process]
        for member in family:
            with contextlib.suppress(psutil.Error):
                member.terminate()
        _, left = psutil.wait_procs(family, timeout=5)
        for member in left:
            with contextlib.suppress(psutil.Error):
                member.kill()
        psutil.wait_procs(left, timeout=5)
        last_run.mark_ended(self.home)
        return True

    def log(self, lines: int = 200) -> list[Event]:
        """The last lines of the last cycle's output: its events, and lines of libraries as `text` events."""
        try:
            text = (self.home / "cycles" / "run.log").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        return _events(text)[-lines:]

    def _command(self, *arguments: str) -> list[str]:
        takes_policy = arguments[0] in ("cycle", "trial")
        policy = ["--policy", str(self.policy)] if self.policy and takes_policy else []
        command = [sys.executable, "-m", "alignment", "--log-format", "json", *arguments]
        return [*command, "--home", str(self.home), *policy]


class Follower:
    """Follows the live comparison of a home while the app runs, so that it ends without waiting for a cycle."""

    def __init__(self, runner: CycleRunner, store: FeedbackStore, seconds: float = FOLLOW_SECONDS) -> None:
        self._runner = runner
        self._store = store
        self._seconds = seconds
        self._stop = threading.Event()
        self._refused = ""
        self._thread = threading.Thread(target=self._follow, name="follow-trial", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following. A command that is running is waited for at most CLOSE_SECONDS."""
        self._stop.set()
        self._thread.join(CLOSE_SECONDS)

    def _follow(self) -> None:
        seen: tuple[float, ...] = ()
        while not self._stop.wait(self._seconds):
            if not (self._runner.home / live_comparison.FILE).exists():
                continue
            try:
                stamp = self._stamp()
                if stamp == seen:
                    continue
                log.info("%s", describe(self._runner.call("trial", "follow")))
                seen, self._refused = stamp, ""
            except (CommandError, StoreError) as error:
                if str(error) != self._refused:
                    log.error("The live comparison cannot be followed: %s", error)
                self._refused = str(error)

    def _stamp(self) -> tuple[float, ...]:
        """A stamp that changes whenever an input of the decision does: feedback, live comparison or release."""
        names = (live_comparison.FILE, "versions/released.json")
        return (self._store.feedback_count(), *(_changed(self._runner.home / name) for name in names))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _events(output: str) -> list[Event]:
    # A progress bar redraws its line after a carriage return; keep the last state.
    lines = [line.rstrip().rsplit("\r", 1)[-1] for line in output.split("\n") if line.strip()]
    return [event_from_line(line) for line in lines]

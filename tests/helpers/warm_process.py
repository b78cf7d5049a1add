"""Programs that start in a fork of a process that has imported the large libraries already.

Importing them takes five to ten seconds of a core, as often as a program starts that needs them. `run` and `start`
take the command line that `subprocess` takes, and give the program what a process of its own has: an id, arguments,
environment, working folder, output, exit code, and death by signal. Our own code is imported anew. What differs: the
libraries' settings that are read on import are those of the tests, and the order of sets of strings is the same in
all programs. A test of either, and one of missing packages, starts a real process. So does everything but Linux.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

OWNER = int(os.environ.get("THUMBTUNE_TEST_RUN", os.getpid()))
"""Id of the process that began the test run. All its workers share one server, which ends with it."""
_ENVIRONMENT = dict(os.environ)  # as it is before a test changes it


def collect_seldom() -> None:
    """Begin garbage collections again, without the objects that there are, which a collection would visit and copy."""
    gc.enable()
    gc.collect()
    gc.freeze()
    # Without the frozen objects the rest is so small that a visit of all of it would be due all the time.
    gc.set_threshold(20_000, 20, 50)


class WarmProcess:
    """The part of `subprocess.Popen` that tests use."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.pid = int(connection.recv(100))
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, or minus the number of the signal that ended it. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode = int(self._connection.recv(100))
            except TimeoutError as error:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0) from error
            self._connection.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        with suppress(subprocess.TimeoutExpired, BlockingIOError):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    command: Sequence[str],
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    stdout: IO[Any] | int | None = None,
    stderr: IO[Any] | int | None = None,
    stdin: int = subprocess.DEVNULL,
) -> WarmProcess | subprocess.Popen[bytes]:
    """Start `python FILE …`, `python -m MODULE …` or `python -c CODE …`, with an empty input unless one is given."""
    if sys.platform != "linux":
        return subprocess.Popen(command, cwd=cwd, env=env, stdout=stdout, stderr=stderr)
    request = {
        "arguments": list(command[1:]),
        "folder": str(cwd or Path.cwd()),
        "environment": dict(os.environ if env is None else env),
    }
    connection = _connect()
    with open(os.devnull, "r+") as nothing:
        out = _number(stdout, nothing, 1)
        err = out if stderr == subprocess.STDOUT else _number(stderr, nothing, 2)
        files = [_number(stdin, nothing, 0), out, err]
        socket.send_fds(connection, [json.dumps(request).encode()], files)
    return WarmProcess(connection)


def run(
    command: Sequence[str], cwd: Path | None = None, env: dict[str, str] | None = None, timeout: float = 280
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with its output as text. Raises subprocess.TimeoutExpired."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = start(command, cwd, env, out, err)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        out.seek(0), err.seek(0)
        return subprocess.CompletedProcess(list(command), code, out.read(), err.read())


def _number(file: IO[Any] | int | None, nothing: IO[Any], inherited: int) -> int:
    if file is None:
        return inherited
    if file == subprocess.DEVNULL:
        return nothing.fileno()
    return file if isinstance(file, int) else file.fileno()


def _connect() -> socket.socket:
    """A connection to the server of this test run, which the first caller starts."""
    folder = Path(tempfile.gettempdir()) / f"thumbtune-tests-{OWNER}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "lock").open("w") as lock, (folder / "log").open("a+") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(OSError):
            return _connected(folder)
        (folder / "socket").unlink(missing_ok=True)
        command = [sys.executable, str(Path(__file__).with_name("warm_server.py")), str(folder), str(OWNER)]
        files: list[Any] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
        files += [(os.POSIX_SPAWN_DUP2, log.fileno(), number) for number in (1, 2)]
        server = os.posix_spawn(sys.executable, command, _ENVIRONMENT, file_actions=files)
        while os.waitpid(server, os.WNOHANG) == (0, 0):
            with suppress(OSError):
                return _connected(folder)
            time.sleep(0.05)
        raise AssertionError((folder / "log").read_text())


def _connected(folder: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(str(folder / "socket"))
    except OSError:
        connection.close()
        raise
    return connection

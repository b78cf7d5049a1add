"""The app as a process of its own."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers import warm_process
from tests.helpers.paths import ROOT


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def command(*arguments: str) -> list[str]:
    """The app's command line, with the interpreter that runs the tests."""
    return [sys.executable, str(ROOT / "app.py"), *arguments]


@contextmanager
def running_app(home: Path, *arguments: str, patience: float = 120, is_warm: bool = True) -> Iterator[str]:
    """Start the app on `home` and yield its address; its output is written to `app.log` beside the home.

    It begins with the libraries imported, unless `is_warm` is False. Raises AssertionError with the app's output if
    it ends.
    """
    with running_apps(home, 1, *arguments, patience=patience, is_warm=is_warm) as (address,):
        yield address


@contextmanager
def running_apps(
    home: Path, count: int, *arguments: str, patience: float = 120, is_warm: bool = True
) -> Iterator[list[str]]:
    """Start several processes of the app on one home at once; see `running_app`. Their output goes to one file."""
    start = warm_process.start if is_warm else subprocess.Popen
    log = home.parent / "app.log"
    addresses, processes = [], []
    with log.open("w") as output:
        try:
            for _ in range(count):
                port = free_port()
                addresses.append(f"http://127.0.0.1:{port}")
                processes.append(
                    start(
                        command("--home", str(home), "--port", str(port), *arguments),
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        env={**os.environ, "HF_HUB_OFFLINE": "1"},
                    )
                )
            deadline = time.monotonic() + patience
            while not all(_answers(address) for address in addresses):
                assert all(process.poll() is None for process in processes), log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield addresses
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(timeout=90)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/config", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False

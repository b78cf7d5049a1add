"""The app as a process of its own, as its users start it."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
def running_app(home: Path, *arguments: str, patience: float = 120) -> Iterator[str]:
    """Start the app on `home` and yield its address. Raises AssertionError with the app's output if it ends."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = home.parent / "app.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command("--home", str(home), "--port", str(port), *arguments),
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        try:
            deadline = time.monotonic() + patience
            while not _answers(address):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=90)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/config", timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False

"""A program in a fork of a warm process behaves as one that `subprocess` starts."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import warm_process
from helpers.paths import ROOT

SHOW = "import os, sys; print(sys.argv, os.getcwd(), sorted(os.environ), sys.path[0], __name__)"


def real(command: list[str], cwd: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("way", [("-c", SHOW), ("-m", "show"), ("show.py",)], ids=["code", "module", "file"])
def test_a_program_sees_its_arguments_folder_and_environment(tmp_path: Path, way: tuple[str, ...]) -> None:
    (tmp_path / "show.py").write_text(SHOW.replace("sys.argv", "sys.argv[1:]"))
    command, environment = [sys.executable, *way, "one", "two words"], {"LC_CTYPE": "C.UTF-8", "THUMB": "up"}
    done, expected = (start(command, tmp_path, environment) for start in (warm_process.run, real))
    assert (done.returncode, done.stdout, done.stderr) == (0, expected.stdout, "")


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("import atexit; atexit.register(print, 'at the end'); raise SystemExit(3)", 3),
        ("import threading; threading.Timer(0.1, print, ['at the end']).start()", 0),
        ("print('at the end'); raise KeyError", 1),
        ("import os, signal; print('at the end', flush=True); os.kill(os.getpid(), signal.SIGKILL)", -9),
    ],
    ids=["exit code", "thread", "exception", "signal"],
)
def test_a_program_ends_as_any_other(tmp_path: Path, code: str, exit_code: int) -> None:
    done, expected = (
        start([sys.executable, "-c", code], tmp_path, dict(os.environ)) for start in (warm_process.run, real)
    )
    assert done.returncode == expected.returncode == exit_code
    assert done.stdout == expected.stdout == "at the end\n"
    assert done.stderr.splitlines()[-1:] == expected.stderr.splitlines()[-1:]


@pytest.mark.parametrize("start", [warm_process.start, subprocess.Popen], ids=["warm", "real"])
def test_a_running_program_can_be_waited_for_and_stopped(start: Callable[..., Any]) -> None:
    process = start([sys.executable, "-c", "import time; time.sleep(100)"])
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.1)
    process.terminate()
    assert process.wait() == process.poll() == -signal.SIGTERM


def test_a_program_imports_our_code_itself_and_the_libraries_are_there() -> None:
    code = (
        "import sys; ours = {name for name in sys.modules if name.split('.')[0] in "
        "('assistant', 'alignment', 'feedback_store')}; print(ours, 'torch' in sys.modules)"
    )
    assert warm_process.run([sys.executable, "-c", code], cwd=ROOT).stdout == "set() True\n"

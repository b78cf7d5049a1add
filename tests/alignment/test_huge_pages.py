"""A program starts again with huge pages once, and only where the kernel gives them to those who ask."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alignment import huge_pages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a setting of Linux' C library")


COMMAND = [sys.executable, "-m", "alignment", "kto", "--epochs=1"]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The command lines with which the program was started again, where the kernel waits to be asked."""
    lines: list[list[str]] = []
    monkeypatch.delenv(huge_pages.VARIABLE, raising=False)
    monkeypatch.setattr(huge_pages.platform, "libc_ver", lambda: ("glibc", "2.36"))
    monkeypatch.setattr(os, "execv", lambda program, line: lines.append([program, *line[1:]]))
    monkeypatch.setattr(sys, "argv", ["alignment/__main__.py", "kto", "--epochs=1"])
    monkeypatch.setattr(sys, "orig_argv", COMMAND)
    monkeypatch.setattr(huge_pages, "ENABLED", tmp_path / "enabled")
    (tmp_path / "enabled").write_text("always [madvise] never\n")
    return lines


@pytest.mark.parametrize(
    ("kernel", "times"),
    [("always [madvise] never\n", 1), ("[always] madvise never\n", 0), ("always madvise [never]\n", 0)],
)
def test_only_where_the_kernel_waits_to_be_asked(
    started: list[list[str]], tmp_path: Path, kernel: str, times: int
) -> None:
    (tmp_path / "enabled").write_text(kernel)
    huge_pages.with_huge_pages()
    assert started == [COMMAND] * times
    huge_pages.with_huge_pages()
    assert len(started) == times, "the second time it has them already"


def test_not_where_the_kernel_has_none_or_the_owner_has_decided(
    started: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without:
        without.setattr(huge_pages, "ENABLED", tmp_path / "missing")
        huge_pages.with_huge_pages()
    monkeypatch.setenv(huge_pages.VARIABLE, "")
    huge_pages.with_huge_pages()
    assert started == []


def test_not_in_the_place_of_a_program_that_runs_this_one(
    started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "server.py", "a folder"])
    huge_pages.with_huge_pages()
    assert started == []


def test_a_command_keeps_its_arguments_folder_and_exit_code(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != huge_pages.VARIABLE}
    command = [sys.executable, "-m", "alignment", "evaluate", "v9 with spaces", "--home", "a home"]
    root = str(Path(huge_pages.__file__).parents[1])
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2 and "v9 with spaces" in done.stderr

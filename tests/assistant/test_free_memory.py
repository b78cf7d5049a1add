"""What a process may take: the machine's free memory, and the limits that are set for it."""

from pathlib import Path

import pytest

import assistant.free_memory as free_memory
from assistant.free_memory import cgroup_free, free_ram


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="ascii")


def test_the_limits_of_a_process_and_of_the_groups_above_it_hold(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("0::/outer/inner\n", encoding="utf-8")
    group(
        tmp_path / "cg" / "outer",
        memory__max="1000",
        memory__current="900",
        memory__stat="inactive_file 300\n",
    )
    group(tmp_path / "cg" / "outer" / "inner", memory__max="max", memory__current="5", memory__stat="")
    assert cgroup_free(own, tmp_path / "cg") == [400]


def test_limits_of_control_groups_of_version_1_hold(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("4:memory:/job\n3:cpuset:/\n", encoding="utf-8")
    group(
        tmp_path / "cg" / "memory" / "job",
        memory__limit_in_bytes="2000",
        memory__usage_in_bytes="500",
        memory__stat="total_inactive_file 100\n",
    )
    assert cgroup_free(own, tmp_path / "cg") == [1600]


def test_a_system_without_control_groups_sets_no_limit(tmp_path: Path) -> None:
    assert cgroup_free(tmp_path / "missing", tmp_path) == []


def test_the_smallest_limit_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "cgroup_free", lambda groups, root: [400, 3])
    assert free_ram() == 3

"""The cores that a process may use, from made-up control groups."""

from pathlib import Path

import pytest

from assistant import usable_cores


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def put(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_quotas_of_both_versions_and_of_the_groups_above_are_read(groups: Path, tmp_path: Path) -> None:
    root = tmp_path / "fs"
    groups.write_text("0::/outer/inner\n7:cpu,cpuacct:/box\n5:memory:/box\n")
    put(root / "outer", cpu__max="250000 100000\n")
    put(root / "outer" / "inner", cpu__max="max 100000\n")
    put(root / "cpu,cpuacct" / "box", cpu__cfs_quota_us="150000\n", cpu__cfs_period_us="100000\n")
    put(root / "cpu,cpuacct", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    assert usable_cores.cgroup_cores(groups, root) == [2.5, 1.5]


@pytest.mark.parametrize("text", ["max 100000", "", "twelve 100000", "100000"])
def test_a_group_without_a_quota_bounds_nothing(groups: Path, tmp_path: Path, text: str) -> None:
    groups.write_text("0::/\n")
    put(tmp_path / "fs", cpu__max=text)
    assert usable_cores.cgroup_cores(groups, tmp_path / "fs") == []
    assert usable_cores.cgroup_cores(tmp_path / "none", tmp_path / "fs") == []


@pytest.mark.parametrize(("quotas", "cores"), [([], 6), ([2.5], 2), ([0.5], 1), ([8.0], 6), ([4.0, 3.0], 3)])
def test_the_smallest_bound_counts_and_one_core_is_left(
    monkeypatch: pytest.MonkeyPatch, quotas: list[float], cores: int
) -> None:
    class Process:
        def cpu_affinity(self) -> list[int]:
            return list(range(6))

    monkeypatch.setattr(usable_cores.psutil, "Process", Process)
    monkeypatch.setattr(usable_cores, "cgroup_cores", lambda *_: quotas)
    assert usable_cores.usable_cores() == cores


def test_a_system_that_does_not_list_cores_has_those_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usable_cores.psutil, "Process", object)  # as on macOS
    monkeypatch.setattr(usable_cores.os, "cpu_count", lambda: 10)
    monkeypatch.setattr(usable_cores, "cgroup_cores", lambda *_: [])
    assert usable_cores.usable_cores() == 10

"""How many cores this process may use: of the machine, and within the limits that are set for it."""

import os
from pathlib import Path

import psutil

from assistant.free_memory import control_groups


def usable_cores() -> int:
    """Cores that this process may keep busy: those it may run on, bounded by the quotas of its containers."""
    process = psutil.Process()
    # macOS has no such list.
    cores = len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else os.cpu_count() or 1
    quotas = cgroup_cores(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    # Part of a core is left alone: threads that wait for each other all stand still once the quota is used up.
    return max(1, min([cores, *(int(quota) for quota in quotas)]))


def cgroup_cores(groups: Path, root: Path) -> list[float]:
    """Cores that each control group of a process with a quota may use, versions 1 and 2.

    `groups`: the process's list of its groups; `root`: where they are mounted.
    """
    cores = []
    for group, is_first_kind in control_groups(groups, root, "cpu"):
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if is_first_kind else ("cpu.max",)
        try:
            quota, period = " ".join(
                (group / name).read_text(encoding="ascii").strip() for name in names
            ).split()
            if quota not in ("max", "-1"):
                cores.append(int(quota) / int(period))
        except (OSError, ValueError):
            continue
    return cores

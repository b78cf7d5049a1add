"""How much memory this process may still take: of the machine, and within the limits that are set for it."""

from pathlib import Path

import psutil

_UNLIMITED = 2**60
"""A control group without a limit names a number above it."""


def free_ram() -> int:
    """Bytes that this process may still take.

    Bounded by the machine's free memory, by the control groups that the process is in (containers), and by the limit of
    its address space (`ulimit -v`).
    """
    bounds = [psutil.virtual_memory().available]
    if (address_space := process_limit()) is not None:
        bounds.append(address_space - psutil.Process().memory_info().vms)
    bounds += cgroup_free(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return min(bounds)


def process_limit() -> int | None:
    """The limit of the process's address space in bytes (`ulimit -v`), None if there is none."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def cgroup_free(groups: Path, root: Path) -> list[int]:
    """Bytes that each control group of a process with a memory limit leaves free, versions 1 and 2.

    `groups`: the process's list of its groups; `root`: where they are mounted. File caches count as free, because the
    kernel drops them first.
    """
    free = []
    for group, is_first_kind in control_groups(groups, root, "memory"):
        names = (
            ("memory.limit_in_bytes", "memory.usage_in_bytes")
            if is_first_kind
            else ("memory.max", "memory.current")
        )
        if (left := _group_free(group, *names)) is not None:
            free.append(left)
    return free


def control_groups(groups: Path, root: Path, controller: str) -> list[tuple[Path, bool]]:
    """Folders of a process's control groups that may bound what `controller` counts, and whether of version 1.

    `groups`: the process's list of its groups; `root`: where they are mounted.
    """
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounted = root / controllers
        # Limits of the groups above hold too; a container may see its own group as the mount's root.
        folder = mounted / path.strip("/")
        folders += [
            (group, bool(controllers))
            for group in [folder, *folder.parents]
            if mounted in (group, *group.parents)
        ]
    return folders


def _group_free(group: Path, limit_name: str, usage_name: str) -> int | None:
    try:
        limit, usage = (
            (group / name).read_text(encoding="ascii").strip() for name in (limit_name, usage_name)
        )
        if limit == "max" or int(limit) >= _UNLIMITED:
            return None
        stat = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return None
    cache = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return int(limit) - int(usage) + cache

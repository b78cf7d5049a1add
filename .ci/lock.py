"""Write requirements*.txt: all that an environment has because of requirements*.in, with the versions installed.

    python -m venv NEW && NEW/bin/pip install -r requirements-dev.in && NEW/bin/python .ci/lock.py

The `.in` files name what the project itself uses, with the versions that were tested together. The `.txt` files add
what those packages bring along, so that an installation next year gets what was tested. Standard library and
`packaging` (pip's own) alone.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from pip._vendor.packaging.markers import default_environment
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FILES = ("requirements", "requirements-gpu", "requirements-train", "requirements-dev")
"""Each includes the one before."""
HEAD = "# Written by .ci/lock.py from {name}.in: install from this file, and edit that one.\n"


def direct(name: str) -> list[Requirement]:
    """The requirements that one `.in` file names itself."""
    lines = (ROOT / f"{name}.in").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith(("#", "-r"))]


def needed(requirement: Requirement) -> list[Requirement]:
    """What a package needs on this machine, for the extras that are asked for."""
    entries = [Requirement(line) for line in distribution(requirement.name).requires or []]
    environments = [{**default_environment(), "extra": extra} for extra in requirement.extras or {""}]
    return [
        entry
        for entry in entries
        if entry.marker is None or any(entry.marker.evaluate(environment) for environment in environments)
    ]


def closure(roots: list[Requirement]) -> dict[str, tuple[Requirement, set[str]]]:
    """Every package that `roots` bring, with the names of those that need it."""
    packages: dict[str, tuple[Requirement, set[str]]] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    queue = [(root, "") for root in roots]
    while queue:
        requirement, parent = queue.pop()
        name = canonicalize_name(requirement.name)
        entry = packages.setdefault(name, (requirement, set()))
        if parent:
            entry[1].add(parent)
        key = (name, frozenset(requirement.extras))
        if key not in seen:
            seen.add(key)
            queue += [(child, name) for child in needed(requirement)]
    return packages


def line(requirement: Requirement, parents: set[str]) -> str:
    """One pinned package, and why it is there."""
    name = canonicalize_name(requirement.name)
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras and not parents else ""
    # A version of the CPU build ends in "+cpu", which an index of packages does not know.
    pin = f"{name}{extras}=={re.sub(r'[+].*', '', distribution(name).version)}"
    marker = f"; {requirement.marker}" if requirement.marker and not parents else ""
    return pin + marker + (f"  # via {', '.join(sorted(parents))}" if parents else "")


def main() -> None:
    before: set[str] = set()
    roots: list[Requirement] = []
    for number, name in enumerate(FILES):
        own = direct(name)
        roots += own
        named = {canonicalize_name(root.name) for root in roots}
        packages = closure(roots)
        include = f"-r {FILES[number - 1]}.txt\n" if number else ""
        lines = [
            line(requirement, set() if key in named else parents)
            for key, (requirement, parents) in sorted(packages.items())
            if key not in before
        ]
        text = HEAD.format(name=name) + include + "".join(f"{entry}\n" for entry in lines)
        (ROOT / f"{name}.txt").write_text(text, encoding="utf-8")
        print(f"{name}.txt: {len(lines)} packages")
        before |= set(packages)


if __name__ == "__main__":
    try:
        main()
    except PackageNotFoundError as missing:
        sys.exit(f"{missing} is not installed: install requirements-dev.in first.")

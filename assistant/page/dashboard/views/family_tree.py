"""The family tree's lanes, as in a history of changes: rows from the newest version down to the first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Row:
    """One version's row: its lane, and the lines that cross the row."""

    version: str
    lane: int
    above: bool = False
    """Whether a line reaches its dot from above, in its own lane."""
    below: bool = False
    """Whether a line leads down from its dot."""
    through: list[int] = field(default_factory=list)
    """Lanes of lines that only pass."""
    joins: list[int] = field(default_factory=list)
    """Lanes from which lines of children come in."""


def family_rows(parents: Mapping[str, str | None], released: str | None) -> list[Row]:
    """A row for each version, the newest first. `parents`: by version, oldest first.

    The released version and its ancestors stand in the first lane. A parent that is not there any more is none.
    """
    known: dict[str, str | None] = {
        version: parent if parent in parents else None for version, parent in parents.items()
    }
    trunk = _ancestors(known, released)
    order = list(reversed(list(known)))
    place = {version: number for number, version in enumerate(order)}
    taken: dict[int, list[tuple[int, int]]] = {}
    rows: list[Row] = []
    lanes: dict[str, int] = {}
    for version in order:
        here = place[version]
        parent = known[version]
        reach = place[parent] if parent is not None else here
        lane = 0 if version in trunk else _free(lanes, taken, known, version, here, reach)
        lanes[version] = lane
        taken.setdefault(lane, []).append((here, reach))
        rows.append(Row(version, lane, below=parent is not None))
    for version, parent in known.items():
        if parent is None:
            continue
        lane, end = lanes[version], rows[place[parent]]
        for row in rows[place[version] + 1 : place[parent]]:
            row.through.append(lane)
        if lane == end.lane:
            end.above = True
        else:
            end.joins.append(lane)
    return rows


def lane_count(rows: Sequence[Row]) -> int:
    """How many lanes there are."""
    return 1 + max((lane for row in rows for lane in (row.lane, *row.through, *row.joins)), default=0)


def _ancestors(parents: Mapping[str, str | None], version: str | None) -> set[str]:
    found: set[str] = set()
    while version is not None and version in parents and version not in found:
        found.add(version)
        version = parents[version]
    return found


def _free(
    lanes: Mapping[str, int],
    taken: Mapping[int, list[tuple[int, int]]],
    parents: Mapping[str, str | None],
    version: str,
    here: int,
    reach: int,
) -> int:
    """A child's lane, gone on with, or the first that nothing else needs from row `here` to row `reach`."""
    ours = [
        lanes[child] for child, parent in parents.items() if parent == version and lanes.get(child, 0) > 0
    ]

    def is_free(lane: int) -> bool:
        # A child's line ends at this very row, and hands its lane over.
        spans = taken.get(lane, [])
        return all(end < here or start > reach or (end == here and lane in ours) for start, end in spans)

    for lane in sorted(ours):
        if is_free(lane):
            return lane
    lane = 1
    while not is_free(lane):
        lane += 1
    return lane

"""Rows and lanes of the versions' family tree, laid out like a commit graph from the newest version to the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass
class Row:
    """The row of one version: the lane of its dot, and the lines that cross the row."""

    version: str
    lane: int
    above: bool = False
    """Whether a line in its lane reaches the dot from above."""
    below: bool = False
    """Whether a line leads down from the dot, to the parent."""
    through: list[int] = field(default_factory=list)
    """Lanes of lines that pass through the row."""
    joins: list[int] = field(default_factory=list)
    """Lanes of children whose lines end at the dot."""


def family_rows(parents: Mapping[str, str | None], released: str | None) -> list[Row]:
    """One row for each version, the newest first. `parents` maps versions to their parents, the oldest first.

    The released version and its ancestors are in lane 0. A parent that is not among the versions is ignored.
    """
    known: dict[str, str | None] = {
        version: parent if parent in parents else None for version, parent in parents.items()
    }
    trunk = _lineage(known, released)
    order = list(reversed(list(known)))
    position = {version: number for number, version in enumerate(order)}
    lines_by_lane: dict[int, list[tuple[int, int]]] = {}
    rows: list[Row] = []
    lanes: dict[str, int] = {}
    for version in order:
        parent = known[version]
        start = position[version]
        end = position[parent] if parent is not None else start
        lane = 0
        if version not in trunk:
            children = [child for child in order[:start] if known[child] == version]
            lane = _side_lane([lanes[child] for child in children], lines_by_lane, start, end)
        lanes[version] = lane
        lines_by_lane.setdefault(lane, []).append((start, end))
        rows.append(Row(version, lane, below=parent is not None))
    for version, parent in known.items():
        if parent is not None:
            _draw_line(rows, position[version], position[parent])
    return rows


def lane_count(rows: Sequence[Row]) -> int:
    """The number of lanes that the rows need."""
    return 1 + max((lane for row in rows for lane in (row.lane, *row.through, *row.joins)), default=0)


def _draw_line(rows: Sequence[Row], start: int, end: int) -> None:
    """Lead the line of the version in row `start` down to its parent in row `end`."""
    lane = rows[start].lane
    for row in rows[start + 1 : end]:
        row.through.append(lane)
    if lane == rows[end].lane:
        rows[end].above = True
    else:
        rows[end].joins.append(lane)


def _lineage(parents: Mapping[str, str | None], version: str | None) -> set[str]:
    """`version` and its ancestors."""
    lineage: set[str] = set()
    while version is not None and version in parents and version not in lineage:
        lineage.add(version)
        version = parents[version]
    return lineage


def _side_lane(
    children: Sequence[int], lines_by_lane: Mapping[int, list[tuple[int, int]]], start: int, end: int
) -> int:
    """The lane of a version whose line runs from row `start` to row `end`: a child's, or else the first free one.

    `children`: lanes of the version's children, whose lines end in row `start` and can hand their lane over.
    """

    def is_free(lane: int) -> bool:
        return all(
            other_end < start or other_start > end or (other_end == start and lane in children)
            for other_start, other_end in lines_by_lane.get(lane, [])
        )

    for lane in sorted(children):
        if lane > 0 and is_free(lane):
            return lane
    lane = 1
    while not is_free(lane):
        lane += 1
    return lane

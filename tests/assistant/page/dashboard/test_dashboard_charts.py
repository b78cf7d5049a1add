"""The lanes of the family tree, and charts of unusual values."""

import pytest

from assistant.page.dashboard.views.charts import (
    Interval,
    Line,
    Point,
    histogram,
    interval_chart,
    line_chart,
    ticks,
)
from assistant.page.dashboard.views.family_tree import family_rows, lane_count


def test_no_line_of_the_family_tree_crosses_another_version() -> None:
    parents = {
        "v1": None,
        "v2": "v1",
        "v3": "v1",
        "v4": "v1",
        "v5": "v4",
        "v6": "v5",
        "v7": "v4",
        "v8": "gone",
    }
    rows = family_rows(parents, "v6")
    assert [row.version for row in rows] == ["v8", "v7", "v6", "v5", "v4", "v3", "v2", "v1"]
    lanes = {row.version: row.lane for row in rows}
    assert [lanes[version] for version in ("v1", "v4", "v5", "v6")] == [0, 0, 0, 0]
    assert lanes["v7"] > 0 and lanes["v2"] != lanes["v3"]
    for row in rows:
        assert row.lane not in row.through
        assert len(set(row.through)) == len(row.through)
    assert rows[-1].joins and rows[-1].above and not rows[-1].below
    assert not rows[0].below
    assert lane_count(rows) == 3
    assert family_rows({}, None) == []


def test_a_long_line_of_unreleased_versions_stays_in_one_lane() -> None:
    parents = {"v1": None, **{f"v{n}": f"v{n - 1}" for n in range(2, 30)}}
    rows = family_rows(parents, "v1")
    assert {row.lane for row in rows} == {0, 1}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.5, 1]),
        (0, 4, [0, 1, 2, 3, 4]),
        (-20, 20, [-20, -10, 0, 10, 20]),
        (0.61, 0.64, [0.61, 0.62, 0.63, 0.64]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_charts_can_draw_single_points_and_equal_values() -> None:
    single = line_chart([Line("v1", [Point(5, 0.5, 0.2, 0.8)])], "x", str, str, y_range=(0, 1))
    assert "whisker" in single and "nan" not in single
    flat = line_chart([Line("loss", [Point(0, 1.0), Point(1, 1.0)])], "x", str, str)
    assert "nan" not in flat
    assert "nan" not in histogram([("a", [1.0], 0), ("b", [1.0], 1)], "x", "y")
    drawn = interval_chart([Interval("a", 0, 0, 0, "0")], 0, -1, 1)
    assert "50.00%" in drawn and "limit" not in drawn
    assert 'class="limit" style="left:25.00%"' in interval_chart(
        [Interval("a", 0, 0, 0, "0", limit=-0.5)], 0, -1, 1
    )

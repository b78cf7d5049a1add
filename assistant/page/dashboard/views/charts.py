"""Charts as HTML: lines and areas in an SVG that stretches with the page, points and labels over it in their own size.

Text stays readable on a phone that way, and colours come from the style sheet, light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from assistant.page.views.templates import render

TONES = 6
"""Colours that the style sheet has for lines; further lines begin again with the first."""
SIZE = 1000
"""Width and height of a drawing in its own units."""
MAX_DOTS = 40
"""A line of more points is drawn without dots."""
HEADROOM = 0.94
"""Height of a histogram's highest bar as a share of the drawing."""


@dataclass(frozen=True)
class Point:
    """A value, its interval if it has one, and the text that is shown while a pointer is over it."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    text: str = ""


@dataclass(frozen=True)
class Line:
    """A named line through points in order of x."""

    name: str
    points: Sequence[Point]
    tone: int = 0
    """Number of its colour."""


@dataclass(frozen=True)
class Interval:
    """A row of an interval chart."""

    label: str
    value: float
    low: float
    high: float
    text: str
    note: str = ""
    tone: str = "calm"
    """A class of the style sheet: good, bad or calm."""
    limit: float | None = None
    """The value that the interval must not reach below, if there is one."""


@dataclass(frozen=True)
class _Scale:
    """Values from `low` to `high` laid over a drawing."""

    low: float
    high: float

    def units(self, value: float) -> float:
        """Distance from the left in units of the drawing, 0 to SIZE."""
        return SIZE * (value - self.low) / (self.high - self.low)

    def units_down(self, value: float) -> float:
        """Distance from the top in units of the drawing, 0 to SIZE."""
        return SIZE * (1 - (value - self.low) / (self.high - self.low))

    def left(self, value: float) -> str:
        """Distance from the left in percent."""
        return f"{self.units(value) / 10:.2f}"

    def top(self, value: float) -> str:
        """Distance from the top in percent."""
        return f"{self.units_down(value) / 10:.2f}"


@dataclass(frozen=True)
class _Shape:
    """A path of the SVG."""

    kind: str
    path: str


def line_chart(
    lines: Sequence[Line],
    label: str,
    x_text: Callable[[float], str],
    y_text: Callable[[float], str],
    *,
    y_range: tuple[float, float] | None = None,
    zero: float | None = None,
    x_title: str = "",
) -> Markup:
    """Lines with their intervals as bands. `x_text` and `y_text` label the axes; `zero` is drawn as a stronger line."""
    y = _Scale(*(y_range or _y_range(lines, zero)))
    first = min(point.x for line in lines for point in line.points)
    last = max(point.x for line in lines for point in line.points)
    x = _Scale(first, last) if first < last else _Scale(first - 1, last + 1)
    grid = [
        _Shape(
            "grid strong" if zero is not None and math.isclose(tick, zero, abs_tol=1e-9) else "grid",
            f"M0 {y.units_down(tick):.1f}H{SIZE}",
        )
        for tick in ticks(y.low, y.high)
    ]
    return _render(
        label,
        shapes=[*grid, *(shape for line in lines for shape in _line_shapes(line, x, y))],
        y_marks=[{"at": y.top(tick), "text": y_text(tick)} for tick in ticks(y.low, y.high)],
        dots=[dot for line in lines for dot in _dots(line, x, y)],
        x_marks=[{"at": x.left(mark), "text": x_text(mark)} for mark in _x_marks(lines, x.low, x.high)],
        key=[(line.name, line.tone % TONES) for line in lines],
        x_title=x_title,
    )


def histogram(
    groups: Sequence[tuple[str, Sequence[float], int]], label: str, x_title: str, bins: int = 24
) -> Markup:
    """Groups (name, values, tone) as overlapping steps, each bar a share of its group, with a line at each mean."""
    x = _Scale(*_padded([value for _, values, _ in groups for value in values]))
    shares = []
    for _, values, _ in groups:
        counts = [0] * bins
        for value in values:
            counts[min(bins - 1, int((value - x.low) / (x.high - x.low) * bins))] += 1
        shares.append([count / len(values) for count in counts])
    highest = max(max(bars) for bars in shares)
    areas, means = [], []
    for (name, values, tone), bars in zip(groups, shares, strict=True):
        steps = [(0.0, float(SIZE))]
        for number, bar in enumerate(bars):
            height = SIZE * (1 - HEADROOM * bar / highest)
            steps += [(SIZE * number / bins, height), (SIZE * (number + 1) / bins, height)]
        steps.append((float(SIZE), float(SIZE)))
        areas.append(_Shape(f"area tone-{tone}", f"{_path(steps)}Z"))
        mean = sum(values) / len(values)
        means.append({"tone": tone, "left": x.left(mean), "text": f"{name}: {mean:.2f}"})
    return _render(
        label,
        kind="low no-y",
        shapes=[*areas, _Shape("grid strong", f"M0 {SIZE}H{SIZE}")],
        means=means,
        x_marks=[{"at": x.left(tick), "text": f"{tick:g}"} for tick in ticks(x.low, x.high)],
        key=[(name, tone) for name, _, tone in groups],
        x_title=x_title,
    )


def interval_chart(intervals: Sequence[Interval], zero: float, low: float, high: float) -> Markup:
    """A row for each interval, on one scale from `low` to `high`. `zero`: the value at which nothing differs."""

    def percent(value: float) -> float:
        return 100 * (min(max(value, low), high) - low) / (high - low)

    rows = [
        {
            "label": interval.label,
            "note": interval.note,
            "text": interval.text,
            "tone": interval.tone,
            "left": f"{percent(interval.low):.2f}",
            "width": f"{max(percent(interval.high) - percent(interval.low), 0.4):.2f}",
            "middle": f"{percent(interval.value):.2f}",
            "limit": None if interval.limit is None else f"{percent(interval.limit):.2f}",
        }
        for interval in intervals
    ]
    return render("dashboard/interval_chart.html", rows=rows, zero=f"{percent(zero):.2f}")


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round values from `low` to `high`, some `about` of them: steps are 1, 2 or 5 times a power of ten."""
    smallest_step = (high - low) / about
    power = 10.0 ** math.floor(math.log10(smallest_step))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= smallest_step * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _y_range(lines: Sequence[Line], zero: float | None) -> tuple[float, float]:
    values = [
        value
        for line in lines
        for point in line.points
        for value in (point.y, point.low, point.high)
        if value is not None
    ]
    return _padded([*values, zero] if zero is not None else values)


def _padded(values: Sequence[float]) -> tuple[float, float]:
    """The range of `values` with some room on both sides, never empty."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or max(abs(high), 1.0) * 0.5
    return low - room, high + room


def _x_marks(lines: Sequence[Line], first: float, last: float, most: int = 4) -> list[float]:
    """At most some `most` values of x that have points, spread out: nothing is labelled where nothing was measured."""
    values = sorted({point.x for line in lines for point in line.points})
    distance, marks = (last - first) / most, values[:1]
    for value in values[1:]:
        if value - marks[-1] >= distance:
            marks.append(value)
    return marks


def _line_shapes(line: Line, x: _Scale, y: _Scale) -> list[_Shape]:
    """The band of the intervals, and the line itself; nothing where there is a single point."""
    tone = line.tone % TONES
    shapes = []
    intervals = [
        (point.x, point.low, point.high)
        for point in line.points
        if point.low is not None and point.high is not None
    ]
    if len(intervals) > 1:
        upper = [(x.units(at), y.units_down(high)) for at, _, high in intervals]
        lower = [(x.units(at), y.units_down(low)) for at, low, _ in reversed(intervals)]
        shapes.append(_Shape(f"band tone-{tone}", f"{_path(upper + lower)}Z"))
    if len(line.points) > 1:
        points = [(x.units(point.x), y.units_down(point.y)) for point in line.points]
        shapes.append(_Shape(f"line tone-{tone}", _path(points)))
    return shapes


def _dots(line: Line, x: _Scale, y: _Scale) -> list[dict[str, Any]]:
    """A dot for each point; with a whisker for the interval where there is a single point, and so no band."""
    if len(line.points) > MAX_DOTS:
        return []
    dots = []
    for point in line.points:
        whisker = None
        if len(line.points) == 1 and point.low is not None and point.high is not None:
            height = (y.units_down(point.low) - y.units_down(point.high)) / 10
            whisker = {"top": y.top(point.high), "height": f"{height:.2f}"}
        dots.append(
            {
                "tone": line.tone % TONES,
                "left": x.left(point.x),
                "top": y.top(point.y),
                "text": point.text,
                "whisker": whisker,
            }
        )
    return dots


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _render(
    label: str,
    *,
    shapes: Sequence[_Shape],
    x_marks: Sequence[dict[str, str]],
    key: Sequence[tuple[str, int]],
    x_title: str,
    y_marks: Sequence[dict[str, str]] = (),
    dots: Sequence[dict[str, Any]] = (),
    means: Sequence[dict[str, Any]] = (),
    kind: str = "",
) -> Markup:
    return render(
        "dashboard/chart.html",
        label=label,
        size=SIZE,
        shapes=shapes,
        x_marks=x_marks,
        y_marks=y_marks,
        dots=dots,
        means=means,
        key=key,
        x_title=x_title,
        kind=kind,
    )

"""Charts as HTML: lines and areas in an SVG that stretches with the page, points and labels over it in its own size.

So text stays readable on a phone, and colours come from the style sheet, light and dark. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from assistant.page.views.markdown import plain

TONES = 6
"""Colours that the style sheet has for lines; after that they begin again."""
SIZE = 1000
"""Of the drawing in its own units, both ways."""
SMALLEST_DOTS = 40
"""Points of a line beyond which it has no dots."""


@dataclass(frozen=True)
class Point:
    """A value with its interval, where it has one, and what a pointer over it reads."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    text: str = ""


@dataclass(frozen=True)
class Line:
    """A named line through points, in order of x."""

    name: str
    points: Sequence[Point]
    tone: int = 0


@dataclass(frozen=True)
class Span:
    """A row of an interval chart."""

    label: str
    value: float
    low: float
    high: float
    text: str
    note: str = ""
    tone: str = "calm"
    """A class of the style sheet: good, bad or calm."""


def line_chart(
    lines: Sequence[Line],
    label: str,
    x_text: Callable[[float], str],
    y_text: Callable[[float], str],
    *,
    y_range: tuple[float, float] | None = None,
    zero: float | None = None,
    x_title: str = "",
) -> str:
    """Lines with their intervals as bands. `zero`: a value whose line is drawn stronger."""
    values = [
        y
        for line in lines
        for point in line.points
        for y in (point.y, point.low, point.high)
        if y is not None
    ]
    if zero is not None:
        values.append(zero)
    low, high = y_range or _padded(min(values), max(values))
    first = min(point.x for line in lines for point in line.points)
    last = max(point.x for line in lines for point in line.points)
    if first == last:
        first, last = first - 1, last + 1

    def x(value: float) -> float:
        return SIZE * (value - first) / (last - first)

    def y(value: float) -> float:
        return SIZE * (1 - (value - low) / (high - low))

    drawn, over = [], []
    for tick in ticks(low, high):
        strong = " strong" if zero is not None and math.isclose(tick, zero, abs_tol=1e-9) else ""
        drawn.append(f'<path class="grid{strong}" d="M0 {y(tick):.1f}H{SIZE}"/>')
        over.append(f'<span class="y" style="top:{y(tick) / 10:.2f}%">{plain(y_text(tick))}</span>')
    for line in lines:
        tone = f"tone-{line.tone % TONES}"
        shaded = [point for point in line.points if point.low is not None and point.high is not None]
        if len(shaded) > 1:
            edge = [(x(p.x), y(p.high or 0)) for p in shaded] + [
                (x(p.x), y(p.low or 0)) for p in reversed(shaded)
            ]
            drawn.append(f'<path class="band {tone}" d="{_path(edge)}Z"/>')
        if len(line.points) > 1:
            drawn.append(f'<path class="line {tone}" d="{_path([(x(p.x), y(p.y)) for p in line.points])}"/>')
        for point in line.points if len(line.points) <= SMALLEST_DOTS else ():
            if len(line.points) == 1 and point.low is not None and point.high is not None:
                height = (y(point.low) - y(point.high)) / 10
                over.append(
                    f'<i class="whisker {tone}" style="left:{x(point.x) / 10:.2f}%;top:{y(point.high) / 10:.2f}%;'
                    f'height:{height:.2f}%"></i>'
                )
            over.append(
                f'<i class="dot {tone}" style="left:{x(point.x) / 10:.2f}%;top:{y(point.y) / 10:.2f}%" '
                f'title="{plain(point.text)}"></i>'
            )
    marks = _x_marks(lines, first, last)
    for mark in marks:
        over.append(f'<span class="x" style="left:{x(mark) / 10:.2f}%">{plain(x_text(mark))}</span>')
    return _figure(label, drawn, over, [(line.name, f"tone-{line.tone % TONES}") for line in lines], x_title)


def histogram(
    groups: Sequence[tuple[str, Sequence[float], int]], label: str, x_title: str, bins: int = 24
) -> str:
    """Groups (name, values, tone) as overlapping steps of their shares, with a line at each mean."""
    everything = [value for _, values, _ in groups for value in values]
    low, high = _padded(min(everything), max(everything))
    shares = []
    for _, values, _ in groups:
        counts = [0] * bins
        for value in values:
            counts[min(bins - 1, int((value - low) / (high - low) * bins))] += 1
        shares.append([count / len(values) for count in counts])
    top = max(max(each) for each in shares)
    drawn, over = [], []
    for (name, values, tone), each in zip(groups, shares, strict=True):
        steps = [(0.0, float(SIZE))]
        for number, share in enumerate(each):
            height = SIZE * (1 - 0.94 * share / top)
            steps += [(SIZE * number / bins, height), (SIZE * (number + 1) / bins, height)]
        steps.append((float(SIZE), float(SIZE)))
        drawn.append(f'<path class="area tone-{tone}" d="{_path(steps)}Z"/>')
        mean = sum(values) / len(values)
        place = 100 * (mean - low) / (high - low)
        over.append(
            f'<i class="mean tone-{tone}" style="left:{place:.2f}%" title="{plain(f"{name}: {mean:.2f}")}"></i>'
        )
    for tick in ticks(low, high):
        over.append(f'<span class="x" style="left:{100 * (tick - low) / (high - low):.2f}%">{tick:g}</span>')
    drawn.append(f'<path class="grid strong" d="M0 {SIZE}H{SIZE}"/>')
    key = [(name, f"tone-{tone}") for name, _, tone in groups]
    return _figure(label, drawn, over, key, x_title, "low no-y")


def spans(rows: Sequence[Span], zero: float, low: float, high: float) -> str:
    """Rows of label, interval and text; `zero` is where nothing differs. All on one scale from `low` to `high`."""

    def place(value: float) -> float:
        return 100 * (min(max(value, low), high) - low) / (high - low)

    drawn = []
    for row in rows:
        left, right = place(row.low), place(row.high)
        drawn.append(
            f'<div class="span {row.tone}"><span class="span-label">{plain(row.label)}'
            + (f"<small>{plain(row.note)}</small>" if row.note else "")
            + f'</span><span class="track" aria-hidden="true"><i class="zero" style="left:{place(zero):.2f}%"></i>'
            f'<i class="reach" style="left:{left:.2f}%;width:{max(right - left, 0.4):.2f}%"></i>'
            f'<i class="dot" style="left:{place(row.value):.2f}%"></i></span>'
            f'<span class="span-text">{plain(row.text)}</span></div>'
        )
    return f'<div class="spans">{"".join(drawn)}</div>'


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round values between `low` and `high`, both included where they are round: 1, 2 or 5 times a power of ten."""
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 10) for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.06 * (high - low) or max(abs(high), 1.0) * 0.5
    return low - room, high + room


def _x_marks(lines: Sequence[Line], first: float, last: float, most: int = 4) -> list[float]:
    """Where there are points, spread out: a label never stands where nothing was measured."""
    known = sorted({point.x for line in lines for point in line.points})
    apart, kept = (last - first) / most, known[:1]
    for value in known[1:]:
        if value - kept[-1] >= apart:
            kept.append(value)
    return kept


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _figure(
    label: str,
    drawn: Sequence[str],
    over: Sequence[str],
    key: Sequence[tuple[str, str]],
    x_title: str,
    kind: str = "",
) -> str:
    names = "".join(f'<span class="{tone}"><b>{plain(name)}</b></span>' for name, tone in key)
    title = f'<span class="x-title">{plain(x_title)}</span>' if x_title else ""
    return (
        f'<figure class="chart {kind}" role="img" aria-label="{plain(label)}"><div class="plot">'
        f'<svg viewBox="0 0 {SIZE} {SIZE}" preserveAspectRatio="none" aria-hidden="true">{"".join(drawn)}</svg>'
        f'{"".join(over)}</div><figcaption class="key">{names}{title}</figcaption></figure>'
    )

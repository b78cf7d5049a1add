"""Shares with their intervals, as a table and as an SVG plot: one row per scenario, with its promised rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from scipy.stats import binomtest

ROW, LEFT, WIDTH, MARGIN = 22, 560, 420, 46


@dataclass(frozen=True)
class Row:
    """How often an outcome occurred in the simulated runs of one scenario, and the rate that is promised."""

    name: str
    count: int
    runs: int
    at_most: float | None = None
    at_least: float | None = None
    note: str = ""

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson, 95 %."""
        interval = binomtest(self.count, self.runs).proportion_ci(method="wilson")
        return float(interval.low), float(interval.high)

    @property
    def promise(self) -> str:
        if self.at_most is not None:
            return f"at most {100 * self.at_most:g} %"
        return "" if self.at_least is None else f"at least {100 * self.at_least:g} %"

    @property
    def kept(self) -> bool:
        share = self.count / self.runs
        return (self.at_most is None or share <= self.at_most) and (
            self.at_least is None or share >= self.at_least
        )


def line(row: Row, wide: int) -> str:
    """One line of the table: the name padded to `wide` characters, percent and interval. Marks a broken promise."""
    low, high = row.interval
    share = f"{100 * row.count / row.runs:5.1f} [{100 * low:4.1f}, {100 * high:5.1f}]"
    broken = "" if row.kept else " BROKEN"
    return f"{row.name:<{wide}}  {share}  {row.promise:<13}{broken}  {row.note}".rstrip()


def plot(rows: Sequence[Row], title: str, path: Path) -> None:
    """Write an SVG with a dot and an interval per row: green if its promise holds, red if not, grey without one."""
    height = MARGIN + ROW * len(rows) + 34

    def x(share: float) -> float:
        return LEFT + WIDTH * share

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 40}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="12" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    bottom = MARGIN + ROW * len(rows)
    for tick in (0.0, 0.05, 0.25, 0.5, 0.75, 0.9, 1.0):
        marked = tick in (0.05, 0.9)
        style = 'stroke="#c60" stroke-dasharray="4 3"' if marked else 'stroke="#ddd"'
        parts.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{MARGIN - 8}" y2="{bottom}" {style}/>')
        below = 32 if marked else 18
        parts.append(
            f'<text x="{x(tick):.1f}" y="{bottom + below - 2}" text-anchor="middle">{100 * tick:g} %</text>'
        )
    for number, row in enumerate(rows):
        y = MARGIN + ROW * number + ROW / 2
        low, high = row.interval
        colour = "#888" if not row.promise else "#187a3c" if row.kept else "#b00020"
        parts += [
            f'<text x="12" y="{y + 4:.1f}">{escape(row.name)}</text>',
            f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y:.1f}" y2="{y:.1f}" '
            f'stroke="{colour}" stroke-width="2"/>',
            f'<circle cx="{x(row.count / row.runs):.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>',
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")

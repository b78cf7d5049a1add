"""A comparison of two versions as a table, as JSON and as a plot."""

from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from alignment.evaluation.comparison import Comparison
from alignment.evaluation.evaluate import table as shares
from alignment.evaluation.gate import Compared, compare
from alignment.evaluation.paired_tests import bounds

LEVEL = 0.025
"""Each bound of a 95 % interval."""


def table(found: Comparison) -> str:
    """A line a measure: both versions, the paired difference with its 95 % interval, gained and lost prompts."""
    new, old = found.candidate, found.released
    rows = [
        (
            "measure",
            "kind",
            old.version,
            new.version,
            "better by",
            "95 % interval",
            "gained",
            "lost",
            "prompts",
        )
    ]
    for one, mine, other in zip(compare(new, old), new.measures, old.measures, strict=True):
        low, high = bounds(one.paired, LEVEL)
        rows.append(
            (
                one.name,
                one.kind,
                _share(one, fmean(other.values.values())),
                _share(one, fmean(mine.values.values())),
                _signed(one, one.paired.mean),
                f"[{_signed(one, low)}, {_signed(one, high)}]",
                str(one.paired.gained),
                str(one.paired.lost),
                str(one.paired.prompts),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    for shown in found.figures:
        interval = f"[{100 * shown.low:.1f}, {100 * shown.high:.1f}]"
        lines.append(
            f"{shown.name}: {100 * shown.count / shown.of:.1f} {interval} of {shown.of} (shown only)"
        )
    return "\n".join(lines)


def markdown(text: str) -> str:
    """What `table` gives, in Markdown."""
    lines: list[str] = []
    for number, line in enumerate(text.splitlines()):
        cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
        if len(cells) == 1:
            lines += ["", line] if lines and lines[-1].startswith("|") else [line]
            continue
        lines.append(f"| {' | '.join(cells)} |")
        if number == 0:
            lines.append(f"|{'---|' * len(cells)}")
    return "\n".join(lines)


def cells(found: Comparison) -> str:
    """Both versions' shares of right answers by kind, language and thinking mode."""
    return "\n\n".join(f"{version}\n{shares(some)}" for version, some in found.cells.items())


def content(found: Comparison) -> dict[str, Any]:
    """Everything, prompt by prompt, as JSON takes it."""
    return {
        "candidate": asdict(found.candidate),
        "released": asdict(found.released),
        "figures": [asdict(one) for one in found.figures],
        "rewards": asdict(found.rewards) if found.rewards else None,
        "cells": {
            version: [{**asdict(cell), "share": cell.share} for cell in some]
            for version, some in found.cells.items()
        },
    }


def plot(found: Comparison, path: Path) -> None:
    """Write a picture: each right-or-wrong measure's paired difference in points, with its 95 % interval.

    Needs matplotlib; without it a line says so.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        print("for a picture of it: pip install matplotlib")
        return
    shown = [one for one in compare(found.candidate, found.released) if one.paired.binary]
    figure = Figure(figsize=(8, 1.2 + 0.4 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, one in enumerate(reversed(shown)):
        low, high = (100 * bound for bound in bounds(one.paired, LEVEL))
        colour = "tab:blue" if one.kind == "primary" else "tab:grey"
        axes.plot([low, high], [number, number], color=colour)
        axes.plot([100 * one.paired.mean], [number], marker="o", color=colour)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [f"{one.name} ({one.kind})" for one in reversed(shown)])
    axes.set_xlabel(f"points by which {found.candidate.version} is better than {found.released.version}")
    figure.savefig(path, dpi=120)


def _share(one: Compared, value: float) -> str:
    return f"{100 * value:.1f}" if one.paired.binary else f"{value:.3g}"


def _signed(one: Compared, value: float) -> str:
    return f"{100 * value:+.1f}" if one.paired.binary else f"{value:+.3g}"

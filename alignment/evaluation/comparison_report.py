"""A comparison of two versions as a table, as JSON and as a plot."""

from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from alignment.evaluation.comparison import VersionComparison
from alignment.evaluation.formatting import aligned, amount, difference, with_interval
from alignment.evaluation.gate import compare
from alignment.evaluation.paired_tests import bounds
from alignment.evaluation.shares import table as table_of_shares

LEVEL = 0.025
"""Each bound of a 95 % interval."""


def table(compared: VersionComparison) -> str:
    """A line a measure: both versions, the paired difference with its 95 % interval, gained and lost prompts."""
    new, old = compared.candidate, compared.released
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
    for measure, mine, other in zip(compare(new, old), new.measures, old.measures, strict=True):
        paired = measure.paired
        low, high = (difference(bound, paired.binary) for bound in bounds(paired, LEVEL))
        rows.append(
            (
                measure.name,
                measure.kind,
                amount(fmean(other.values.values()), paired.binary),
                amount(fmean(mine.values.values()), paired.binary),
                difference(paired.mean, paired.binary),
                f"[{low}, {high}]",
                str(paired.gained),
                str(paired.lost),
                str(paired.prompts),
            )
        )
    lines = aligned(rows)
    for share in compared.shown:
        percent = with_interval(share.count / share.of, share.low, share.high)
        lines.append(f"{share.name}: {percent} of {share.of} (shown only)")
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


def cells(compared: VersionComparison) -> str:
    """Both versions' shares of right answers by kind, language and thinking mode."""
    return "\n\n".join(f"{version}\n{table_of_shares(shares)}" for version, shares in compared.cells.items())


def content(compared: VersionComparison) -> dict[str, Any]:
    """Everything, prompt by prompt, as JSON takes it."""
    return {
        "candidate": asdict(compared.candidate),
        "released": asdict(compared.released),
        "figures": [asdict(share) for share in compared.shown],
        "rewards": asdict(compared.rewards) if compared.rewards else None,
        "cells": {
            version: [{**asdict(cell), "share": cell.share} for cell in shares]
            for version, shares in compared.cells.items()
        },
    }


def plot(compared: VersionComparison, path: Path) -> None:
    """Write a picture: each right-or-wrong measure's paired difference in points, with its 95 % interval.

    Needs matplotlib; without it, prints a line that says so.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        print("for a picture of it: pip install matplotlib")
        return
    shown = [measure for measure in compare(compared.candidate, compared.released) if measure.paired.binary]
    figure = Figure(figsize=(8, 1.2 + 0.4 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, measure in enumerate(reversed(shown)):
        low, high = (100 * bound for bound in bounds(measure.paired, LEVEL))
        colour = "tab:blue" if measure.kind == "primary" else "tab:grey"
        axes.plot([low, high], [number, number], color=colour)
        axes.plot([100 * measure.paired.mean], [number], marker="o", color=colour)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(shown)), [f"{measure.name} ({measure.kind})" for measure in reversed(shown)])
    axes.set_xlabel(
        f"points by which {compared.candidate.version} is better than {compared.released.version}"
    )
    figure.savefig(path, dpi=120)

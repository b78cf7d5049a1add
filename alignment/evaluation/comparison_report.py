"""A comparison of two versions as a table, as JSON and as a plot."""

from dataclasses import asdict
from pathlib import Path
from statistics import fmean
from typing import Any

from alignment.evaluation.aligned_table import aligned
from alignment.evaluation.comparison import ShownShare, VersionComparison
from alignment.evaluation.gate import compare
from alignment.evaluation.paired_tests import bounds
from alignment.evaluation.shares import table as table_of_shares
from assistant.admin.cycle_report import measure_cells
from assistant.events.describe import describe
from assistant.events.event import Event

LEVEL = 0.025
"""Each bound of a 95 % interval."""


def measures(compared: VersionComparison) -> list[dict[str, Any]]:
    """A row a measure: the means of both versions, the paired difference with its 95 % interval, counts of prompts."""
    new, old = compared.candidate, compared.released
    rows = []
    for measure, mine, other in zip(compare(new, old), new.measures, old.measures, strict=True):
        paired = measure.paired
        low, high = bounds(paired, LEVEL)
        rows.append(
            {
                "measure": measure.name,
                "kind": measure.kind,
                "unit": "points" if paired.binary else "",
                "released": fmean(other.values.values()),
                "candidate": fmean(mine.values.values()),
                "difference": paired.mean,
                "low": low,
                "high": high,
                "gained": paired.gained,
                "lost": paired.lost,
                "prompts": paired.prompts,
            }
        )
    return rows


def shown_shares(compared: VersionComparison) -> list[Event]:
    """The shares that are shown and decide nothing."""
    return [_share_event(share) for share in compared.shown]


def _share_event(share: ShownShare) -> Event:
    values = {"share": share.count / share.of, "low": share.low, "high": share.high, "of": share.of}
    if share.version:
        return Event.of("report_reward_model_share", version=share.version, **values)
    return Event.of("report_share", measure=share.name, **values)


def table(compared: VersionComparison) -> str:
    """The measures as a table in plain text, a line each, and the shares below it."""
    headings = ("measure", "kind", compared.released.version, compared.candidate.version)
    rows = [
        (*headings, "better by", "95 % interval", "gained", "lost", "prompts"),
        *((row["measure"], row["kind"], *measure_cells(row)) for row in measures(compared)),
    ]
    return "\n".join([*aligned(rows), *map(describe, shown_shares(compared))])


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

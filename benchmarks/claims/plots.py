"""The look of the claims' plots: SVG with real text, so that the reader's own fonts show either language."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from benchmarks.claims.intervals import Interval

GREEN, ORANGE, BLUE, RED, GREY = COLOURS = ("#0a7d55", "#b3541e", "#4a5ba8", "#b00020", "#767676")
STYLE = {
    # Text stays text; ids and dates do not change from one drawing to the next.
    "svg.fonttype": "none",
    "svg.hashsalt": "claims",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def save(draw: Callable[[Figure], None], path: Path) -> None:
    """Let `draw` fill a figure of 8 by 4 inches, and write it to `path` as SVG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # Chinese text is measured without a Chinese font, and drawn by the reader's.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(8, 4), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        figure.savefig(path, metadata={"Date": None})


def line(
    axes: Any, places: Sequence[float], figures: Sequence[Interval], label: str, colour: str, scale: float = 1
) -> None:
    """Points with their intervals, joined by a line; `scale` multiplies all figures, 100 for percent."""
    values = [scale * each.value for each in figures]
    # A bound may pass the value by a rounding error.
    below = [max(0.0, scale * (each.value - each.low)) for each in figures]
    above = [max(0.0, scale * (each.high - each.value)) for each in figures]
    axes.errorbar(places, values, [below, above], label=label, color=colour, marker="o", ms=4, capsize=3)


def rows(
    axes: Any, names: Sequence[str], figures: Sequence[Interval], colours: Sequence[str], scale: float = 1
) -> None:
    """One named row a figure, the first on top: a dot with its interval, in its colour."""
    for place, (each, colour) in enumerate(zip(figures, colours, strict=True)):
        axes.plot([scale * each.low, scale * each.high], [place, place], color=colour, lw=2)
        axes.plot([scale * each.value], [place], color=colour, marker="o", ms=5)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()

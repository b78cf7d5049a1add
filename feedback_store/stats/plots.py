"""Draw the statistics as PNG files: thumbs over time, shares by version, reasons, agreement between raters."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from feedback_store.errors import StoreUnwritable
from feedback_store.optional_packages import optional_package
from feedback_store.stats.intervals import wilson
from feedback_store.stats.summary import SPAN_NAMES, Stats, moment

# Maximum number of bars or points in one picture, to keep it readable. The text of `stats` has all of them.
MOST_SHOWN = 40
UP, DOWN, PLAIN = "tab:blue", "tab:orange", "tab:gray"
# Fonts for Chinese, tried in this order if installed; matplotlib's own font has no Chinese characters.
CHINESE = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Microsoft YaHei", "PingFang SC", "SimHei")


def draw(stats: Stats, folder: Path) -> list[Path]:
    """Write each picture that has data to `folder`; returns the files. Raises StoreUnwritable, MissingDependency."""
    matplotlib = optional_package("matplotlib", "Pictures")
    known = {
        font.name for font in optional_package("matplotlib.font_manager", "Pictures").fontManager.ttflist
    }
    fonts = ["DejaVu Sans", *(name for name in CHINESE if name in known)]
    drawn = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Names of versions and reasons are plain text: a $ in them starts no formula.
        text = matplotlib.rc_context({"font.family": fonts, "text.parse_math": False})
        with text, warnings.catch_warnings():
            # Characters that no installed font has are drawn as boxes; the text of `stats` shows them.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            for name, draw_picture in PICTURES.items():
                figure = draw_picture(stats)
                if figure is not None:
                    figure.savefig(folder / name, dpi=120)
                    drawn.append(folder / name)
    except OSError as error:
        raise StoreUnwritable(
            f"Pictures cannot be written to {folder}: {error.strerror or error}. Name a folder that you can write."
        ) from error
    return drawn


def _over_time(stats: Stats) -> Any:
    if not stats.over_time:
        return None
    figure, axes = _figure(len(stats.over_time), horizontal=False)
    at = range(len(stats.over_time))
    up = [span.up for span in stats.over_time]
    axes.bar(at, up, color=UP, label="up")
    axes.bar(at, [span.down for span in stats.over_time], bottom=up, color=DOWN, label="down", hatch="//")
    names = [moment(span.start, stats.seconds) for span in stats.over_time]
    axes.set_xticks(at, names, rotation=90 if len(names) > 4 else 0)
    axes.set_ylabel(f"thumbs, each {SPAN_NAMES[stats.seconds]} (UTC)")
    axes.legend()
    return figure


def _shares(stats: Stats) -> Any:
    thumbs = {version: (of["up"], of["up"] + of["down"]) for version, of in stats.counts["versions"].items()}
    shown = _most([(version, of) for version, of in thumbs.items() if of[1]], lambda item: item[1][1])
    if not shown:
        return None
    figure, axes = _figure(len(shown), horizontal=True)
    for at, (_, (up, of)) in enumerate(shown):
        share = wilson(up, of)
        axes.plot([100 * share.low, 100 * share.high], [at, at], color=UP)
        axes.plot([100 * share.value], [at], marker="o", color=UP)
    axes.set_yticks(range(len(shown)), [f"{version} ({of:,})" for version, (_, of) in shown])
    axes.set_xlim(0, 100)
    axes.set_xlabel("thumbs that are up, percent, with 95 % intervals")
    axes.set_ylabel("version (thumbs)")
    axes.set_ylim(len(shown) - 0.5, -0.5)
    return figure


def _reasons(stats: Stats) -> Any:
    shown = list(stats.counts["reasons"].items())[:MOST_SHOWN]
    if not shown:
        return None
    figure, axes = _figure(len(shown), horizontal=True)
    axes.barh(range(len(shown)), [number for _, number in shown], color=PLAIN)
    axes.set_yticks(range(len(shown)), [reason for reason, _ in shown])
    axes.set_xlabel("thumbs with this reason")
    axes.set_ylim(len(shown) - 0.5, -0.5)
    return figure


def _agreement(stats: Stats) -> Any:
    defined = [(name, value) for name, value in stats.agreement.items() if value.alpha is not None]
    shown = _most(defined, lambda pair: pair[1].texts)
    if not shown:
        return None
    figure, axes = _figure(len(shown), horizontal=True)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.plot([value.alpha for _, value in shown], range(len(shown)), marker="o", linestyle="", color=PLAIN)
    axes.set_yticks(range(len(shown)), [f"{name or 'all'} ({value.texts:,})" for name, value in shown])
    axes.set_xlim(min(-0.05, *(value.alpha - 0.05 for _, value in shown)), 1.05)
    axes.set_xlabel("Krippendorff's alpha on what two or more judged: 1 all agree, 0 as by chance")
    axes.set_ylabel("version (texts)")
    axes.set_ylim(len(shown) - 0.5, -0.5)
    return figure


PICTURES: dict[str, Callable[[Stats], Any]] = {
    "thumbs-over-time.png": _over_time,
    "up-by-version.png": _shares,
    "reasons.png": _reasons,
    "agreement.png": _agreement,
}


def _most(items: Sequence[Any], size: Callable[[Any], int]) -> list[Any]:
    """The MOST_SHOWN largest items, in their original order."""
    kept = sorted(range(len(items)), key=lambda index: -size(items[index]))[:MOST_SHOWN]
    return [items[index] for index in sorted(kept)]


def _figure(number: int, *, horizontal: bool) -> tuple[Any, Any]:
    # Not made by pyplot, which would change global state and look for a display.
    size = (8, 1.4 + 0.3 * number) if horizontal else (max(6, 1.5 + 0.3 * number), 4.5)
    figure = optional_package("matplotlib.figure", "Pictures").Figure(figsize=size, layout="constrained")
    optional_package("matplotlib.backends.backend_agg", "Pictures").FigureCanvasAgg(figure)
    return figure, figure.add_subplot()

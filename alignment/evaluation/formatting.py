"""Numbers as people read them in tables: shares in percent, differences in points."""

from collections.abc import Sequence


def with_interval(share: float, low: float, high: float) -> str:
    """A share and its interval in percent: "90.0 [59.6, 98.2]"."""
    return f"{100 * share:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def amount(value: float, binary: bool) -> str:
    """A mean: in percent where each value is right or wrong, else with three significant digits."""
    return f"{100 * value:.1f}" if binary else f"{value:.3g}"


def difference(value: float, binary: bool) -> str:
    """A signed difference: in points where each value is right or wrong, else with three significant digits."""
    return f"{100 * value:+.1f}" if binary else f"{value:+.3g}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines whose columns are padded to one width, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]

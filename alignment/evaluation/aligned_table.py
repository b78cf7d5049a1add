"""Numbers as people read them in tables: shares in percent, columns of one width."""

from collections.abc import Sequence


def with_interval(share: float, low: float, high: float) -> str:
    """A share and its interval in percent: "90.0 [59.6, 98.2]"."""
    return f"{100 * share:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines whose columns are padded to one width, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]

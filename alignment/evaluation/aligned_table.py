"""Numbers as people read them in tables: shares in percent, columns of one width."""

from collections.abc import Sequence
from unicodedata import east_asian_width


def with_interval(share: float, low: float, high: float) -> str:
    """A share and its interval in percent: "90.0 [59.6, 98.2]"."""
    return f"{100 * share:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines whose columns are padded to one width, two spaces apart."""
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def cut(text: str, most: int) -> str:
    """A text on one line, in at most so many columns."""
    text = " ".join(text.split())
    if _width(text) <= most:
        return text
    while _width(text) >= most:
        text = text[:-1]
    return f"{text.rstrip()}…"


def _width(text: str) -> int:
    """Columns of a terminal that a text takes: a Chinese character takes two."""
    return len(text) + sum(east_asian_width(character) in "WF" for character in text)

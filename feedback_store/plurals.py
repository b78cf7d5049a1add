"""How many of what, as people say it: one reply, two replies."""

from collections.abc import Mapping

TABLES = {
    "conversations": ("conversation", "conversations"),
    "messages": ("message", "messages"),
    "replies": ("reply", "replies"),
    "ratings": ("rating", "ratings"),
    "rating_history": ("rating in the history", "ratings in the history"),
    "corrections": ("correction", "corrections"),
    "correction_history": ("correction in the history", "corrections in the history"),
    "comparisons": ("comparison", "comparisons"),
    "comparison_history": ("comparison in the history", "comparisons in the history"),
}


def counted(number: int, one: str, many: str) -> str:
    """`number` of a thing, by its name in the singular and in the plural."""
    return f"{number:,} {one if number == 1 else many}"


def counted_rows(counts: Mapping[str, int]) -> str:
    """Numbers of rows by table, in one line."""
    return ", ".join(counted(number, *TABLES[table]) for table, number in counts.items())

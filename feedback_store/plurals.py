"""Counts with the singular or plural of their noun: 1 reply, 2 replies."""

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


def counted(number: int, singular: str, plural: str) -> str:
    """The number with its noun, such as "1 row" or "1,000 rows"."""
    return f"{number:,} {singular if number == 1 else plural}"


def counted_rows(counts: Mapping[str, int]) -> str:
    """Row counts by table as one line of text."""
    return ", ".join(counted(number, *TABLES[table]) for table, number in counts.items())

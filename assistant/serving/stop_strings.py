"""Where a stop text ends a reply. Pure, and right for text that is still arriving."""

from collections.abc import Sequence


def until_stop(text: str, stops: Sequence[str], ended: bool) -> tuple[str, bool]:
    """`text` before the earliest of `stops`, and whether one was found.

    While more may come (`ended` false), a tail that a stop text could begin with is held back, so that no part
    of one is ever shown.
    """
    found = [place for stop in stops if (place := text.find(stop)) >= 0]
    if found:
        return text[: min(found)], True
    if ended:
        return text, False
    held = max((_overlap(text, stop) for stop in stops), default=0)
    return text[: len(text) - held], False


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that `stop` begins with."""
    longest = min(len(text), len(stop) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)

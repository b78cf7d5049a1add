"""Where a stop text ends a reply, also while the reply's text is still arriving."""

from collections.abc import Sequence

from assistant.serving import prompt


def model_stops(tokenizer: prompt.Tokenizer) -> tuple[str, ...]:
    """Stop texts of the model itself: without a template it would go on with the person's next message."""
    return () if tokenizer.chat_template else ("\nUser:",)


def until_stop(text: str, stops: Sequence[str], ended: bool) -> tuple[str, bool]:
    """`text` before the earliest of `stops`, and whether there was one.

    While more may come (`ended` false), an end of the text that a stop text could begin with is held back, so that
    no part of a stop text is ever shown.
    """
    positions = [position for stop in stops if (position := text.find(stop)) >= 0]
    if positions:
        return text[: min(positions)], True
    if ended:
        return text, False
    held_back = max((_overlap(text, stop) for stop in stops), default=0)
    return text[: len(text) - held_back], False


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that `stop` begins with."""
    longest = min(len(text), len(stop) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)

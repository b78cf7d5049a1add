"""Where a stop text ends a reply, also while the reply's text is still arriving."""

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer


def model_stops(tokenizer: Tokenizer) -> tuple[str, ...]:
    """Stop texts of the model itself: without a template it would go on with the person's next message."""
    return () if tokenizer.chat_template else ("\nUser:",)


@dataclass(frozen=True)
class StopSearch:
    """Where a completion's text may be ended by which texts. Positions are in characters of the raw text."""

    stops: Sequence[str]
    """Texts that a client asked for: they end the answer as it is read, never a thought or a tag around one."""
    model_stops: Sequence[str]
    """Texts of the model itself, which end the completion wherever they are."""
    unstoppable: int = 0
    """How much of the beginning no stop text can end or overlap: that of the first `min_tokens` tokens."""

    def until_stop(self, text: str, answer: int | None, ended: bool) -> tuple[str, bool]:
        """`text` before the earliest stop text, and whether there was one.

        `answer`: where the answer begins in `text`; None while there is none. Space before the answer's first word is
        not read, so that a stop text must reach beyond it. While more may come (`ended` false), an end of the text
        that a stop text could begin with is held back, so that no part of a stop text is ever shown.
        """
        positions = [text.find(stop, self.unstoppable) for stop in self.model_stops]
        overlaps = [_overlap(text[self.unstoppable :], stop) for stop in self.model_stops]
        if answer is not None:
            beginning = max(answer, self.unstoppable)
            read = len(text) - len(text[answer:].lstrip())
            positions += [text.find(stop, max(beginning, read + 1 - len(stop))) for stop in self.stops]
            overlaps += [_overlap(text[beginning:], stop) for stop in self.stops]
        earliest = min((position for position in positions if position >= 0), default=None)
        if earliest is not None:
            return text[:earliest], True
        if ended:
            # A reply that its limit ends may have begun the person's next line. A line's end alone is not the person's.
            begun = max((_overlap(text[self.unstoppable :], stop) for stop in self.model_stops), default=0)
            return text[: len(text) - begun] if begun > 1 else text, False
        return text[: len(text) - max(overlaps, default=0)], False


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that `stop` begins with."""
    longest = min(len(text), len(stop) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)

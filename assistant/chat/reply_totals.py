"""Counts of the replies that this process has written: how they ended, their tokens, and how long they took."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from feedback_store import NewReply

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds of a histogram's buckets; a last one has no bound."""


@dataclass
class Histogram:
    """How many values fell into each bucket of `SECONDS`, and their sum."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))
    total: float = 0.0

    def add(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(SECONDS, value)] += 1
        self.total += value


@dataclass
class ReplyTotals:
    """What has been counted since the process began."""

    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Replies by version and finish reason."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token: Histogram = field(default_factory=Histogram)
    whole: Histogram = field(default_factory=Histogram)

    def add(self, reply: NewReply) -> None:
        """Count a reply that has ended."""
        self.ended[reply.version, reply.finish_reason] += 1
        self.prompt_tokens += len(reply.prompt_ids)
        self.completion_tokens += len(reply.completion_ids)
        self.whole.add(reply.seconds)
        if reply.first_token_seconds is not None:
            self.first_token.add(reply.first_token_seconds)

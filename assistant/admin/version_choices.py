"""Which of two versions people prefer, from blind choices between their answers, and whether that can be luck.

One person who chooses on a dozen messages can decide between two versions, where thumbs would need many people. The
evidence is a likelihood ratio: how much likelier these choices are if the share that goes to one version is anything
from 0 to 1, all alike, than if each choice were a coin's toss. Under the coin it exceeds 1 / alpha at any time at all
with a probability of at most alpha (Ville 1939; the mixture is Robbins', 1970, "Statistical methods related to the law
of the iterated logarithm", Annals of Mathematical Statistics 41). So anybody may look, and stop, after any choice.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Container
from dataclasses import dataclass

from feedback_store import FeedbackStore, rows
from feedback_store.rows.prompt_matching import rater_key

ALPHA = 0.05
"""The most likely that equally good versions are ever told apart."""


@dataclass(frozen=True)
class ChoiceCounts:
    """On how many different messages people preferred one version, the other, or neither."""

    better: int
    worse: int
    neither: int

    @property
    def is_sure(self) -> bool:
        """Whether one of the versions is preferred by more than luck explains."""
        return evidence(self.better, self.worse) >= 1 / ALPHA

    @property
    def missing(self) -> int:
        """How many more choices, all as most of these, would make it sure; 0 if it is."""
        more, fewer = max(self.better, self.worse), min(self.better, self.worse)
        return next(count for count in itertools.count() if evidence(more + count, fewer) >= 1 / ALPHA)


def evidence(better: int, worse: int) -> float:
    """The mixture's likelihood ratio: 2^n k! (n - k)! / (n + 1)! for n choices, k of them for one version."""
    count = better + worse
    logarithm = (
        count * math.log(2) + math.lgamma(better + 1) + math.lgamma(worse + 1) - math.lgamma(count + 2)
    )
    return math.exp(min(logarithm, 700.0))  # A float ends at about exp(709).


def choices_between(store: FeedbackStore, version: str, other: str) -> ChoiceCounts:
    """Count blind choices between two versions, each message once: what most people chose on it."""
    by_message: dict[str, int] = defaultdict(int)
    for message, value in _choices(store, version, other):
        by_message[message] += value
    values = by_message.values()
    return ChoiceCounts(
        sum(value > 0 for value in values),
        sum(value < 0 for value in values),
        sum(value == 0 for value in values),
    )


def next_question(
    store: FeedbackStore, version: str, other: str, rater: str, asked: Container[str] = ()
) -> str | None:
    """A message that begins a conversation, that no version trains on, and that has no choice between these two yet.

    Held-out messages that somebody corrected are left out too: all corrections are trained on. None if there is none
    left but the `rater`'s own, and those that were `asked` already. Only people's who consent.
    """
    taken = {message for message, _ in _choices(store, version, other)}
    taken |= {rows.normal_prompt(pair.messages) for pair in rows.last_corrections(rows.preferences(store))}
    own = rater_key(rater)
    for row in rows.prompts(store):
        content = str(row.messages[0]["content"])
        begins = [message["role"] for message in row.messages] == ["user"] and content not in asked
        if (
            begins
            and row.rater != own
            and rows.held_out(row)
            and rows.normal_prompt(row.messages) not in taken
        ):
            return content
    return None


def _choices(store: FeedbackStore, version: str, other: str) -> list[tuple[str, int]]:
    """(message, 1 where `version` was preferred, -1 where `other`, 0 where neither) of each blind choice."""
    if version == other:
        return []
    blind = (
        item
        for item in store.comparisons(version)
        if item[0].blind and {item[1].version, item[2].version} == {version, other}
    )
    found = []
    for (comparison, left, right), messages in store.with_transcripts(blind, lambda item: item[1].parent_id):
        preferred = {left.id: left.version, right.id: right.version}.get(comparison.preferred or "")
        value = 0 if preferred is None else 1 if preferred == version else -1
        found.append((rows.normal_prompt(messages), value))
    return found

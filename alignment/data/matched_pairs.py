"""Judgements as comparisons of a better and a worse reply, in units that do not depend on each other.

A test of a judge or of a version takes its comparisons for independent. Those of replies to one prompt are not: they
are right or wrong together, whatever judges. So each comparison belongs to a unit, no prompt is in two units, and a
test sums or averages within one.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Reply = TypeVar("Reply")


@dataclass(frozen=True)
class MatchedPair(Generic[Reply]):
    """Two replies of which people preferred the first."""

    unit: str
    """Equal for pairs that depend on each other: they have a prompt in common."""
    better: Reply
    worse: Reply


def matched_pairs(
    compared: Sequence[tuple[str, Reply, Reply]], thumbs: Iterable[tuple[str, Reply, bool]]
) -> list[MatchedPair[Reply]]:
    """The pairs that people compared, and each disliked reply beside a liked one, as far as there are such.

    Chance is right on half of them, whatever people's share of thumbs up. `compared`: prompt, better and worse reply;
    `thumbs`: prompt, reply, and whether it was liked. A liked and a disliked reply to one prompt are matched; a prompt
    whose replies were all liked is matched with one whose replies were all disliked, drawn at random. No thumb is used
    twice.
    """
    liked: dict[str, list[Reply]] = defaultdict(list)
    disliked: dict[str, list[Reply]] = defaultdict(list)
    for prompt, reply, up in thumbs:
        (liked if up else disliked)[prompt].append(reply)
    pairs = [MatchedPair(*pair) for pair in compared]
    for prompt in [prompt for prompt in liked if prompt in disliked]:
        matched = zip(liked[prompt], disliked[prompt], strict=False)
        pairs += [MatchedPair(prompt, better, worse) for better, worse in matched]
    taken = {pair.unit for pair in pairs}
    only_liked, only_disliked = (
        [prompt for prompt in replies if prompt not in taken] for replies in (liked, disliked)
    )
    draw = random.Random("matched pairs")
    draw.shuffle(only_liked)
    draw.shuffle(only_disliked)
    for first, second in zip(only_liked, only_disliked, strict=False):
        matched = zip(liked[first], disliked[second], strict=False)
        pairs += [MatchedPair(f"{first} and {second}", better, worse) for better, worse in matched]
    return pairs

"""Find raters whose votes look unintended: they contradict others or themselves, flood, or copy. Pure functions.

Each finding names a rater and its reason in numbers. It is no accusation: a person may simply see things otherwise.
Nothing is left out because of it; the caps of `feedback_store.rows.Rules` and the gate protect against any rater.
Disagreement is tested with one binomial test a rater, whose level is divided by the number of raters (Bonferroni).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.stats import binomtest, fisher_exact

from assistant.events.describe import describe
from assistant.events.event import Event

Finding = Literal[
    "against the others",
    "against the judges",
    "the other way round",
    "flood",
    "copies",
    "contradicts themselves",
]

LEVEL = 0.01
"""Chance of naming any rater for disagreement if all vote at random."""
MINIMUM = 10
"""Number of votes or texts below which a rater is not judged."""
FLOOD_SHARE = 3.0
"""Multiple of an equal share of votes that counts as a flood; half of all votes always does. Of two raters, one nearly
always gives half, so that a share says nothing unless there are three."""
REVERSED = 0.6
"""Share of thumbs in one direction by a rater, and in the other direction by all others, that counts as reversed.
People are kind or strict by nature, so that a difference alone says nothing."""
BURST, WINDOW = 20, 60.0
"""Number of votes within so many seconds that is faster than anybody reads."""
TWIN_SHARE = 0.95
"""Share of the texts of the rater with fewer of them that two raters must judge alike to be named as copies …"""
TWIN_ODD = 4
"""… and how often both must differ from the majority of all others."""


@dataclass(frozen=True)
class CastVote:
    """One standing thumb."""

    rater: str
    text: str
    """A digest of the rated answer and its prompt; equal for equal answers to nearly equal prompts."""
    value: int
    """1 or -1."""
    at: float
    """Seconds since any fixed moment."""


@dataclass(frozen=True)
class Suspect:
    """A rater who stands out, with the kind of finding and its reason."""

    rater: str
    what: Finding
    event: Event
    """The reason in numbers."""
    text: str
    """The event in English."""


def find(votes: Sequence[CastVote], judged: Mapping[str, tuple[int, int]] | None = None) -> list[Suspect]:
    """All findings, sorted by rater and kind.

    `judged`: by rater, on how many votes a reward model that never saw their prompts agrees, and of how many.
    """
    suspects = [
        *disagreeing_with_others(votes),
        *disagreeing_with_judges(judged or {}),
        *reversed_raters(votes),
        *floods(votes),
        *copies(votes),
        *contradictions(votes),
    ]
    return sorted(suspects, key=lambda suspect: (suspect.rater, suspect.what))


def disagreeing_with_others(votes: Sequence[CastVote]) -> list[Suspect]:
    """Raters who vote against the majority of the others on shared texts, more often than by chance."""
    values_by_text: dict[str, dict[str, int]] = defaultdict(dict)
    for (rater, text), value in last_votes(votes).items():
        values_by_text[text][rater] = value
    agreed: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for values in values_by_text.values():
        for rater, value in values.items():
            others = sum(values.values()) - value
            if others:
                agreed[rater][0] += others * value > 0
                agreed[rater][1] += 1
    counts = {rater: (right, of) for rater, (right, of) in agreed.items()}
    return _disagreeing(counts, "against the others", "others")


def disagreeing_with_judges(judged: Mapping[str, tuple[int, int]]) -> list[Suspect]:
    """Raters with whom reward models disagree more often than by chance."""
    return _disagreeing(judged, "against the judges", "reward models")


def _disagreeing(agreed: Mapping[str, tuple[int, int]], what: Finding, whom: str) -> list[Suspect]:
    tested = {rater: counts for rater, counts in agreed.items() if counts[1] >= MINIMUM}
    suspects = []
    for rater, (right, of) in tested.items():
        p = float(binomtest(right, of, 0.5, alternative="less").pvalue)
        if p <= LEVEL / len(tested):
            event = Event.of("rater_disagrees", whom=whom, right=right, of=of, p=p)
            suspects.append(_suspect(rater, what, event))
    return suspects


def reversed_raters(votes: Sequence[CastVote]) -> list[Suspect]:
    """Raters who give mostly thumbs up where all others give mostly thumbs down, or the reverse.

    By Fisher's exact test. It needs no text that two people judged, and names a rater of a few votes.
    """
    up, of = Counter(vote.rater for vote in votes if vote.value > 0), Counter(vote.rater for vote in votes)
    suspects = []
    for rater in of:
        own, others = up[rater] / of[rater], of.total() - of[rater]
        theirs = (up.total() - up[rater]) / others if others else own
        if not (min(own, 1 - theirs) >= REVERSED or min(1 - own, theirs) >= REVERSED):
            continue
        table = [
            [up[rater], of[rater] - up[rater]],
            [up.total() - up[rater], others - up.total() + up[rater]],
        ]
        if float(fisher_exact(table).pvalue) <= LEVEL / len(of):
            event = Event.of("rater_reversed", up=up[rater], of=of[rater], share=theirs)
            suspects.append(_suspect(rater, "the other way round", event))
    return suspects


def floods(votes: Sequence[CastVote]) -> list[Suspect]:
    """Raters who give far more than their share of all votes, or give them faster than anybody reads."""
    counts = Counter(vote.rater for vote in votes)
    suspects = []
    for rater, count in counts.items():
        share = count / len(votes)
        equal = 1 / len(counts)
        reasons = []
        if len(counts) > 2 and count >= MINIMUM and share >= min(FLOOD_SHARE * equal, 0.5):
            reasons.append(
                Event.of("rater_share", count=count, of=len(votes), share=share, raters=len(counts))
            )
        fastest = _most_in_window(sorted(vote.at for vote in votes if vote.rater == rater))
        if fastest >= BURST:
            reasons.append(Event.of("rater_burst", count=fastest, seconds=round(WINDOW)))
        if reasons:
            suspects.append(_suspect(rater, "flood", Event.of("rater_flood", reasons=reasons)))
    return suspects


def _most_in_window(times: Sequence[float]) -> int:
    """The largest number of ascending `times` within any WINDOW seconds."""
    most = start = 0
    for end, time in enumerate(times):
        while time - times[start] > WINDOW:
            start += 1
        most = max(most, end - start + 1)
    return most


def copies(votes: Sequence[CastVote]) -> list[Suspect]:
    """Raters who judge one text over and over, and pairs of raters who give the same votes to the same texts."""
    suspects = []
    repeated = Counter((vote.rater, vote.text) for vote in votes)
    most: dict[str, int] = defaultdict(int)
    for (rater, _), count in repeated.items():
        most[rater] = max(most[rater], count)
    for rater, count in most.items():
        if count >= MINIMUM:
            suspects.append(_suspect(rater, "copies", Event.of("rater_repeats", count=count)))
    values: dict[str, dict[str, int]] = defaultdict(dict)
    for (rater, text), value in last_votes(votes).items():
        values[rater][text] = value
    majority: Counter[str] = Counter()
    for by_text in values.values():
        majority.update(by_text)
    raters = sorted(rater for rater, by_text in values.items() if len(by_text) >= MINIMUM)
    for index, rater in enumerate(raters):
        for other in raters[index + 1 :]:
            mine, theirs = values[rater], values[other]
            alike = [text for text in mine.keys() & theirs.keys() if mine[text] == theirs[text]]
            # Everybody likes a right answer; raters who differ from the rest on the same texts have one source.
            odd = [text for text in alike if (majority[text] - 2 * mine[text]) * mine[text] < 0]
            if len(alike) >= TWIN_SHARE * min(len(mine), len(theirs)) and len(odd) >= TWIN_ODD:
                event = Event.of("rater_copies", rater=rater, count=len(alike), odd=len(odd))
                suspects.append(_suspect(other, "copies", event))
    return suspects


def contradictions(votes: Sequence[CastVote]) -> list[Suspect]:
    """Raters who call at least half of the texts that they judged repeatedly both good and bad."""
    values: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    times: Counter[tuple[str, str]] = Counter()
    for vote in votes:
        values[vote.rater][vote.text].add(vote.value)
        times[vote.rater, vote.text] += 1
    suspects = []
    for rater, by_text in values.items():
        again = [text for text in by_text if times[rater, text] > 1]
        both = sum(len(by_text[text]) > 1 for text in again)
        if len(again) >= MINIMUM // 2 and 2 * both >= len(again):
            event = Event.of("rater_contradicts", both=both, again=len(again))
            suspects.append(_suspect(rater, "contradicts themselves", event))
    return suspects


def _suspect(rater: str, what: Finding, event: Event) -> Suspect:
    return Suspect(rater, what, event, describe(event))


def last_votes(votes: Sequence[CastVote]) -> dict[tuple[str, str], int]:
    """The last vote of each rater on each text, by rater and text."""
    return {(vote.rater, vote.text): vote.value for vote in sorted(votes, key=lambda vote: vote.at)}

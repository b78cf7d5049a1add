"""Whose votes look as if they were not meant: raters who contradict others or themselves, flood, copy. Pure.

Each finding names a rater and says why in figures. It accuses nobody: a person may simply see things otherwise.
Nothing is left out because of it; the caps of `feedback_store.rows.Rules` and the gate stand whoever votes. Tests are
binomial, one a rater, and their level is shared out among all raters tested (Bonferroni).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.stats import binomtest

What = Literal["against the others", "against the judges", "flood", "copies", "contradicts themselves"]

LEVEL = 0.01
"""Chance of naming anybody at all for disagreeing, where everybody votes like a coin."""
LEAST = 10
"""Votes or texts below which nothing is said of a rater."""
FLOOD_SHARE = 3.0
"""So many times the share of votes that each rater would have if all gave alike; with a half of all votes, always."""
BURST, WINDOW = 20, 60.0
"""Votes within so many seconds that nobody reads so fast."""
TWINS = 0.95
"""Share of the smaller one's texts that two raters judged alike, from which on one may be the other's copy …"""
ODD = 4
"""… if both are against the majority of the others as often as this."""


@dataclass(frozen=True)
class Cast:
    """One standing thumb. `text` names what was judged: equal for equal answers to nearly equal prompts."""

    rater: str
    text: str
    value: int
    """1 or -1."""
    at: float
    """Seconds since any fixed moment."""


@dataclass(frozen=True)
class Suspect:
    """A rater, what is odd, and the figures."""

    rater: str
    what: What
    text: str


def find(cast: Sequence[Cast], judged: Mapping[str, tuple[int, int]] | None = None) -> list[Suspect]:
    """Everyone who stands out, by rater and kind of finding.

    `judged`: by rater, on how many votes a reward model that never saw their prompts agrees, and of how many.
    """
    found = [
        *against_the_others(cast),
        *against_the_judges(judged or {}),
        *floods(cast),
        *copies(cast),
        *contradictions(cast),
    ]
    return sorted(found, key=lambda one: (one.rater, one.what))


def against_the_others(cast: Sequence[Cast]) -> list[Suspect]:
    """Raters who say the opposite of the others' majority, on texts that several judged, more often than a coin."""
    votes = _last_word(cast)
    by_text: dict[str, dict[str, int]] = defaultdict(dict)
    for (rater, text), value in votes.items():
        by_text[text][rater] = value
    agreed: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for said in by_text.values():
        for rater, value in said.items():
            others = sum(said.values()) - value
            if others:
                agreed[rater][0] += others * value > 0
                agreed[rater][1] += 1
    return _disagreeing(
        {rater: (a, of) for rater, (a, of) in agreed.items()}, "against the others", "the others"
    )


def against_the_judges(judged: Mapping[str, tuple[int, int]]) -> list[Suspect]:
    """Raters whose votes reward models get wrong more often than a coin would."""
    return _disagreeing(judged, "against the judges", "reward models that learned from other prompts")


def _disagreeing(agreed: Mapping[str, tuple[int, int]], what: What, whom: str) -> list[Suspect]:
    tested = {rater: counts for rater, counts in agreed.items() if counts[1] >= LEAST}
    found = []
    for rater, (right, of) in tested.items():
        p = float(binomtest(right, of, 0.5, alternative="less").pvalue)
        if p <= LEVEL / len(tested):
            found.append(
                Suspect(
                    rater, what, f"agrees with {whom} on {right} of {of} votes (p = {p:.1g}): flipped labels?"
                )
            )
    return found


def floods(cast: Sequence[Cast]) -> list[Suspect]:
    """Raters who give far more than their share of all votes, or more than anybody reads."""
    given = Counter(one.rater for one in cast)
    found = []
    for rater, count in given.items():
        share = count / len(cast)
        fair = 1 / len(given)
        reasons = []
        if len(given) > 1 and count >= LEAST and share >= min(FLOOD_SHARE * fair, 0.5) and share > fair:
            reasons.append(
                f"gave {count} of all {len(cast)} votes, {100 * share:.0f} %, as one of {len(given)} raters"
            )
        fastest = _fastest(sorted(one.at for one in cast if one.rater == rater))
        if fastest >= BURST:
            reasons.append(f"gave {fastest} votes within {WINDOW:.0f} seconds")
        if reasons:
            found.append(Suspect(rater, "flood", "; ".join(reasons)))
    return found


def _fastest(times: Sequence[float]) -> int:
    """Most votes in any window."""
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] > WINDOW:
            first += 1
        most = max(most, last - first + 1)
    return most


def copies(cast: Sequence[Cast]) -> list[Suspect]:
    """Raters who judge one text over and over, and pairs of raters who say the same of the same texts."""
    found = []
    repeated = Counter((one.rater, one.text) for one in cast)
    most: dict[str, int] = defaultdict(int)
    for (rater, _), count in repeated.items():
        most[rater] = max(most[rater], count)
    for rater, count in most.items():
        if count >= LEAST:
            found.append(
                Suspect(rater, "copies", f"judged the same answer to the same question {count} times")
            )
    votes: dict[str, dict[str, int]] = defaultdict(dict)
    for (rater, text), value in _last_word(cast).items():
        votes[rater][text] = value
    majority: Counter[str] = Counter()
    for said in votes.values():
        majority.update(said)
    raters = sorted(rater for rater, said in votes.items() if len(said) >= LEAST)
    for place, one in enumerate(raters):
        for other in raters[place + 1 :]:
            shared = votes[one].keys() & votes[other].keys()
            alike = [text for text in shared if votes[one][text] == votes[other][text]]
            # Right answers are right to everybody; who is odd in the same places has the same source.
            odd = [text for text in alike if (majority[text] - 2 * votes[one][text]) * votes[one][text] < 0]
            if len(alike) >= TWINS * min(len(votes[one]), len(votes[other])) and len(odd) >= ODD:
                words = f"says the same as {one} of {len(alike)} texts, {len(odd)} times against all others"
                found.append(Suspect(other, "copies", words))
    return found


def contradictions(cast: Sequence[Cast]) -> list[Suspect]:
    """Raters who call the same text now good, now bad, more often than not."""
    said: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    times: Counter[tuple[str, str]] = Counter()
    for one in cast:
        said[one.rater][one.text].add(one.value)
        times[one.rater, one.text] += 1
    found = []
    for rater, texts in said.items():
        again = [text for text in texts if times[rater, text] > 1]
        both = sum(len(texts[text]) > 1 for text in again)
        if len(again) >= LEAST // 2 and 2 * both >= len(again):
            found.append(
                Suspect(
                    rater,
                    "contradicts themselves",
                    f"called {both} of {len(again)} texts that they judged more than once both good and bad",
                )
            )
    return found


def _last_word(cast: Sequence[Cast]) -> dict[tuple[str, str], int]:
    """By rater and text."""
    return {(one.rater, one.text): one.value for one in sorted(cast, key=lambda one: one.at)}

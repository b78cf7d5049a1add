"""Do people like the candidate more? An always-valid test on the thumbs of both arms. Pure functions.

The difference between the arms' shares of thumbs up gets a confidence sequence: intervals that hold after every vote
simultaneously, so that anybody may look at any time and stop at any time. It is the mixture sequential probability
ratio test of Johari, Koomen, Pekelis & Walsh (2022, "Always valid inference: continuous monitoring of A/B tests",
Operations Research 70), turned into an interval, with two changes for thumbs:

- People differ, and the votes of one person are alike. The variance is that between raters (linearised difference of
  ratios, as in cluster-robust errors), and at least that of independent votes. One vote up and one vote down are added
  to each arm (Agresti & Caffo 2000), because ten equal votes would else look like certainty.
- No rater can decide alone: only a rater's first votes count, and a decision must hold with any one rater left out.

The normal approximation makes the test asymptotic, hence the minimum numbers of votes and raters;
`benchmarks.loop.live_errors` measures both error rates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alignment.errors import ComparisonError
from alignment.evaluation.release_policy import LivePolicy
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.registry.live_comparison import ARMS, Arm

Floats = NDArray[np.float64]
Verdict = Literal["continue", "candidate wins", "roll back"]
CANDIDATE, RELEASED = ARMS.index("candidate"), ARMS.index("released")


@dataclass(frozen=True)
class ArmVote:
    """A thumb on a reply of one arm."""

    arm: Arm
    rater: str
    value: int
    """1 or -1; 0 is a withdrawn vote, which does not count."""
    order: int
    """Votes are counted in this order."""


@dataclass(frozen=True)
class ArmCounts:
    """The counted votes of one arm."""

    votes: int
    up: int
    raters: int


@dataclass(frozen=True)
class Course:
    """The difference of shares (candidate less released) after each counted vote, and its confidence sequence.

    Arrays of shape (counted votes,); NaN until both arms have a vote.
    """

    difference: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Outcome:
    """Where a live comparison stands, or stood when it was decided."""

    verdict: Verdict
    difference: float | None
    """Candidate's share of thumbs up less the released version's; None until both have a vote."""
    low: float
    high: float
    candidate: ArmCounts
    released: ArmCounts
    event: Event
    """The reason in numbers: `live_outcome`, or `live_outcome_unknown` until both arms have a vote."""
    text: str
    """The event in English."""


@dataclass(frozen=True)
class VoteArrays:
    """Votes in order, as arrays of shape (votes,)."""

    arm: NDArray[np.intp]
    """CANDIDATE or RELEASED."""
    rater: NDArray[np.intp]
    """An index of the rater, from 0."""
    up: Floats
    """1.0 for a thumb up, 0.0 for a thumb down."""

    def first_of_each(self, count: int) -> "VoteArrays":
        """Only the first `count` votes of each rater."""
        by_rater = np.argsort(self.rater, kind="stable")
        begins = np.searchsorted(self.rater[by_rater], self.rater[by_rater])
        earlier = np.empty_like(self.rater)
        earlier[by_rater] = np.arange(len(self.rater)) - begins
        return self.keep(earlier < count)

    def keep(self, which: NDArray[np.bool_] | slice) -> "VoteArrays":
        return VoteArrays(self.arm[which], self.rater[which], self.up[which])


def follow(votes: Sequence[ArmVote], policy: LivePolicy) -> Outcome:
    """Count the votes in order up to the first one that decides; later votes change nothing.

    So the outcome does not depend on how often anyone looked. Raises ComparisonError for an invalid vote.
    """
    stream = read(votes).first_of_each(policy.votes_per_rater)
    verdict, seen = settle(stream, policy)
    return _outcome(verdict, _sums_after_each(stream.keep(slice(seen)))[:, -1:], policy)


def settle(stream: VoteArrays, policy: LivePolicy) -> tuple[Verdict, int]:
    """The verdict on counted votes, and after how many of them it was reached."""
    after = _sums_after_each(stream)
    _, low, high = _interval(after, policy)
    floor = (after[[_N_C, _N_R]] >= policy.minimum_votes).all(axis=0)
    floor &= (after[[_RATERS_C, _RATERS_R]] >= policy.minimum_raters).all(axis=0)
    for index in np.flatnonzero(floor & ((low > 0) | (high < 0))):
        won = bool(low[index] > 0)
        if _holds_without_any_rater(stream.keep(slice(index + 1)), won, policy):
            return "candidate wins" if won else "roll back", int(index) + 1
    return "continue", len(stream.arm)


def course(votes: Sequence[ArmVote], policy: LivePolicy) -> Course:
    """The confidence sequence after each counted vote, for a plot. It continues beyond a decision."""
    stream = read(votes).first_of_each(policy.votes_per_rater)
    return Course(*_interval(_sums_after_each(stream), policy))


def read(votes: Sequence[ArmVote]) -> VoteArrays:
    """The votes in order as arrays, without withdrawn ones. Raises ComparisonError for an invalid vote."""
    for vote in votes:
        if vote.value not in (-1, 0, 1) or vote.arm not in ARMS:
            raise ComparisonError(
                f"ArmVote {vote.order} is {vote.value!r} for {vote.arm!r}. A vote is 1, -1 or 0 for one of: "
                f"{', '.join(ARMS)}."
            )
    standing = sorted((vote for vote in votes if vote.value), key=lambda vote: vote.order)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(vote.rater for vote in standing))}
    return VoteArrays(
        np.array([ARMS.index(vote.arm) for vote in standing], dtype=np.intp),
        np.array([numbers[vote.rater] for vote in standing], dtype=np.intp),
        np.array([vote.value > 0 for vote in standing], dtype=np.float64),
    )


# Sums over raters from which the variance follows, so that each vote takes constant time. For a rater with n votes in
# arm C or R, s of them up: n, s, s², s n, n², whether n > 0; across arms s_C s_R, s_C n_R, n_C s_R, n_C n_R; and 1 for
# the rater.
_N_C, _S_C, _SS_C, _SN_C, _NN_C, _RATERS_C = range(6)
_N_R, _S_R, _SS_R, _SN_R, _NN_R, _RATERS_R = range(6, 12)
_SS, _SN, _NS, _NN, _RATERS, _ROWS = range(12, 18)


def _sums(n_c: Floats, s_c: Floats, n_r: Floats, s_r: Floats) -> Floats:
    """The contribution of one rater to each sum; shape (sums, *shape of the arguments)."""
    return np.stack(
        [
            *(n_c, s_c, s_c * s_c, s_c * n_c, n_c * n_c, (n_c > 0).astype(np.float64)),
            *(n_r, s_r, s_r * s_r, s_r * n_r, n_r * n_r, (n_r > 0).astype(np.float64)),
            *(s_c * s_r, s_c * n_r, n_c * s_r, n_c * n_r, (n_c + n_r > 0).astype(np.float64)),
        ]
    )


def _sums_after_each(stream: VoteArrays) -> Floats:
    """The sums after each vote, shape (sums, votes). A vote changes the contribution of its rater only."""
    by_rater = np.argsort(stream.rater, kind="stable")
    begins = np.searchsorted(stream.rater[by_rater], stream.rater[by_rater])
    before, after = [], []
    for arm in (CANDIDATE, RELEASED):
        for votes in ((stream.arm == arm).astype(np.float64), (stream.arm == arm) * stream.up):
            running = np.concatenate([[0.0], np.cumsum(votes[by_rater])])
            earlier = np.empty(len(votes))
            earlier[by_rater] = running[:-1] - running[begins]
            before.append(earlier)
            after.append(earlier + votes)
    return np.cumsum(_sums(*after) - _sums(*before), axis=1)


def _interval(sums: Floats, policy: LivePolicy) -> tuple[Floats, Floats, Floats]:
    """The difference, its lower and its upper bound from sums of shape (sums, …); NaN while an arm is empty."""
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = sums[_S_C] / sums[_N_C] - sums[_S_R] / sums[_N_R]
    n_c, n_r = sums[_N_C] + 2, sums[_N_R] + 2
    p_c, p_r = (sums[_S_C] + 1) / n_c, (sums[_S_R] + 1) / n_r
    within_c = sums[_SS_C] - 2 * p_c * sums[_SN_C] + p_c**2 * sums[_NN_C] + (1 - p_c) ** 2 + p_c**2
    within_r = sums[_SS_R] - 2 * p_r * sums[_SN_R] + p_r**2 * sums[_NN_R] + (1 - p_r) ** 2 + p_r**2
    across = sums[_SS] - p_r * sums[_SN] - p_c * sums[_NS] + p_c * p_r * sums[_NN]
    between_raters = within_c / n_c**2 + within_r / n_r**2 - 2 * across / (n_c * n_r)
    raters = np.maximum(sums[_RATERS], 2)
    independent = p_c * (1 - p_c) / n_c + p_r * (1 - p_r) / n_r
    variance = np.maximum(between_raters * raters / (raters - 1), independent)
    # Johari et al.: the mixture exceeds 1 / (2 alpha) where the squared difference exceeds this; each side then has
    # error probability alpha.
    mixing = policy.effect**2
    whole = variance + mixing
    half = np.sqrt(variance * whole / mixing * (-2 * np.log(2 * policy.alpha) + np.log(whole / variance)))
    return difference, difference - half, difference + half


def _holds_without_any_rater(stream: VoteArrays, won: bool, policy: LivePolicy) -> bool:
    """Whether the interval stays on the same side of zero with any one rater left out."""
    raters = int(stream.rater.max()) + 1
    cells: list[Floats] = []
    for arm in (CANDIDATE, RELEASED):
        kept = stream.keep(stream.arm == arm)
        cells.append(np.bincount(kept.rater, minlength=raters).astype(np.float64))
        cells.append(np.bincount(kept.rater, weights=kept.up, minlength=raters).astype(np.float64))
    each = _sums(*cells)
    _, low, high = _interval(each.sum(axis=1, keepdims=True) - each, policy)
    return bool((low > 0).all() if won else (high < 0).all())


def _outcome(verdict: Verdict, last: Floats, policy: LivePolicy) -> Outcome:
    """`last`: the sums at the end, shape (sums, 1), or (sums, 0) without a single vote."""
    sums = last[:, 0] if last.size else np.zeros(_ROWS)
    candidate = ArmCounts(int(sums[_N_C]), int(sums[_S_C]), int(sums[_RATERS_C]))
    released = ArmCounts(int(sums[_N_R]), int(sums[_S_R]), int(sums[_RATERS_R]))
    difference, low, high = (float(value) for value in _interval(sums, policy))
    known = candidate.votes > 0 and released.votes > 0
    if not known:
        low, high = -1.0, 1.0
    missing = [
        Event.of(f"{name}_lacks_{what}", have=have, needed=floor)
        for name, side in (("candidate", candidate), ("released", released))
        for have, floor, what in (
            (side.votes, policy.minimum_votes, "votes"),
            (side.raters, policy.minimum_raters, "raters"),
        )
        if have < floor
    ]
    if missing:
        finding = Event.of("live_too_little", missing=missing)
    elif verdict == "candidate wins":
        finding = Event.of("candidate_liked_more")
    elif verdict == "roll back":
        finding = Event.of("candidate_liked_less")
    elif known and (low > 0 or high < 0):
        finding = Event.of("decided_by_one_rater")
    else:
        finding = Event.of("live_undecided")
    arms = {
        "up": candidate.up,
        "votes": candidate.votes,
        "raters": candidate.raters,
        "released_up": released.up,
        "released_votes": released.votes,
        "released_raters": released.raters,
        "finding": finding,
    }
    if known:
        event = Event.of("live_outcome", difference=difference, low=low, high=high, **arms)
    else:
        event = Event.of("live_outcome_unknown", **arms)
    return Outcome(
        verdict, difference if known else None, low, high, candidate, released, event, describe(event)
    )

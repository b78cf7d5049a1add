"""Live comparisons: conversations keep their arm, the interval holds at every look, and no rater decides alone."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from alignment.errors import ComparisonError
from alignment.evaluation.release_policy import LivePolicy
from alignment.live import live_run
from alignment.live.sequential_test import CANDIDATE, RELEASED, ArmVote, VoteArrays, course, follow, settle
from assistant.errors import SettingsError
from assistant.registry import live_comparison
from assistant.registry.live_comparison import ARMS, Arm, Trial, arm

POLICY = LivePolicy()


def test_a_conversation_keeps_its_arm_and_another_live_comparison_draws_anew() -> None:
    ids = [f"c{i}" for i in range(2000)]
    first = [arm(conversation, "t1", 0.5) for conversation in ids]
    assert first == [arm(conversation, "t1", 0.5) for conversation in ids]
    again = [arm(conversation, "t2", 0.5) for conversation in ids]
    same = sum(a == b for a, b in zip(first, again, strict=True))
    assert binomtest(same, 2000, 0.5).pvalue > 0.001


def test_the_candidate_gets_the_requested_share_of_conversations() -> None:
    for share in (0.1, 0.5):
        taken = sum(arm(f"c{i}", "t1", share) == "candidate" for i in range(4000))
        assert binomtest(taken, 4000, share).pvalue > 0.001
    assert {arm(f"c{i}", "t1", 0.0) for i in range(50)} == {"released"}
    assert {arm(f"c{i}", "t1", 1.0) for i in range(50)} == {"candidate"}


def test_raising_the_share_moves_no_conversation_back() -> None:
    ids = [f"c{i}" for i in range(500)]
    early = {conversation for conversation in ids if arm(conversation, "t1", 0.2) == "candidate"}
    assert early < {conversation for conversation in ids if arm(conversation, "t1", 0.5) == "candidate"}


def test_an_impossible_share_is_refused() -> None:
    with pytest.raises(SettingsError, match="from 0 to 1"):
        arm("c1", "t1", 1.5)


def votes_of(candidate: list[int], released: list[int], each: int = 1) -> list[ArmVote]:
    """Arms in turn; `each` votes in a row by one rater of an arm."""

    def one_arm(name: Arm, values: list[int]) -> Iterator[ArmVote]:
        for i, value in enumerate(values):
            yield ArmVote(name, f"{name}{i // each}", value, 2 * i + ARMS.index(name))

    return [*one_arm("candidate", candidate), *one_arm("released", released)]


def drawn(seed: int, count: int, candidate: float, released: float) -> list[ArmVote]:
    rng = np.random.default_rng(seed)
    return votes_of(
        [1 if x < candidate else -1 for x in rng.random(count)],
        [1 if x < released else -1 for x in rng.random(count)],
    )


def test_a_candidate_that_people_like_much_more_wins_and_one_they_like_much_less_is_rolled_back() -> None:
    won, lost = follow(drawn(1, 600, 0.9, 0.5), POLICY), follow(drawn(1, 600, 0.4, 0.8), POLICY)
    assert won.verdict == "candidate wins" and won.low > 0
    assert lost.verdict == "roll back" and lost.high < 0


def test_a_decision_is_made_at_the_first_vote_that_allows_it_and_later_votes_change_nothing() -> None:
    votes = drawn(1, 600, 0.9, 0.5)
    whole = follow(votes, POLICY)
    counted = whole.candidate.votes + whole.released.votes
    in_order = sorted(votes, key=lambda vote: vote.order)
    assert follow(in_order[: counted - 1], POLICY).verdict == "continue"
    assert follow(in_order[:counted], POLICY) == whole
    turned = in_order[:counted] + [replace(vote, value=-1) for vote in in_order[counted:]]
    assert follow(turned, POLICY) == whole


def test_votes_are_counted_in_their_own_order_and_not_in_that_of_the_list() -> None:
    votes = drawn(2, 300, 0.8, 0.5)
    assert follow(votes[::-1], POLICY) == follow(votes, POLICY)


def test_nothing_is_decided_below_the_minimum_of_votes_and_raters() -> None:
    sure = votes_of([1] * 200, [-1] * 200)
    assert follow(sure, POLICY).candidate.votes == 30
    assert follow(sure, LivePolicy(minimum_votes=100)).candidate.votes == 100
    few_raters = votes_of([1] * 45, [-1] * 45, each=5)
    outcome = follow(few_raters, POLICY)
    assert outcome.verdict == "continue"
    assert "the candidate has 9 of 10 raters" in outcome.text


def test_only_the_first_votes_of_a_rater_count_and_withdrawn_votes_do_not() -> None:
    flood = [ArmVote("candidate", "loud", -1, i) for i in range(500)]
    outcome = follow(
        [*flood, ArmVote("released", "quiet", 1, 600), ArmVote("released", "gone", 0, 601)], POLICY
    )
    assert (outcome.candidate.votes, outcome.candidate.raters) == (5, 1)
    assert (outcome.released.votes, outcome.released.raters) == (1, 1)


def test_a_decision_that_depends_on_one_rater_is_not_made() -> None:
    votes = sorted(drawn(1, 600, 0.8, 0.5), key=lambda vote: vote.order)
    intervals = course(votes, POLICY)
    # The vote that first takes the interval off zero is one rater's: without it, it holds zero still.
    crossing = next(i for i in range(80, 1200) if intervals.low[i] > 0)
    at_crossing = follow(votes[: crossing + 1], POLICY)
    assert at_crossing.low > 0 and at_crossing.verdict == "continue"
    assert at_crossing.text.endswith("clear of zero only by one rater's votes")
    assert follow(votes, POLICY).verdict == "candidate wins"


def by_hand(votes: list[ArmVote], policy: LivePolicy) -> tuple[float, float, float]:
    """The interval from each rater's residual, one after the other, as a textbook would write it."""
    tables = {name: [vote for vote in votes if vote.arm == name] for name in ARMS}
    share = {name: np.mean([vote.value > 0 for vote in mine]) for name, mine in tables.items()}
    n = {name: len(mine) + 2 for name, mine in tables.items()}
    p = {name: (share[name] * len(mine) + 1) / n[name] for name, mine in tables.items()}
    sign = {"candidate": 1, "released": -1}
    raters = {vote.rater for vote in votes}
    residuals = [
        sum(sign[v.arm] * ((v.value > 0) - p[v.arm]) / n[v.arm] for v in votes if v.rater == rater)
        for rater in raters
    ]
    added = [(value - p[name]) / n[name] for name in ARMS for value in (0, 1)]
    clustered = (np.sum(np.square(residuals)) + np.sum(np.square(added))) * len(raters) / (len(raters) - 1)
    variance = max(clustered, sum(p[name] * (1 - p[name]) / n[name] for name in ARMS))
    whole = variance + policy.effect**2
    half = np.sqrt(
        variance * whole / policy.effect**2 * (2 * np.log(1 / (2 * policy.alpha)) + np.log(whole / variance))
    )
    difference = float(share["candidate"] - share["released"])
    return difference, difference - half, difference + half


def test_running_sums_give_the_same_interval_as_a_computation_rater_by_rater() -> None:
    rng = np.random.default_rng(5)
    lenient = rng.random(40) < 0.5
    votes = [
        ArmVote(
            ARMS[int(rng.integers(2))], f"r{who}", 1 if rng.random() < 0.3 + 0.5 * lenient[who] else -1, i
        )
        for i, who in enumerate(rng.integers(0, 40, 150))
    ]
    policy = LivePolicy(votes_per_rater=1000)
    intervals = course(votes, policy)
    for count in (20, 77, 150):
        expected = by_hand(votes[:count], policy)
        at = (intervals.difference[count - 1], intervals.low[count - 1], intervals.high[count - 1])
        assert at == pytest.approx(expected)


def test_votes_of_the_same_people_are_less_evidence_than_as_many_of_different_people() -> None:
    alike = [1, 1, 1, 1, 1, -1, -1, -1, -1, -1] * 10
    many, few = (course(votes_of(alike, alike, each), POLICY) for each in (1, 5))
    assert few.high[-1] - few.low[-1] > 1.5 * (many.high[-1] - many.low[-1])


def test_without_votes_the_comparison_goes_on_and_names_what_is_missing() -> None:
    outcome = follow([], POLICY)
    assert (outcome.verdict, outcome.difference, outcome.low, outcome.high) == ("continue", None, -1.0, 1.0)
    assert outcome.text.startswith("no difference yet")
    one = follow([ArmVote("candidate", "a", 1, 1)], POLICY)
    assert (one.difference, one.candidate.votes) == (None, 1)


def test_the_text_of_an_outcome_holds_the_numbers_of_both_arms() -> None:
    outcome = follow(votes_of([1] * 40, [1] * 36 + [-1] * 4), POLICY)
    assert outcome.verdict == "continue"
    assert outcome.text == (
        f"+10.0 points [{100 * outcome.low:+.1f}, {100 * outcome.high:+.1f}]: candidate 40 of 40 thumbs up by 40 "
        "raters, released 36 of 40 by 40; undecided: the interval holds zero"
    )


@pytest.mark.parametrize("vote", [ArmVote("candidate", "a", 2, 1), ArmVote("other", "a", 1, 1)])  # type: ignore[arg-type]
def test_an_invalid_vote_is_refused(vote: ArmVote) -> None:
    with pytest.raises(ComparisonError, match="A vote is 1, -1 or 0"):
        follow([vote], POLICY)


def simulated(rng: np.random.Generator, gain: float, share: float = 0.5) -> VoteArrays:
    """300 raters with a taste of their own, four votes each in a conversation of one arm; in random order."""
    rater = rng.permutation(np.repeat(np.arange(300), 4))
    assigned = np.where(rng.random(300) < share, CANDIDATE, RELEASED)[rater]
    chance = rng.beta(1.8, 1.2, 300)[rater] + gain * (assigned == CANDIDATE)
    return VoteArrays(assigned.astype(np.intp), rater, (rng.random(1200) < chance).astype(np.float64))


def test_equally_liked_arms_are_rarely_decided_although_every_vote_is_a_look() -> None:
    rng = np.random.default_rng(20261124)
    verdicts = [settle(simulated(rng, 0.0), POLICY)[0] for _ in range(200)]
    for verdict in ("candidate wins", "roll back"):
        assert binomtest(verdicts.count(verdict), 200, 0.05, alternative="greater").pvalue > 0.001


def test_very_differently_liked_arms_are_decided() -> None:
    rng = np.random.default_rng(20261124)
    verdicts = [settle(simulated(rng, -0.3), POLICY)[0] for _ in range(40)]
    assert verdicts.count("roll back") > 33 and "candidate wins" not in verdicts


def test_a_comparison_that_is_stopped_keeps_what_was_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live_comparison.write(tmp_path, Trial("one", "v2", "v1", 0.5, "2026-11-30T09:00:00+00:00"))
    votes = [ArmVote(arm, f"rater {order}", 1, order) for order, arm in enumerate(ARMS)]
    monkeypatch.setattr(live_run, "_votes", lambda *_: votes)
    assert live_run.stop(tmp_path, LivePolicy()) is not None
    record = json.loads((tmp_path / "trials" / "one.json").read_text())
    assert (record["verdict"], record["outcome"]["candidate"]["votes"]) == ("stopped", 1)
    assert live_comparison.read(tmp_path) is None and live_run.stop(tmp_path, LivePolicy()) is None


def test_a_comparison_is_stopped_although_no_vote_can_be_read(tmp_path: Path) -> None:
    live_comparison.write(tmp_path, Trial("one", "v2", "v1", 0.5, "2026-11-30T09:00:00+00:00"))
    assert live_run.stop(tmp_path, LivePolicy()) is not None  # the home has no store
    assert live_comparison.read(tmp_path) is None

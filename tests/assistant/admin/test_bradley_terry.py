"""Strengths and intervals compared with closed forms, a library, and simulated people."""

import math
import random

import pytest
from scipy.optimize import minimize
from scipy.stats import binomtest

from assistant.admin.bradley_terry import ADDED, rate, wins_of
from feedback_store.stats.intervals import Z, wilson


@pytest.mark.parametrize(("count", "of"), [(0, 1), (1, 1), (0, 30), (30, 30), (7, 10), (499, 1000), (1, 3)])
def test_wilson_is_the_librarys(count: int, of: int) -> None:
    theirs = binomtest(count, of).proportion_ci(method="wilson")
    ours = wilson(count, of)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert ours.low <= ours.value <= ours.high


@pytest.mark.parametrize(("count", "of"), [(0, 0), (-1, 3), (4, 3)])
def test_an_impossible_share_is_refused(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(count, of)


@pytest.mark.parametrize(("won", "lost"), [(30, 10), (1, 0), (0, 7), (12, 12), (1, 400), (500, 0)])
def test_two_versions_get_the_closed_form(won: float, lost: float) -> None:
    strengths = {
        strength.version: strength for strength in rate({("v2", "v1"): won, ("v1", "v2"): lost}, "v1")
    }
    strength = math.log((won + ADDED) / (lost + ADDED))
    half = Z * math.sqrt(1 / (won + ADDED) + 1 / (lost + ADDED))
    expected = [1 / (1 + math.exp(-x)) for x in (strength, strength - half, strength + half)]
    assert [strengths["v2"].chance, strengths["v2"].low, strengths["v2"].high] == pytest.approx(
        expected, abs=1e-9
    )
    assert (strengths["v1"].chance, strengths["v1"].low, strengths["v1"].high) == (0.5, 0.5, 0.5)
    assert strengths["v2"].choices == strengths["v1"].choices == won + lost


def test_strengths_of_several_versions_maximise_the_likelihood() -> None:
    wins = {
        ("v1", "v2"): 4.0,
        ("v2", "v1"): 9.5,
        ("v2", "v3"): 3.0,
        ("v3", "v2"): 8.0,
        ("v3", "v4"): 2.5,
        ("v4", "v3"): 2.5,
        ("v4", "v1"): 6.0,
    }
    versions = ["v1", "v2", "v3", "v4"]
    pairs = {frozenset(pair) for pair in wins}

    def loss(free: list[float]) -> float:
        strength = dict(zip(versions, [0.0, *free], strict=True))
        total = 0.0
        for pair in pairs:
            for winner, loser in (sorted(pair), sorted(pair, reverse=True)):
                count = wins.get((winner, loser), 0.0) + ADDED
                total += count * math.log1p(math.exp(strength[loser] - strength[winner]))
        return total

    best = [0.0, *minimize(loss, [0.0] * 3, tol=1e-12).x]
    strengths = {strength.version: strength.chance for strength in rate(wins, "v1")}
    for version, strength in zip(versions, best, strict=True):
        assert strengths[version] == pytest.approx(1 / (1 + math.exp(-strength)), abs=1e-5)


def test_the_interval_covers_the_true_chance_about_as_often_as_it_claims() -> None:
    rng = random.Random(1)
    truth = {"v1": 0.0, "v2": 0.6, "v3": 1.0}
    held = tried = 0
    for _ in range(400):
        wins: dict[tuple[str, str], float] = {}
        for winner, loser in (("v1", "v2"), ("v2", "v3"), ("v1", "v3")):
            for _ in range(40):
                first = rng.random() < 1 / (1 + math.exp(truth[loser] - truth[winner]))
                pair = (winner, loser) if first else (loser, winner)
                wins[pair] = wins.get(pair, 0.0) + 1
        for rating in rate(wins, "v1"):
            if rating.version != "v1":
                tried += 1
                held += rating.low <= 1 / (1 + math.exp(-truth[rating.version])) <= rating.high
    # 95 % promised of 800; three standard errors, and dependent pairs.
    assert 0.925 <= held / tried <= 0.985


def test_versions_without_a_chain_of_choices_to_the_reference_are_left_out() -> None:
    wins = {("v1", "v2"): 3.0, ("v8", "v9"): 3.0, ("v9", "v8"): 1.0}
    assert {strength.version for strength in rate(wins, "v1")} == {"v1", "v2"}
    assert {strength.version for strength in rate(wins, "v9")} == {"v8", "v9"}
    assert rate(wins, "v5") == []
    assert rate({}, "v1") == []


def test_invalid_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot have won"):
        rate({("v1", "v1"): 1.0}, "v1")
    with pytest.raises(ValueError, match="cannot have won"):
        rate({("v1", "v2"): -1.0}, "v1")


def test_a_tie_is_half_a_win_for_each() -> None:
    wins = wins_of(
        [("v1", "v2", "left", 3), ("v2", "v1", "left", 2), ("v1", "v2", "right", 1), ("v1", "v2", "both_bad", 4),
         ("v2", "v1", "both_good", 1)]
    )  # fmt: skip
    assert wins == {("v1", "v2"): 5.5, ("v2", "v1"): 5.5}

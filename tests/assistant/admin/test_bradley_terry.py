"""Ratings and intervals against closed forms, a library, and simulated people."""

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
def test_what_is_no_share_is_refused(count: int, of: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(count, of)


@pytest.mark.parametrize(("won", "lost"), [(30, 10), (1, 0), (0, 7), (12, 12), (1, 400), (500, 0)])
def test_two_versions_get_the_closed_form(won: float, lost: float) -> None:
    found = {one.version: one for one in rate({("v2", "v1"): won, ("v1", "v2"): lost}, "v1")}
    strength = math.log((won + ADDED) / (lost + ADDED))
    half = Z * math.sqrt(1 / (won + ADDED) + 1 / (lost + ADDED))
    expected = [1 / (1 + math.exp(-x)) for x in (strength, strength - half, strength + half)]
    assert [found["v2"].chance, found["v2"].low, found["v2"].high] == pytest.approx(expected, abs=1e-9)
    assert (found["v1"].chance, found["v1"].low, found["v1"].high) == (0.5, 0.5, 0.5)
    assert found["v2"].choices == found["v1"].choices == won + lost


def test_several_versions_are_at_the_maximum_of_the_likelihood() -> None:
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
            for one, other in (sorted(pair), sorted(pair, reverse=True)):
                count = wins.get((one, other), 0.0) + ADDED
                total += count * math.log1p(math.exp(strength[other] - strength[one]))
        return total

    best = [0.0, *minimize(loss, [0.0] * 3, tol=1e-12).x]
    found = {one.version: one.chance for one in rate(wins, "v1")}
    for version, strength in zip(versions, best, strict=True):
        assert found[version] == pytest.approx(1 / (1 + math.exp(-strength)), abs=1e-5)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = random.Random(1)
    truth = {"v1": 0.0, "v2": 0.6, "v3": 1.0}
    held = tried = 0
    for _ in range(400):
        wins: dict[tuple[str, str], float] = {}
        for one, other in (("v1", "v2"), ("v2", "v3"), ("v1", "v3")):
            for _ in range(40):
                first = rng.random() < 1 / (1 + math.exp(truth[other] - truth[one]))
                pair = (one, other) if first else (other, one)
                wins[pair] = wins.get(pair, 0.0) + 1
        for rating in rate(wins, "v1"):
            if rating.version != "v1":
                tried += 1
                held += rating.low <= 1 / (1 + math.exp(-truth[rating.version])) <= rating.high
    # 95 % promised of 800; three standard errors, and dependent pairs.
    assert 0.925 <= held / tried <= 0.985


def test_versions_without_a_chain_of_choices_to_the_reference_are_left_out() -> None:
    wins = {("v1", "v2"): 3.0, ("v8", "v9"): 3.0, ("v9", "v8"): 1.0}
    assert {one.version for one in rate(wins, "v1")} == {"v1", "v2"}
    assert {one.version for one in rate(wins, "v9")} == {"v8", "v9"}
    assert rate(wins, "v5") == []
    assert rate({}, "v1") == []


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot have won"):
        rate({("v1", "v1"): 1.0}, "v1")
    with pytest.raises(ValueError, match="cannot have won"):
        rate({("v1", "v2"): -1.0}, "v1")


def test_liking_both_or_neither_is_half_a_win_for_either() -> None:
    found = wins_of(
        [("v1", "v2", "left", 3), ("v2", "v1", "left", 2), ("v1", "v2", "right", 1), ("v1", "v2", "both_bad", 4),
         ("v2", "v1", "both_good", 1)]
    )  # fmt: skip
    assert found == {("v1", "v2"): 5.5, ("v2", "v1"): 5.5}

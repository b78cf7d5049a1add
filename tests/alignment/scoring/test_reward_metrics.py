"""Metrics of a reward model on held-out judgements."""

import math

import pytest
from helpers.pair_rows import row

from alignment.data.judgements import JudgedCompletion
from alignment.scoring.reward_metrics import judge


def judgement(
    number: int, first: list[int], second: list[int] | None = None, sign: int = 1
) -> JudgedCompletion:
    return JudgedCompletion(row(number)["messages"], 1, first, second, sign)


def test_metrics_are_those_computed_by_hand() -> None:
    rows = [
        judgement(0, [1, 5], [1, 2]),
        judgement(1, [1, 1], sign=-1),
        judgement(2, [1, 7, 3]),
        judgement(3, [1, 4], [1, 6]),
    ]
    metrics = judge(lambda sequences: [float(sequence[-1]) for sequence in sequences], rows)
    chances = [1 / (1 + math.exp(-margin)) for margin in (3, -1, 3, -2)]
    assert metrics["accuracy"] == 0.5
    low, high = metrics["accuracy_interval"]
    assert 0.1 < low < 0.2 and low + high == pytest.approx(1)
    assert metrics["brier"] == pytest.approx(sum((1 - chance) ** 2 for chance in chances) / 4)
    # Confidences are 73 %, 88 %, and 95 % twice; the first two judgements are wrong.
    assert [(b["right"], b["count"]) for b in metrics["reliability"]] == [(0.0, 1.0), (0.0, 1.0), (1.0, 2.0)]
    assert metrics["reliability"][0]["confidence"] == pytest.approx(1 - chances[1])
    assert judge(lambda sequences: [1.0] * len(sequences), rows[:1])["length_correlation"] is None
    assert judge(lambda sequences: [], []) == {}


def test_length_correlation_shows_a_preference_for_length() -> None:
    rows = [judgement(n, [1] * (n + 2)) for n in range(6)]
    longer = judge(lambda sequences: [float(len(sequence)) for sequence in sequences], rows)
    shorter = judge(lambda sequences: [-float(len(sequence)) for sequence in sequences], rows)
    assert (longer["length_correlation"], shorter["length_correlation"]) == pytest.approx((1, -1))

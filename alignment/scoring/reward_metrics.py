"""How well a reward model judges held-out rows: accuracy, calibration, and whether it merely rewards length."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from scipy.stats import spearmanr

from feedback_store.stats.intervals import wilson

BINS = 5


def judge(scorer: Callable[[list[list[int]]], list[float]], judged: Sequence[Any]) -> dict[str, Any]:
    """Metrics on held-out judgements; empty if there are none.

    `accuracy` is the share judged as people did, with its 95 % Wilson interval; a tie counts as wrong. `brier` is the
    mean squared error of σ(margin), 0.25 for a coin. `reliability` holds, for bins of confidence from 0.5 to 1, the
    mean confidence and the share that was right, which are equal in a well calibrated model. `length_correlation` is
    Spearman's, between score and completion length in tokens, None if either never varies.
    """
    if not judged:
        return {}
    firsts = scorer([judgement.first for judgement in judged])
    paired = [judgement for judgement in judged if judgement.second is not None]
    seconds = iter(scorer([judgement.second for judgement in paired]) if paired else [])
    rivals = [0.0 if judgement.second is None else next(seconds) for judgement in judged]
    margins = [
        judgement.sign * (first - rival)
        for judgement, first, rival in zip(judged, firsts, rivals, strict=True)
    ]
    right = sum(margin > 0 for margin in margins)
    share = wilson(right, len(margins))
    chances = [chance(margin) for margin in margins]
    scores = firsts + [
        rival for judgement, rival in zip(judged, rivals, strict=True) if judgement.second is not None
    ]
    lengths = [len(judgement.first) - judgement.prompt_length for judgement in judged] + [
        len(judgement.second) - judgement.prompt_length for judgement in paired
    ]
    return {
        "accuracy": share.value,
        "accuracy_interval": [share.low, share.high],
        "brier": sum((1 - chance) ** 2 for chance in chances) / len(chances),
        "reliability": _reliability(chances),
        "length_correlation": _correlation(scores, lengths),
    }


def chance(margin: float) -> float:
    """σ(margin): the probability that a reward model gives to the answer that scores higher by so much."""
    return 1 / (1 + math.exp(-max(min(margin, 500.0), -500.0)))


def _reliability(chances: Sequence[float]) -> list[dict[str, float]]:
    """`chances`: probabilities of people's verdicts. The model's own verdict is the side with more than a half."""
    verdicts = [(max(chance, 1 - chance), chance > 0.5) for chance in chances]
    bins = []
    for number in range(BINS):
        low, high = 0.5 + 0.5 * number / BINS, 0.5 + 0.5 * (number + 1) / BINS
        last = number == BINS - 1
        inside = [
            (confidence, right)
            for confidence, right in verdicts
            if low <= confidence < high or (last and confidence == high)
        ]
        if inside:
            bins.append(
                {
                    "confidence": sum(confidence for confidence, _ in inside) / len(inside),
                    "right": sum(right for _, right in inside) / len(inside),
                    "count": float(len(inside)),
                }
            )
    return bins


def _correlation(scores: Sequence[float], lengths: Sequence[int]) -> float | None:
    if min(scores) == max(scores) or min(lengths) == max(lengths):
        return None
    return float(spearmanr(scores, lengths).statistic)

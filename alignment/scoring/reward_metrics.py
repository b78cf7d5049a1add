"""How well a reward model judges rows it has not seen: accuracy, calibration, and whether it just likes length."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from scipy.stats import spearmanr

from feedback_store.stats.intervals import wilson

BINS = 5


def judge(scorer: Callable[[list[list[int]]], list[float]], judged: Sequence[Any]) -> dict[str, Any]:
    """Figures on held-out judgements; empty where there are none.

    `accuracy` is the share judged as people did, with its 95 % Wilson interval; a tie counts as wrong. `brier` is the
    mean squared error of σ(margin), 0.25 for a coin. `reliability` holds, for bins of confidence from 0.5 to 1, the
    mean confidence and the share that was right: alike, if the model knows how sure it may be. `length_correlation`
    is Spearman's, between score and completion length in tokens, None where either never varies.
    """
    if not judged:
        return {}
    firsts = scorer([one.first for one in judged])
    paired = [one for one in judged if one.second is not None]
    seconds = iter(scorer([one.second for one in paired]) if paired else [])
    rivals = [0.0 if one.second is None else next(seconds) for one in judged]
    margins = [one.sign * (first - rival) for one, first, rival in zip(judged, firsts, rivals, strict=True)]
    right = sum(margin > 0 for margin in margins)
    share = wilson(right, len(margins))
    chances = [1 / (1 + math.exp(-max(min(margin, 500.0), -500.0))) for margin in margins]
    scores = firsts + [rival for one, rival in zip(judged, rivals, strict=True) if one.second is not None]
    lengths = [len(one.first) - one.prompt_length for one in judged] + [
        len(one.second) - one.prompt_length for one in paired
    ]
    return {
        "accuracy": share.value,
        "accuracy_interval": [share.low, share.high],
        "brier": sum((1 - chance) ** 2 for chance in chances) / len(chances),
        "reliability": _reliability(chances),
        "length_correlation": _correlation(scores, lengths),
    }


def _reliability(chances: Sequence[float]) -> list[dict[str, float]]:
    # `chances` are of what people said; the model's own verdict is whichever side it gives more than a half.
    found = [(max(chance, 1 - chance), chance > 0.5) for chance in chances]
    bins = []
    for number in range(BINS):
        low, high = 0.5 + 0.5 * number / BINS, 0.5 + 0.5 * (number + 1) / BINS
        inside = [one for one in found if low <= one[0] < high or (number == BINS - 1 and one[0] == high)]
        if inside:
            bins.append(
                {
                    "confidence": sum(one[0] for one in inside) / len(inside),
                    "right": sum(one[1] for one in inside) / len(inside),
                    "count": float(len(inside)),
                }
            )
    return bins


def _correlation(scores: Sequence[float], lengths: Sequence[int]) -> float | None:
    if min(scores) == max(scores) or min(lengths) == max(lengths):
        return None
    return float(spearmanr(scores, lengths).statistic)

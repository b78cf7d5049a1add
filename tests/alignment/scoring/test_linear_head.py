"""A head that is fitted alone: it learns what pairs and thumbs say, with the losses of the reward stage."""

import numpy as np
import pytest

from alignment.scoring.linear_head import LEAST_DEVIATION, SPREAD, fitted

WIDTH = 12
DRAW = np.random.default_rng(1)
SIZES = np.logspace(-0.5, 2, WIDTH)
TASTE = DRAW.normal(size=WIDTH)


def readings(count: int) -> np.ndarray:
    """Hidden states of very unequal sizes, around a mean that is not zero."""
    return DRAW.normal(size=(count, WIDTH)) * SIZES + 5.0


def liking(read: np.ndarray) -> np.ndarray:
    return (read - 5.0) / SIZES @ TASTE


def test_thumbs_teach_the_order_of_unseen_replies_and_how_much_is_liked() -> None:
    read = readings(300)
    liked = liking(read) > 1.5
    weights, bias, loss = fitted(read, [None] * 300, [1 if up else -1 for up in liked])
    unseen = readings(200)
    scores = unseen @ weights + bias
    assert np.corrcoef(scores, liking(unseen))[0, 1] > 0.95
    assert ((scores > 0) == (liking(unseen) > 1.5)).mean() > 0.9
    assert loss == pytest.approx(np.logaddexp(0, -np.where(liked, 1, -1) * (read @ weights + bias)).mean())


def test_pairs_teach_the_order_alone() -> None:
    read = readings(400)
    better = [n if liking(read)[n] > liking(read)[n + 200] else n + 200 for n in range(200)]
    worse = [2 * n + 200 - better[n] for n in range(200)]
    weights, bias, _ = fitted(np.concatenate([read[better], read[worse]]), list(range(200, 400)), [1] * 200)
    unseen = readings(200)
    assert np.corrcoef(unseen @ weights, liking(unseen))[0, 1] > 0.95
    assert (unseen @ weights + bias).mean() == pytest.approx(0, abs=0.5)


def test_no_other_weights_lose_less() -> None:
    read, signs = readings(40), [1, -1] * 20
    weights, bias, _ = fitted(read, [None] * 40, signs)
    mean, deviation = read.mean(axis=0), read.std(axis=0)
    deviation = np.maximum(deviation, LEAST_DEVIATION * np.median(deviation))

    def lost(changed: np.ndarray, level: float) -> float:
        standard = changed * deviation
        margins = np.array(signs) * (read @ changed + level)
        penalty = WIDTH * standard @ standard + (level + mean @ changed) ** 2
        return float(np.logaddexp(0, -margins).sum() + penalty / SPREAD**2 / 2)

    best = lost(weights, bias)
    for _ in range(50):
        assert lost(weights + DRAW.normal(size=WIDTH) * 0.05 / deviation, bias + DRAW.normal() * 0.05) > best


def test_a_value_that_never_varies_changes_nothing() -> None:
    read = readings(50)
    read[:, 3] = 7.0
    weights, _, _ = fitted(read, [None] * 50, [1, -1] * 25)
    assert weights[3] == 0 and np.isfinite(weights).all()

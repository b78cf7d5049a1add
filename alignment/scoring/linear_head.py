"""A reward model's head by itself: a frozen model reads each judgement once, and the head is fitted to what it read.

With few judgements an adapter learns them by heart, and every pass over them costs three times their reading. What a
model makes of a whole reply says much about it already (Alain & Bengio 2017, "Understanding intermediate layers using
linear classifier probes"), and a linear head on it has one best fit, which takes seconds: logistic regression with a
ridge penalty (le Cessie & van Houwelingen 1992, Applied Statistics 41) on standardised values.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from alignment.data.judgements import JudgedCompletion
from alignment.scoring.reward_model import Scorer, head_of

SPREAD = 2.0
"""Standard deviation that scores have before anything is learned, in a Bayesian's reading of the penalty: most replies
then have a chance between 2 and 98 % to be liked. It makes the penalty the same for narrow and wide models."""
LEAST_DEVIATION = 0.1
"""Of the median deviation: a value that varies less is standardised as if it varied so much."""

Numbers = NDArray[np.float64]


def fit_head(model: Any, training: Sequence[JudgedCompletion]) -> float:
    """Fit head and bias of a reward `model` to judgements; its other weights stay. Returns the mean loss after it."""
    paired = [row for row in training if row.second is not None]
    sequences = [*(row.first for row in training), *(row.second or [] for row in paired)]
    read = Scorer(model).read(sequences).double().numpy()
    later = iter(range(len(training), len(sequences)))
    seconds = [None if row.second is None else next(later) for row in training]
    weights, bias, loss = fitted(read, seconds, [row.sign for row in training])
    with torch.no_grad():
        head = head_of(model)
        head.weight.copy_(torch.from_numpy(weights)[None])
        head.bias.fill_(bias)
    return loss


def fitted(
    read: Numbers, seconds: Sequence[int | None], signs: Sequence[int]
) -> tuple[Numbers, float, float]:
    """The head's weights (width,), its bias, and the mean loss of the best fit; the losses are `stages.reward`'s.

    `read`: [sequences, width], what the model read; row n is that of judgement n, and further rows are of worse replies
    in pairs. `seconds`: of a pair the row of its worse reply, else None. `signs`: 1, or -1 for a thumb down.
    """
    mean, deviation = read.mean(axis=0), read.std(axis=0)
    # What hardly varies must not be blown up: text unlike the judged replies would get absurd scores from it.
    deviation = np.maximum(deviation, LEAST_DEVIATION * float(np.median(deviation)) or 1.0)
    values = (read - mean) / deviation
    rows, constant = np.empty((len(signs), read.shape[1])), np.empty(len(signs))
    for first, (second, sign) in enumerate(zip(seconds, signs, strict=True)):
        rows[first] = sign * (values[first] - (0.0 if second is None else values[second]))
        # How much people like on the whole: a thumb tells, a pair does not.
        constant[first] = sign if second is None else 0.0
    penalty = np.full(read.shape[1] + 1, read.shape[1] / SPREAD**2)
    penalty[-1] = 1 / SPREAD**2
    margins = np.column_stack([rows, constant])

    def objective(weights: Numbers) -> tuple[float, Numbers]:
        reached = margins @ weights
        loss = np.logaddexp(0.0, -reached).sum() + penalty @ weights**2 / 2
        return float(loss), penalty * weights - margins.T @ expit(-reached)

    found = minimize(objective, np.zeros(len(penalty)), jac=True, method="L-BFGS-B").x
    weights: Numbers = found[:-1] / deviation
    return weights, float(found[-1] - mean @ weights), float(np.logaddexp(0.0, -margins @ found).mean())

"""Figures with 95 % intervals, each by a method of SciPy: Wilson's for shares, the bootstrap for everything else."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, bootstrap

RESAMPLES = 5000


@dataclass(frozen=True)
class Interval:
    """A figure and the bounds of its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"

    @property
    def percent(self) -> str:
        """A share in percent: "93.4 % [90.9, 95.3]"."""
        return f"{100 * self.value:.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]"

    @property
    def of_hundred(self) -> str:
        """A share as a count for everybody: "93"."""
        return f"{100 * self.value:.0f}"

    @property
    def points(self) -> str:
        """A difference of shares in percentage points, with its sign: "+12.0 [+4.1, +19.9]"."""
        return f"{100 * self.value:+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"


def share(count: int, of: int) -> Interval:
    """`count` of `of` with Wilson's interval. Raises ValueError if `of` is 0."""
    test = binomtest(count, of).proportion_ci(method="wilson")
    return Interval(count / of, float(test.low), float(test.high))


def share_of(values: Sequence[int]) -> Interval:
    """The share of ones among `values` of 0 and 1, with Wilson's interval. Raises ValueError if there are none."""
    return share(sum(values), len(values))


def mean(values: Sequence[float]) -> Interval:
    """The mean of independent values, with the bootstrap's percentile interval."""
    array = np.asarray(values, dtype=float)
    value = float(array.mean())
    if len(array) < 2 or np.ptp(array) == 0:
        return Interval(value, value, value)
    result = bootstrap((array,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=0)
    return Interval(value, float(result.confidence_interval.low), float(result.confidence_interval.high))


def difference(before: Sequence[float], after: Sequence[float]) -> Interval:
    """The mean gain of `after` over `before` on the same tasks; tasks are resampled. Of equal lengths."""
    return mean((np.asarray(after, dtype=float) - np.asarray(before, dtype=float)).tolist())

"""Tests and intervals for paired values: is one version better than another on the same prompts?

Right-or-wrong values get the exact McNemar test (SciPy's binomial test on the prompts where the versions differ) and
Tango's score interval for the difference of paired shares (Tango 1998, "Equivalence test and confidence interval for
the difference in proportions for the paired-sample design", Statistics in Medicine 17), which keeps its coverage where
the versions never differ, and also tests a margin.

Real values get Student's t after Hall's transformation (Hall 1992, "On the removal of skewness by transformation",
JRSS B 54). Rewards and perplexities are skewed, and a plain t-test on them is wrong up to three times as often as it
claims. Without skewness the result is the plain t-test.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binomtest, norm, skew, t


@dataclass(frozen=True)
class Paired:
    """One measure on the prompts that both versions answered."""

    differences: NDArray[np.float64]
    """Shape (prompts,): positive where the candidate is better."""
    binary: bool
    """Each value is right or wrong, so that differences are -1, 0 and 1."""

    @property
    def prompts(self) -> int:
        """Number of prompts."""
        return len(self.differences)

    @property
    def mean(self) -> float:
        """Mean difference."""
        return float(self.differences.mean())

    @property
    def gained(self) -> int:
        """Prompts on which the candidate does better."""
        return int((self.differences > 0).sum())

    @property
    def lost(self) -> int:
        """Prompts on which the candidate does worse."""
        return int((self.differences < 0).sum())


def p_better(paired: Paired) -> float:
    """One-sided p-value of the hypothesis that the candidate is no better."""
    if paired.binary:
        return _mcnemar(paired.gained, paired.lost)
    if np.ptp(paired.differences) == 0:
        return 0.0 if paired.mean > 0 else 1.0
    n, g, scaled = paired.prompts, float(skew(paired.differences)), paired.mean / _deviation(paired)
    straight = scaled + g * scaled**2 / 3 + g**2 * scaled**3 / 27 + g / (6 * n)
    return float(t.sf(math.sqrt(n) * straight, n - 1))


def bounds(paired: Paired, level: float) -> tuple[float, float]:
    """Lower and upper bound of the mean difference; each is wrong with probability `level`."""
    if paired.binary:
        gained, lost, prompts = paired.gained, paired.lost, paired.prompts
        return _tango_lower(gained, lost, prompts, level), -_tango_lower(lost, gained, prompts, level)
    if np.ptp(paired.differences) == 0:
        return paired.mean, paired.mean
    quantile = float(t.isf(level, paired.prompts - 1)) / math.sqrt(paired.prompts)
    return _hall(paired, quantile), _hall(paired, -quantile)


def _hall(paired: Paired, quantile: float) -> float:
    """The mean at which Hall's statistic, divided by the root of the number of prompts, equals `quantile`."""
    g = float(skew(paired.differences))
    if abs(g) < 1e-6:  # The formula's limit for g → 0, where the formula itself loses its digits.
        return paired.mean - _deviation(paired) * quantile
    root = math.cbrt(1 + g * (quantile - g / (6 * paired.prompts)))
    return paired.mean - _deviation(paired) * 3 / g * (root - 1)


def _deviation(paired: Paired) -> float:
    return float(paired.differences.std(ddof=1))


@lru_cache(maxsize=100_000)
def _mcnemar(gained: int, lost: int) -> float:
    """Exact p-value: if neither version is better, each differing prompt is a gain with probability 1/2."""
    if gained + lost == 0:
        return 1.0
    return float(binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue)


@lru_cache(maxsize=100_000)
def _tango_lower(gained: int, lost: int, prompts: int, level: float) -> float:
    """The difference d at which Tango's score statistic equals the normal quantile of 1 - `level`.

    The statistic is (gained - lost - n d) / sqrt(n (2 q + d (1 - d))), where q is the maximum-likelihood share of
    losses under d: the positive root of 2 n q² - (gained + lost - (2 n - gained + lost) d) q - lost d (1 - d).
    """
    z = float(norm.isf(level))
    n, observed = prompts, (gained - lost) / prompts

    def excess(d: float) -> float:
        b = -(gained + lost) + (2 * n - gained + lost) * d
        c = -lost * d * (1 - d)
        q = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        return gained - lost - n * d - z * math.sqrt(max(n * (2 * q + d * (1 - d)), 0.0))

    # Search to just below the observed difference: at it, without any gain or loss, the statistic is 0/0.
    just_below = observed - 1e-9
    return float(brentq(excess, -1.0, just_below, xtol=1e-10)) if just_below > -1 else -1.0

"""Tests and intervals for paired values agree with independent computations."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binom, norm, ttest_1samp

from alignment.evaluation.paired_tests import Paired, bounds, p_better


def differing(gained: int, lost: int, prompts: int) -> Paired:
    """Right-or-wrong answers that differ on `gained` + `lost` prompts."""
    values = np.repeat([1.0, -1.0, 0.0], [gained, lost, prompts - gained - lost])
    return Paired(values, binary=True)


@pytest.mark.parametrize(
    ("gained", "lost", "prompts"), [(30, 12, 300), (5, 0, 40), (0, 9, 120), (61, 64, 200)]
)
def test_tangos_bound_solves_the_score_equation_with_a_numerical_maximum_likelihood(
    gained: int, lost: int, prompts: int
) -> None:
    low, _ = bounds(differing(gained, lost, prompts), 0.025)

    def negative_log_likelihood(q: float) -> float:
        shares = np.array([q + low, q, 1 - 2 * q - low])
        return float(-(np.array([gained, lost, prompts - gained - lost]) * np.log(shares)).sum())

    allowed = (max(0.0, -low) + 1e-12, (1 - low) / 2 - 1e-12)
    q = minimize_scalar(negative_log_likelihood, bounds=allowed, method="bounded", options={"xatol": 1e-12}).x
    score = (gained - lost - prompts * low) / np.sqrt(prompts * (2 * q + low - low**2))
    assert score == pytest.approx(norm.isf(0.025), abs=1e-3)


def test_without_differences_the_interval_is_tangos_closed_form() -> None:
    z2 = norm.isf(0.025) ** 2
    low, high = bounds(differing(0, 0, 300), 0.025)
    assert -low == high == pytest.approx(z2 / (300 + z2))


def test_bounds_stay_within_one_if_every_prompt_is_lost_or_gained() -> None:
    low, high = bounds(differing(0, 50, 50), 0.025)
    assert low == -1.0 and -1 < high < -0.85
    assert bounds(differing(50, 0, 50), 0.025) == pytest.approx((-high, 1.0))


def test_the_exact_test_is_never_too_lenient() -> None:
    for differing_prompts in (1, 5, 20, 75, 150):
        gained = np.arange(differing_prompts + 1)
        p = [p_better(differing(int(g), differing_prompts - int(g), 300)) for g in gained]
        promoted = binom.pmf(gained, differing_prompts, 0.5)[np.array(p) <= 0.025].sum()
        assert promoted <= 0.025


def test_real_values_without_skewness_get_students_interval() -> None:
    differences = np.array([-0.2, 0.0, 0.1, 0.3, 0.4, 0.6])
    low, high = bounds(Paired(differences, binary=False), 0.025)
    half = 2.5706 * differences.std(ddof=1) / np.sqrt(6)  # Student's t, 5 degrees of freedom
    assert (low, high) == pytest.approx((0.2 - half, 0.2 + half), abs=1e-4)
    assert p_better(Paired(differences, binary=False)) == pytest.approx(
        ttest_1samp(differences, 0, alternative="greater").pvalue
    )


def test_the_p_value_of_skewed_values_agrees_with_their_bound() -> None:
    values = Paired(1.1 - np.random.default_rng(1).exponential(1, 200), binary=False)
    low, high = bounds(values, p_better(values))
    assert low == pytest.approx(0, abs=1e-9) and high > values.mean


def test_rare_large_losses_lower_the_bound_below_students() -> None:
    values = 1 - np.random.default_rng(1).exponential(1, 200)
    low, _ = bounds(Paired(values, binary=False), 0.025)
    assert low < ttest_1samp(values, 0).confidence_interval(0.95).low - 0.005


def test_equal_differences_of_real_values_give_no_warning() -> None:
    assert bounds(Paired(np.full(100, 0.2), binary=False), 0.025) == pytest.approx((0.2, 0.2))
    assert p_better(Paired(np.full(100, 0.2), binary=False)) == 0.0
    assert p_better(Paired(np.zeros(100), binary=False)) == 1.0

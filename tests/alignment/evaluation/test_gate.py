"""The gate: promotes what is better, holds what is not shown, rejects what is worse, and says why."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from helpers.paths import ROOT
from scipy.optimize import minimize_scalar
from scipy.stats import binom, binomtest, norm, ttest_1samp

from alignment.errors import ComparisonError, PolicyError
from alignment.evaluation.gate import Compared, Decision, Evaluation, Kind, Measure, decide, judge
from alignment.evaluation.paired_tests import Paired, bounds, p_better
from alignment.evaluation.release_policy import GatePolicy, LivePolicy, Policy, read_policy

POLICY = GatePolicy()


def differing(gained: int, lost: int, prompts: int) -> Paired:
    """Right-or-wrong answers that differ on `gained` + `lost` prompts."""
    values = np.repeat([1.0, -1.0, 0.0], [gained, lost, prompts - gained - lost])
    return Paired(values, binary=True)


def evaluations(name: str, kind: Kind, gained: int, lost: int, prompts: int) -> tuple[Measure, Measure]:
    """A measure of the candidate and of the released version, right on everything they do not differ on."""
    ids = [f"p{i}" for i in range(prompts)]
    new = {one: 0.0 if gained <= i < gained + lost else 1.0 for i, one in enumerate(ids)}
    old = {one: 0.0 if i < gained else 1.0 for i, one in enumerate(ids)}
    return Measure(name, kind, new), Measure(name, kind, old)


def decided(*pairs: tuple[Measure, Measure], looks: int = 1, policy: GatePolicy = POLICY) -> Decision:
    candidate = Evaluation("v2", [new for new, _ in pairs])
    released = Evaluation("v1", [old for _, old in pairs])
    return decide(candidate, released, policy, looks)


GAIN = ("accuracy", "primary", 50, 20, 300)
NO_GAIN = ("accuracy", "primary", 35, 30, 300)
SAFE = ("ended", "guard", 3, 3, 300)


def test_a_candidate_that_is_better_and_breaks_no_guard_is_promoted() -> None:
    found = decided(evaluations(*GAIN), evaluations(*SAFE))
    assert found.verdict == "promote"
    assert [reason.finding for reason in found.reasons] == ["better", "not worse"]


def test_a_reason_says_the_difference_its_interval_and_what_was_needed() -> None:
    reason = decided(evaluations(*GAIN)).reasons[0]
    assert (reason.difference, reason.prompts, reason.gained, reason.lost) == (
        pytest.approx(0.1),
        300,
        50,
        20,
    )
    assert reason.p == pytest.approx(binom.sf(49, 70, 0.5))
    assert reason.level == 0.025
    assert reason.text == (
        f"accuracy (primary): +10.0 points [{100 * reason.low:+.1f}, {100 * reason.high:+.1f}] on 300 prompts, "
        f"50 gained, 20 lost; better; p = {reason.p:.2g}, needed 0.025"
    )


def test_a_decision_can_be_written_as_json_and_read_by_people() -> None:
    found = decided(evaluations(*GAIN), evaluations(*SAFE))
    assert json.loads(json.dumps(asdict(found)))["reasons"][1]["margin"] == 0.05
    assert found.text().splitlines()[0] == "promote v2 against v1 (look 1)"
    assert len(found.text().splitlines()) == 3


def test_a_gain_that_chance_explains_is_held() -> None:
    assert decided(evaluations(*NO_GAIN), evaluations(*SAFE)).verdict == "hold"


def test_a_copy_of_the_released_version_is_held() -> None:
    assert decided(evaluations("accuracy", "primary", 0, 0, 300), evaluations(*SAFE)).verdict == "hold"


def test_a_guard_that_is_clearly_worse_rejects_whatever_else_got_better() -> None:
    found = decided(evaluations(*GAIN), evaluations("ended", "guard", 0, 30, 300))
    assert found.verdict == "reject"
    assert found.reasons[1].finding == "worse"


def test_a_guard_that_is_undecided_holds_a_candidate_that_is_better() -> None:
    found = decided(evaluations(*GAIN), evaluations("ended", "guard", 20, 26, 300))
    assert found.verdict == "hold"
    assert found.reasons[1].finding == "undecided"


def test_a_guard_that_is_a_little_worse_for_certain_but_within_its_margin_passes() -> None:
    found = decided(evaluations(*GAIN), evaluations("ended", "guard", 0, 20, 2000))
    assert found.reasons[1].high < 0
    assert found.verdict == "promote"


def test_a_primary_measure_that_is_clearly_worse_rejects() -> None:
    assert decided(evaluations("accuracy", "primary", 20, 50, 300), evaluations(*SAFE)).verdict == "reject"


def test_the_margin_of_a_guard_is_the_policys_for_its_name() -> None:
    tight = GatePolicy(margins={"ended": 0.005})
    assert decided(evaluations(*GAIN), evaluations(*SAFE), policy=tight).verdict == "hold"


def test_where_lower_is_better_a_rise_is_a_loss() -> None:
    rng = np.random.default_rng(1)
    old = {f"p{i}": value for i, value in enumerate(rng.normal(3.0, 1.0, 300))}
    new = {
        one: value + 0.5 + noise
        for (one, value), noise in zip(old.items(), rng.normal(0, 0.3, 300), strict=True)
    }
    policy = GatePolicy(margins={"perplexity": 0.1})
    pair = [Measure("perplexity", "guard", values, higher_is_better=False) for values in (new, old)]
    found = decided(evaluations(*GAIN), (pair[0], pair[1]), policy=policy)
    assert found.verdict == "reject"
    assert found.reasons[1].difference == pytest.approx(-0.5, abs=0.1)
    assert "+" not in found.reasons[1].text.split(" on ")[0]


def test_several_primary_measures_are_held_to_holms_correction() -> None:
    # One-sided exact p = 0.0155 passes alone at 0.025, but not as the best of two (0.0125).
    lucky = ("accuracy", "primary", 40, 22, 300)
    alone = decided(evaluations(*lucky))
    assert alone.verdict == "promote" and 0.0125 < (alone.reasons[0].p or 0) < 0.025
    two = decided(evaluations(*lucky), evaluations("win rate", "primary", 30, 30, 300))
    assert two.verdict == "hold"
    # Beside a measure that passed at 0.0125, the other is tested at 0.025 again.
    beside = decided(evaluations(*lucky), evaluations("win rate", "primary", 60, 20, 300))
    assert [reason.finding for reason in beside.reasons] == ["better", "better"]
    assert [reason.level for reason in beside.reasons] == [0.025, 0.0125]


def test_looks_spend_the_whole_error_and_no_more() -> None:
    levels = [decided(evaluations(*NO_GAIN), looks=k).level for k in range(1, 2000)]
    assert levels[0] == 0.025 and levels == sorted(levels, reverse=True)
    assert 0.999 * 0.05 < sum(levels) < 0.05


def test_a_later_look_needs_more_evidence() -> None:
    assert decided(evaluations("accuracy", "primary", 40, 20, 300), looks=1).verdict == "promote"
    assert decided(evaluations("accuracy", "primary", 40, 20, 300), looks=5).verdict == "hold"


def test_too_few_prompts_decide_nothing() -> None:
    few = evaluations("accuracy", "primary", 40, 0, 60)
    assert decided(few).verdict == "hold"
    assert "too few prompts: at least 100" in decided(few).reasons[0].text
    assert decided(evaluations(*GAIN), evaluations("ended", "guard", 0, 0, 60)).verdict == "hold"


def test_what_cannot_be_compared_is_refused_with_the_reason() -> None:
    new, old = evaluations(*GAIN)
    with pytest.raises(ComparisonError, match="only one of them has accuracy"):
        decide(Evaluation("v2", [new]), Evaluation("v1", []), POLICY, 1)
    with pytest.raises(ComparisonError, match="No primary measure"):
        decided(evaluations(*SAFE))
    with pytest.raises(ComparisonError, match="1 only the second"):
        decided((Measure("accuracy", "primary", {k: v for k, v in new.values.items() if k != "p7"}), old))
    with pytest.raises(ComparisonError, match="no answer at all"):
        decided((Measure("accuracy", "primary", {}), Measure("accuracy", "primary", {})))
    with pytest.raises(ComparisonError, match="no finite number"):
        decided((Measure("accuracy", "primary", {**new.values, "p7": float("nan")}), old))
    with pytest.raises(ComparisonError, match="does not mean the same"):
        decided((Measure("accuracy", "guard", new.values), old), evaluations("other", "primary", 1, 1, 300))
    with pytest.raises(ComparisonError, match="two measures of one name"):
        decided((new, old), (new, old))
    with pytest.raises(ComparisonError, match="at least the first"):
        decided((new, old), looks=0)


def test_a_guard_of_real_values_without_a_margin_is_refused() -> None:
    values = {f"p{i}": i / 7 for i in range(300)}
    pair = Measure("perplexity", "guard", values), Measure("perplexity", "guard", values)
    with pytest.raises(ComparisonError, match=r"margins: \{perplexity"):
        decided(evaluations(*GAIN), pair)


@pytest.mark.parametrize(
    ("gained", "lost", "prompts"), [(30, 12, 300), (5, 0, 40), (0, 9, 120), (61, 64, 200)]
)
def test_tangos_bound_is_where_the_score_test_with_a_numerical_maximum_likelihood_turns(
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


def test_without_a_single_difference_the_interval_is_that_of_tangos_closed_form() -> None:
    z2 = norm.isf(0.025) ** 2
    low, high = bounds(differing(0, 0, 300), 0.025)
    assert -low == high == pytest.approx(z2 / (300 + z2))


def test_the_bounds_of_everything_lost_and_everything_gained_stay_within_one() -> None:
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


def test_real_values_that_all_differ_alike_are_decided_without_a_warning() -> None:
    assert bounds(Paired(np.full(100, 0.2), binary=False), 0.025) == pytest.approx((0.2, 0.2))
    assert p_better(Paired(np.full(100, 0.2), binary=False)) == 0.0
    assert p_better(Paired(np.zeros(100), binary=False)) == 1.0


def test_candidates_no_better_are_seldom_promoted_however_often_one_looks() -> None:
    rng = np.random.default_rng(20261124)
    runs, promoted = 300, 0
    for _ in range(runs):
        for look in range(1, 6):
            answers = rng.choice([1.0, -1.0, 0.0], p=[0.1, 0.1, 0.8], size=(2, 300))
            compared = [
                Compared(str(i), "primary", Paired(row, binary=True)) for i, row in enumerate(answers)
            ]
            if judge(compared, POLICY, look)[0] == "promote":
                promoted += 1
                break
    # Fails if the true rate is not plausibly 5 % or less.
    assert binomtest(promoted, runs, 0.05, alternative="greater").pvalue > 0.001


def test_a_gain_of_ten_points_on_300_prompts_is_mostly_promoted() -> None:
    rng = np.random.default_rng(20261124)
    answers = rng.choice([1.0, -1.0, 0.0], p=[0.15, 0.05, 0.8], size=(300, 300))
    promoted = sum(
        judge([Compared("accuracy", "primary", Paired(row, binary=True))], POLICY, 1)[0] == "promote"
        for row in answers
    )
    assert binomtest(promoted, 300, 0.9, alternative="less").pvalue > 0.001
    assert promoted < 300


def test_a_policy_file_is_read_by_section_with_defaults_for_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("gate: {alpha: 0.1, margins: {perplexity: 0.2}}\nlive: {minimum_raters: 20}\n")
    policy = read_policy(path)
    assert policy.gate == GatePolicy(alpha=0.1, margins={"perplexity": 0.2})
    assert policy.live == LivePolicy(minimum_raters=20)
    path.write_text("")
    assert read_policy(path).gate == GatePolicy()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "gate: {alfa: 0.1}",
            "unknown key alfa in gate. Known keys: alpha, margin, margins, minimum_prompts",
        ),
        ("gates: {}", "unknown key gates in the policy"),
        ("gate: {alpha: 2}", r"gate.alpha is 2; it must be a number between 0 and 0.5"),
        ("gate: {margin: five}", "gate.margin is 'five'"),
        ("gate: {margins: {ended: -1}}", "gate.margins.ended is -1"),
        ("gate: {margins: 3}", "gate.margins must name guards"),
        ("gate: {minimum_prompts: yes}", "gate.minimum_prompts is True"),
        ("gate: [1]", "gate must hold keys and values"),
        ("live: {minimum_votes: 1}", "live.minimum_votes is 1; it must be a whole number of at least 2"),
        ("gate: {", "cannot be read"),
    ],
)
def test_a_policy_that_means_nothing_names_the_file_and_the_fault(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=says) as raised:
        read_policy(path)
    assert str(path) in str(raised.value)


def test_a_policy_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"nowhere\.yaml"):
        read_policy(tmp_path / "nowhere.yaml")


def test_every_policy_key_stands_in_the_reference_with_its_default() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    for section in ("gate", "live"):
        for key, default in asdict(getattr(Policy(), section)).items():
            assert f"| `{section}.{key}` | {default or 'none'} |" in reference, key

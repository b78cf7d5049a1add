"""The gate promotes a better candidate, holds an undecided one, rejects a worse one, and gives its reasons."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from alignment.errors import ComparisonError
from alignment.evaluation.gate import Compared, Decision, Evaluation, Kind, Measure, decide, judge
from alignment.evaluation.paired_tests import Paired
from alignment.evaluation.release_policy import GatePolicy

POLICY = GatePolicy()


def evaluations(name: str, kind: Kind, gained: int, lost: int, prompts: int) -> tuple[Measure, Measure]:
    """A measure of the candidate and of the released version, both right where they do not differ."""
    ids = [f"p{i}" for i in range(prompts)]
    new = {prompt: 0.0 if gained <= i < gained + lost else 1.0 for i, prompt in enumerate(ids)}
    old = {prompt: 0.0 if i < gained else 1.0 for i, prompt in enumerate(ids)}
    return Measure(name, kind, new), Measure(name, kind, old)


def decided(*pairs: tuple[Measure, Measure], looks: int = 1, policy: GatePolicy = POLICY) -> Decision:
    candidate = Evaluation("v2", [new for new, _ in pairs])
    released = Evaluation("v1", [old for _, old in pairs])
    return decide(candidate, released, policy, looks)


GAIN = ("accuracy", "primary", 50, 20, 300)
NO_GAIN = ("accuracy", "primary", 35, 30, 300)
SAFE = ("ended", "guard", 3, 3, 300)


def test_a_better_candidate_that_passes_every_guard_is_promoted() -> None:
    decision = decided(evaluations(*GAIN), evaluations(*SAFE))
    assert decision.verdict == "promote"
    assert [reason.finding for reason in decision.reasons] == ["better", "not worse"]


def test_a_reason_states_the_difference_its_interval_and_the_needed_level() -> None:
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


def test_a_decision_can_be_written_as_json_and_as_text() -> None:
    decision = decided(evaluations(*GAIN), evaluations(*SAFE))
    assert json.loads(json.dumps(asdict(decision)))["reasons"][1]["margin"] == 0.05
    assert decision.text().splitlines()[0] == "promote v2 against v1 (look 1)"
    assert len(decision.text().splitlines()) == 3


def test_a_gain_that_chance_explains_is_held() -> None:
    assert decided(evaluations(*NO_GAIN), evaluations(*SAFE)).verdict == "hold"


def test_a_copy_of_the_released_version_is_held() -> None:
    assert decided(evaluations("accuracy", "primary", 0, 0, 300), evaluations(*SAFE)).verdict == "hold"


def test_a_clearly_worse_guard_rejects_even_a_better_candidate() -> None:
    decision = decided(evaluations(*GAIN), evaluations("ended", "guard", 0, 30, 300))
    assert decision.verdict == "reject"
    assert decision.reasons[1].finding == "worse"


def test_an_undecided_guard_holds_a_better_candidate() -> None:
    decision = decided(evaluations(*GAIN), evaluations("ended", "guard", 20, 26, 300))
    assert decision.verdict == "hold"
    assert decision.reasons[1].finding == "undecided"


def test_a_guard_that_is_certainly_worse_but_within_its_margin_passes() -> None:
    decision = decided(evaluations(*GAIN), evaluations("ended", "guard", 0, 20, 2000))
    assert decision.reasons[1].high < 0
    assert decision.verdict == "promote"


def test_a_clearly_worse_primary_measure_rejects() -> None:
    assert decided(evaluations("accuracy", "primary", 20, 50, 300), evaluations(*SAFE)).verdict == "reject"


def test_the_policy_can_set_the_margin_of_a_guard_by_name() -> None:
    tight = GatePolicy(margins={"ended": 0.005})
    assert decided(evaluations(*GAIN), evaluations(*SAFE), policy=tight).verdict == "hold"


def test_a_rise_is_a_loss_if_lower_is_better() -> None:
    rng = np.random.default_rng(1)
    old = {f"p{i}": value for i, value in enumerate(rng.normal(3.0, 1.0, 300))}
    new = {
        prompt: value + 0.5 + noise
        for (prompt, value), noise in zip(old.items(), rng.normal(0, 0.3, 300), strict=True)
    }
    policy = GatePolicy(margins={"perplexity": 0.1})
    pair = [Measure("perplexity", "guard", values, higher_is_better=False) for values in (new, old)]
    decision = decided(evaluations(*GAIN), (pair[0], pair[1]), policy=policy)
    assert decision.verdict == "reject"
    assert decision.reasons[1].difference == pytest.approx(-0.5, abs=0.1)
    assert "+" not in decision.reasons[1].text.split(" on ")[0]


def test_several_primary_measures_get_holms_correction() -> None:
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


def test_all_looks_together_spend_alpha_and_no_more() -> None:
    levels = [decided(evaluations(*NO_GAIN), looks=k).level for k in range(1, 2000)]
    assert levels[0] == 0.025 and levels == sorted(levels, reverse=True)
    assert 0.999 * 0.05 < sum(levels) < 0.05


def test_a_later_look_needs_more_evidence() -> None:
    assert decided(evaluations("accuracy", "primary", 40, 20, 300), looks=1).verdict == "promote"
    assert decided(evaluations("accuracy", "primary", 40, 20, 300), looks=5).verdict == "hold"


def test_too_few_prompts_decide_nothing() -> None:
    few = evaluations("accuracy", "primary", 20, 0, 20)
    assert decided(few).verdict == "hold"
    assert "too few prompts: at least 30" in decided(few).reasons[0].text
    assert decided(evaluations(*GAIN), evaluations("ended", "guard", 0, 0, 20)).verdict == "hold"


def test_without_a_primary_measure_a_candidate_is_held() -> None:
    assert decided(evaluations(*SAFE)).verdict == "hold"


def test_evaluations_that_cannot_be_compared_are_refused_with_the_reason() -> None:
    new, old = evaluations(*GAIN)
    with pytest.raises(ComparisonError, match="only one of them has accuracy"):
        decide(Evaluation("v2", [new]), Evaluation("v1", []), POLICY, 1)
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


def test_candidates_that_are_no_better_are_rarely_promoted_over_many_looks() -> None:
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


def test_a_gain_of_ten_points_on_300_prompts_is_usually_promoted() -> None:
    rng = np.random.default_rng(20261124)
    answers = rng.choice([1.0, -1.0, 0.0], p=[0.15, 0.05, 0.8], size=(300, 300))
    promoted = sum(
        judge([Compared("accuracy", "primary", Paired(row, binary=True))], POLICY, 1)[0] == "promote"
        for row in answers
    )
    assert binomtest(promoted, 300, 0.9, alternative="less").pvalue > 0.001
    assert promoted < 300

"""The release gate: promote, hold or reject a candidate for release, with a reason for every measure.

A candidate is promoted if it is better on at least one primary measure and, on every guard, not worse by more than a
margin. Without a primary measure nothing can show that it is better, and it is held. The probability of error is
bounded over all comparisons with one released version, however many there are:

- The k-th look spends alpha / (k (k + 1)) of the error; these sum to alpha however many looks follow (spending: Lan &
  DeMets 1983, Biometrika 70; over an endless series of tests: Foster & Stine 2008, JRSS B 70). The first look spends
  half, so its bounds are those of a usual 95 % interval.
- Several primary measures give several chances of a lucky result, so Holm's correction applies (1979, Scand. J.
  Statistics 6).
- All guards must pass, so they need no correction: an intersection-union test (Berger 1982, Technometrics 24).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from alignment.errors import ComparisonError
from alignment.evaluation.paired_tests import Paired, bounds, p_better
from alignment.evaluation.release_policy import GatePolicy
from assistant.events.describe import describe
from assistant.events.event import Event

Kind = Literal["primary", "guard"]
Verdict = Literal["promote", "hold", "reject"]
Unit = Literal["points", ""]
Finding = Literal["better", "not worse", "worse", "undecided", "too few prompts"]


@dataclass(frozen=True)
class Measure:
    """One value for each held-out prompt; either all are 0 or 1, or they are real numbers."""

    name: str
    kind: Kind
    values: Mapping[str, float]
    """By prompt id."""
    higher_is_better: bool = True
    probes: bool = False
    """The values are of probes, of which the policy needs fewer than of prompts."""


@dataclass(frozen=True)
class Evaluation:
    """The measures of one version."""

    version: str
    measures: Sequence[Measure]


@dataclass(frozen=True)
class Reason:
    """The finding on one measure. Differences are in the measure's unit, and positive if the candidate is better."""

    measure: str
    kind: Kind
    finding: Finding
    difference: float
    low: float
    high: float
    level: float
    """Probability that `low` is wrong; likewise `high`."""
    prompts: int
    gained: int
    lost: int
    p: float | None
    """One-sided p-value of the hypothesis that the candidate is no better; primary measures only."""
    margin: float | None
    """Guards only."""
    unit: Unit
    """Unit of the differences: "points" if values are right or wrong, so that 0.1 is ten points; else none."""
    event: Event
    text: str
    """The event in English."""


@dataclass(frozen=True)
class Decision:
    """The verdict with a reason for every measure."""

    verdict: Verdict
    candidate: str
    released: str
    looks: int
    level: float
    """Probability of error that this look may spend."""
    reasons: tuple[Reason, ...]

    def text(self) -> str:
        """In English: a line for the verdict, and a line for each measure."""
        return "\n".join([describe(self.event()), *(f"- {reason.text}" for reason in self.reasons)])

    def event(self) -> Event:
        """The verdict without its reasons."""
        return Event.of(
            "gate_decision",
            candidate=self.candidate,
            released=self.released,
            verdict=self.verdict,
            look=self.looks,
        )


@dataclass(frozen=True)
class Compared:
    """One measure of both versions, prompt by prompt."""

    name: str
    kind: Kind
    paired: Paired
    probes: bool = False

    def least(self, policy: GatePolicy) -> int:
        """Fewest prompts on which this measure decides anything."""
        return policy.minimum_probes if self.probes else policy.minimum_prompts


def decide(candidate: Evaluation, released: Evaluation, policy: GatePolicy, looks: int) -> Decision:
    """Compare two versions' answers to the same held-out prompts.

    `looks`: how many comparisons with this released version there have been since its release, this one included.
    Raises ComparisonError if the evaluations cannot be compared, or a guard of real values has no margin.
    """
    compared = compare(candidate, released)
    verdict, level, reasons = judge(compared, policy, looks)
    return Decision(verdict, candidate.version, released.version, looks, level, tuple(reasons))


def compare(candidate: Evaluation, released: Evaluation) -> list[Compared]:
    """Pair the values of both versions by measure and prompt. Raises ComparisonError if one has no counterpart."""
    new, old = _by_name(candidate), _by_name(released)
    if new.keys() != old.keys():
        raise ComparisonError(
            f"{candidate.version} and {released.version} have different measures: only one of them has "
            f"{', '.join(sorted(new.keys() ^ old.keys()))}. Evaluate both with the same suite."
        )
    return [_pair(new[name], old[name], candidate.version, released.version) for name in new]


def judge(
    compared: Sequence[Compared], policy: GatePolicy, looks: int
) -> tuple[Verdict, float, list[Reason]]:
    """The verdict, the probability of error that this look may spend, and a reason for each measure, in their order."""
    if looks < 1:
        raise ComparisonError(f"looks is {looks}; this comparison counts too, so it is at least the first.")
    level = policy.alpha / (looks * (looks + 1))
    enough = [measure for measure in compared if measure.paired.prompts >= measure.least(policy)]
    primary = [measure for measure in enough if measure.kind == "primary"]
    p_values = [p_better(measure.paired) for measure in primary]
    by_name = {measure.name: _too_few(measure, policy, level) for measure in compared}
    for measure, p, corrected in zip(primary, p_values, _holm(p_values, level), strict=True):
        by_name[measure.name] = _primary(measure, p, corrected)
    for measure in enough:
        if measure.kind == "guard":
            by_name[measure.name] = _guard(measure, _margin(measure, policy), level)
    reasons = list(by_name.values())
    guarded = all(reason.finding == "not worse" for reason in reasons if reason.kind == "guard")
    verdict: Verdict
    if any(reason.finding == "worse" for reason in reasons):
        verdict = "reject"
    elif guarded and any(reason.finding == "better" for reason in reasons):
        verdict = "promote"
    else:
        verdict = "hold"
    return verdict, level, reasons


def _holm(p_values: Sequence[float], level: float) -> list[float]:
    """Holm's level for each hypothesis: the smallest p first; after the first that fails, the level stays."""
    levels = [level] * len(p_values)
    passed = 0
    for index in sorted(range(len(p_values)), key=lambda i: p_values[i]):
        levels[index] = level / (len(p_values) - passed)
        passed += p_values[index] <= levels[index] and passed < len(p_values) - 1
    return levels


def _primary(measure: Compared, p: float, level: float) -> Reason:
    low, high = bounds(measure.paired, level)
    finding: Finding = "undecided"
    if p <= level and low > 0:
        finding = "better"
    elif high < 0:
        finding = "worse"
    tested = {"p": p, "level": level}
    event = {
        "better": Event.of("measure_better", **tested),
        "worse": Event.of("measure_worse"),
        "undecided": Event.of("measure_not_shown_better", **tested),
    }[finding]
    return _reason(measure, finding, low, high, level, event, p=p)


def _guard(measure: Compared, margin: float, level: float) -> Reason:
    low, high = bounds(measure.paired, level)
    finding: Finding = "undecided"
    if low > -margin:
        finding = "not worse"
    elif high < 0:
        finding = "worse"
    code = {"not worse": "guard_not_worse", "worse": "guard_worse", "undecided": "guard_undecided"}[finding]
    event = Event.of(code, margin=-margin, unit=_unit(measure))
    return _reason(measure, finding, low, high, level, event, margin=margin)


def _too_few(measure: Compared, policy: GatePolicy, level: float) -> Reason:
    event = Event.of("too_few_prompts", needed=measure.least(policy))
    return _reason(measure, "too few prompts", *bounds(measure.paired, level), level, event)


def _margin(measure: Compared, policy: GatePolicy) -> float:
    if measure.name in policy.margins:
        return policy.margins[measure.name]
    if measure.paired.binary:
        return policy.margin
    raise ComparisonError(
        f"The guard {measure.name} has real values, and the policy has no margin in their unit. "
        f"Add it under gate, margins: {{{measure.name}: …}}."
    )


def _reason(
    measure: Compared,
    finding: Finding,
    low: float,
    high: float,
    level: float,
    finding_event: Event,
    p: float | None = None,
    margin: float | None = None,
) -> Reason:
    paired = measure.paired
    event = Event.of(
        "gate_reason",
        measure=measure.name,
        kind=measure.kind,
        difference=paired.mean,
        low=low,
        high=high,
        unit=_unit(measure),
        prompts=paired.prompts,
        gained=paired.gained,
        lost=paired.lost,
        finding=finding_event,
    )
    return Reason(
        measure.name,
        measure.kind,
        finding,
        paired.mean,
        low,
        high,
        level,
        paired.prompts,
        paired.gained,
        paired.lost,
        p,
        margin,
        _unit(measure),
        event,
        describe(event),
    )


def _unit(measure: Compared) -> Unit:
    return "points" if measure.paired.binary else ""


def _by_name(evaluation: Evaluation) -> dict[str, Measure]:
    measures = {measure.name: measure for measure in evaluation.measures}
    if len(measures) < len(evaluation.measures):
        raise ComparisonError(f"{evaluation.version} has two measures of one name. Rename one of them.")
    return measures


def _pair(new: Measure, old: Measure, candidate: str, released: str) -> Compared:
    if (new.kind, new.higher_is_better) != (old.kind, old.higher_is_better):
        raise ComparisonError(
            f"{new.name} does not mean the same in {candidate} and {released}. Evaluate both versions again."
        )
    if not new.values and not old.values:
        raise ComparisonError(f"{new.name} holds no answer at all. Evaluate on a suite that has prompts.")
    if new.values.keys() != old.values.keys():
        raise ComparisonError(
            f"{new.name}: {candidate} and {released} answered different prompts "
            f"({len(new.values.keys() - old.values.keys())} only the first, "
            f"{len(old.values.keys() - new.values.keys())} only the second). Evaluate both on the same suite."
        )
    values = np.array([(new.values[prompt], old.values[prompt]) for prompt in new.values], dtype=np.float64)
    if not np.isfinite(values).all():
        raise ComparisonError(
            f"{new.name} holds a value that is no finite number. Evaluate both versions again."
        )
    differences = (values[:, 0] - values[:, 1]) * (1 if new.higher_is_better else -1)
    binary = bool(np.isin(values, (0.0, 1.0)).all())
    return Compared(new.name, new.kind, Paired(differences, binary), new.probes)

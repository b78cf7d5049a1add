"""What two versions and their answers are measured by: each a pair of measures, prompt by prompt."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from alignment.evaluation.answering import EvaluatedAnswer
from alignment.evaluation.evaluation_set import EvaluationSet, FixedText, VersionAnswers
from alignment.evaluation.gate import Kind, Measure
from alignment.evaluation.retention import (
    divergences,
    is_empty,
    is_much_longer,
    is_repeated,
    is_wrong_language,
    surprises,
)
from assistant.serving import prompt
from assistant.serving.loading import Loaded

MeasurePair = tuple[Measure, Measure]
"""One measure of the candidate and of the released version."""

FIXED_MARGINS = {"surprise at fixed texts": 0.05, "KL on fixed texts": 0.1, "surprise at liked replies": 0.1}
"""Nats a token. The first is 5 % of the perplexity."""
GENERAL_MARGINS = {
    "surprise at general texts": 0.03,
    "KL on general texts": 0.1,
    "surprise at liked replies": 0.1,
    "ends": 0.1,
    "is not empty": 0.05,
    "does not repeat itself": 0.1,
    "keeps the language": 0.1,
    "is not much longer": 0.1,
}
"""Of a model that is asked people's prompts and general questions alone: with so few prompts, answers that vary a
little could not be shown to be within five points."""


def tasks(new: VersionAnswers, old: VersionAnswers, inputs: EvaluationSet) -> list[MeasurePair]:
    """Right answers, and units, of the kinds that decide, and right answers of the others as a guard.

    By thinking mode, where the model has both. The starter's suite decides with thinking on alone.
    """
    both = bool(new.thinking)
    measures = []
    for mode, ours, theirs in (
        ("thinking", new.thinking, old.thinking),
        ("no thinking", new.direct, old.direct),
    ):
        right: dict[Kind, dict[str, tuple[float, float]]] = {"primary": {}, "guard": {}}
        units: dict[str, tuple[float, float]] = {}
        decides = mode == "thinking" or not inputs.of_starter
        for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            kind: Kind = "primary" if mine.task.kind in inputs.primary and decides else "guard"
            right[kind][f"{number}"] = float(mine.correct), float(other.correct)
            if mine.has_unit is not None and kind == "primary":
                units[f"{number}"] = float(mine.has_unit), float(bool(other.has_unit))
        suffix = f", {mode}" if both else ""
        if right["primary"]:
            measures.append(measure_pair(f"right{suffix}", "primary", right["primary"]))
        if units:
            measures.append(measure_pair(f"names the unit{suffix}", "primary", units))
        if right["guard"]:
            name = "right, other kinds" if right["primary"] else "right"
            measures.append(measure_pair(f"{name}{suffix}", "guard", right["guard"]))
    return measures


def hygiene(new: VersionAnswers, old: VersionAnswers) -> list[MeasurePair]:
    """Shares of clean answers, so that higher is better."""
    checks: dict[str, Callable[[EvaluatedAnswer], bool]] = {
        "ends": lambda answer: answer.ended,
        "is not empty": lambda answer: not is_empty(answer.answer),
        "does not repeat itself": lambda answer: not is_repeated(f"{answer.thought}\n{answer.answer}"),
        "keeps the language": lambda answer: not is_wrong_language(answer.task.question, answer.answer),
    }
    both = list(zip(new.all, old.all, strict=True))
    measures = [
        measure_pair(
            name, "guard", _numbered((float(clean(mine)), float(clean(other))) for mine, other in both)
        )
        for name, clean in checks.items()
    ]
    longer = _numbered((float(not is_much_longer(_text(mine), _text(other))), 1.0) for mine, other in both)
    return [*measures, measure_pair("is not much longer", "guard", longer)]


def wins(advantages: Sequence[float]) -> MeasurePair:
    """1 for the version whose answer the judge prefers; both 0 where it prefers neither."""
    return measure_pair(
        "wins by the reward model",
        "primary",
        _numbered((float(value > 0), float(value < 0)) for value in advantages),
    )


def held_out_votes(agrees: Sequence[bool]) -> MeasurePair:
    """1 for the candidate where it moved towards what people preferred, for the released version where it moved away.

    The implicit reward is of the candidate with the released version as reference, and of the released version with
    the candidate as reference it is the same number with the other sign.
    """
    return measure_pair(
        "held-out votes", "primary", _numbered((float(agree), float(not agree)) for agree in agrees)
    )


def retention(new: Loaded, old: Loaded, texts: Sequence[FixedText], of_starter: bool) -> list[MeasurePair]:
    """How surprised each version is at fixed texts, and how far the candidate has moved from the released version."""
    tokenizer, window = new.tokenizer, min(new.window, old.window)
    tokenized = [
        (
            prompt.render(tokenizer, list(text.messages), text.think),
            prompt.completion(tokenizer, text.thought, text.answer, text.think),
        )
        for text in texts
    ]
    rows = [row for row in tokenized if sum(map(len, row)) <= window]
    surprised = zip(surprises(new.model, rows), surprises(old.model, rows), strict=True)
    moved = ((kl, 0.0) for kl in divergences(new.model, old.model, rows))
    which = "fixed" if of_starter else "general"
    return [
        measure_pair(f"surprise at {which} texts", "guard", _numbered(surprised), higher=False),
        measure_pair(f"KL on {which} texts", "guard", _numbered(moved), higher=False),
    ]


def measure_pair(
    name: str,
    kind: Kind,
    values: dict[str, tuple[float, float]],
    higher: bool = True,
    probes: bool = False,
) -> MeasurePair:
    """A measure of both versions; `values` by prompt, the candidate's first. `probes`: see `Measure`."""
    new = Measure(name, kind, {key: value[0] for key, value in values.items()}, higher, probes)
    return new, replace(new, values={key: value[1] for key, value in values.items()})


def _numbered(values: Iterable[tuple[float, float]]) -> dict[str, tuple[float, float]]:
    return {f"{number}": value for number, value in enumerate(values)}


def _text(answer: EvaluatedAnswer) -> str:
    return answer.thought + answer.answer

"""Two versions measured on the same held-out prompts: what the gate takes, and what people read.

    python -m alignment evaluate v2 --against v1 --home DIR

Measures, prompt by prompt and so in pairs: right answers and units on verifiable tasks with thinking on and off, wins
by a reward model, hygiene of every answer, perplexity and KL on fixed texts. Beside them, not for the gate: how often
the candidate's implicit reward (Rafailov et al. 2023, eq. 5, the released version as reference) judges held-out
ratings as people did. A reward model's own accuracy stands in its manifest.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from alignment.errors import ComparisonError
from alignment.evaluation.answering import EvaluatedAnswer
from alignment.evaluation.askable import note_of, without_unaskable
from alignment.evaluation.evaluation_set import (
    EvaluationSet,
    VersionAnswers,
    cached_answers,
)
from alignment.evaluation.gate import Evaluation, Kind, Measure
from alignment.evaluation.held_out_judgements import implicit_accuracy
from alignment.evaluation.release_policy import EvaluatePolicy, GatePolicy
from alignment.evaluation.retention import (
    Row,
    divergences,
    is_empty,
    is_much_longer,
    is_repeated,
    is_wrong_language,
    surprises,
)
from alignment.evaluation.shares import Cell, cells
from alignment.scoring import reward_model
from alignment.suites.starter_suite import STARTER_FIXED_TEXTS
from alignment.suites.task_file import read_lines
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.registry.versions import Version
from assistant.serving import prompt
from assistant.serving.loading import Loaded, load_for_serving
from feedback_store.stats.intervals import wilson

MARGINS = {"surprise at fixed texts": 0.05, "KL on fixed texts": 0.1, "surprise at liked replies": 0.1}
"""Nats a token. The first is 5 % of the perplexity."""


@dataclass(frozen=True)
class ShownShare:
    """A share that is shown and decides nothing, with its 95 % Wilson interval."""

    name: str
    count: int
    of: int
    low: float
    high: float
    version: str = ""
    """The reward model that judged, where the share is of its judgements."""


@dataclass(frozen=True)
class RewardShift:
    """What one reward model gave both versions' answers to the same held-out prompts of people, in their order."""

    judge: str
    candidate: list[float]
    released: list[float]


@dataclass(frozen=True)
class VersionComparison:
    """Two versions on the same measures."""

    candidate: Evaluation
    released: Evaluation
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    """By version id, for people."""
    shown: Sequence[ShownShare] = ()
    rewards: RewardShift | None = None
    """None without a judge or without prompts."""
    notes: Sequence[Event] = ()
    """What was not asked and not read, and why."""


Scores = Callable[[list[list[int]]], list[float]]
MeasurePair = tuple[Measure, Measure]
"""One measure of the candidate and of the released version."""


def compare(
    candidate: Version,
    released: Version,
    home: Path,
    inputs: EvaluationSet,
    policy: EvaluatePolicy,
    *,
    judge: Version | None = None,
    judge_decides: bool = False,
    cache: Path | None = None,
    more: Callable[[Loaded, Loaded], Sequence[MeasurePair]] | None = None,
) -> VersionComparison:
    """Measure both versions. Raises ComparisonError where the evaluation set has no task that both can be asked.

    `judge`: a reward model that scores answers to people's prompts; its wins count as a primary measure if
    `judge_decides`, which is honest where the candidate learned from no row that the judge has seen. `cache`: a folder
    for answers, so that each version answers only once. `more`: gives more measures of the candidate's and the released
    version's models.
    """
    if not inputs.tasks:
        raise ComparisonError(
            "The suite holds no task: nothing can be compared. Name another under evaluate, suite."
        )
    versions = (candidate, released)
    loaded = [load_for_serving(version, home) for version in versions]
    inputs, notes = _usable(inputs, loaded, policy.max_new_tokens)
    if not inputs.tasks:
        raise ComparisonError(f"No task of the suite can be asked: {describe(notes[0])}")
    new, old = (
        cached_answers(cache, model, version.id, inputs, policy.max_new_tokens)
        for model, version in zip(loaded, versions, strict=True)
    )
    measures = [*_tasks(new, old, policy.primary), *_hygiene(new, old)]
    shown, rewards = [], None
    if judge is not None and inputs.people:
        score = reward_model.load(judge, home)
        rewards = _rewards(judge.id, new, old, score)
        wins = _wins(rewards)
        if judge_decides:
            measures.append(wins)
        else:
            share = _shown(f"wins by the reward model {judge.id}", wins[0].values.values())
            shown.append(replace(share, version=judge.id))
    if inputs.retention:
        measures += _retention(loaded[0], loaded[1], inputs.retention)
    if more is not None:
        measures += more(*loaded)
    if inputs.judgements:
        agrees = implicit_accuracy(loaded[0].model, loaded[1].model, inputs.judgements)
        shown.append(_shown("held-out votes judged as people did (implicit reward)", agrees))
    return VersionComparison(
        Evaluation(candidate.id, [first for first, _ in measures]),
        Evaluation(released.id, [second for _, second in measures]),
        {answers.version: cells([*answers.thinking, *answers.direct]) for answers in (new, old)},
        shown,
        rewards,
        notes,
    )


def _usable(
    inputs: EvaluationSet, models: Sequence[Loaded], max_new_tokens: int
) -> tuple[EvaluationSet, list[Event]]:
    """What both models can be asked and can read, and what was left out."""
    asked, left_out = without_unaskable(inputs, models, max_new_tokens)
    window = min(loaded.window for loaded in models)
    fitting = [judgement for judgement in inputs.judgements if judgement.longest <= window]
    notes = []
    if left_out:
        notes.append(note_of(left_out, len(inputs.tasks) + len(inputs.people)))
    if unread := len(inputs.judgements) - len(fitting):
        notes.append(Event.of("held_out_votes_too_long", count=unread, of=len(inputs.judgements)))
    return replace(asked, judgements=fitting), notes


def with_margins(policy: GatePolicy) -> GatePolicy:
    """The policy with a margin for each guard of real values that it does not name itself."""
    return replace(policy, margins={**MARGINS, **policy.margins})


def fixed_texts(tokenizer: Any, count: int) -> list[Row]:
    """The starter's first `count` fixed texts as token ids. Raises ComparisonError where there are fewer."""
    texts = [json.loads(line) for line in islice(read_lines(STARTER_FIXED_TEXTS), count)]
    if len(texts) < count:
        raise ComparisonError(
            f"evaluate.retention asks for {count} fixed texts, and there are {len(texts)}. Ask for at most that many."
        )
    return [
        (
            prompt.render(tokenizer, text["messages"], text["think"]),
            prompt.completion(tokenizer, text["thought"], text["answer"], text["think"]),
        )
        for text in texts
    ]


def measure_pair(
    name: str, kind: Kind, values: dict[str, tuple[float, float]], higher: bool = True
) -> MeasurePair:
    """One measure of both versions, from the candidate's and the released version's value by prompt."""
    new = Measure(name, kind, {key: value[0] for key, value in values.items()}, higher)
    return new, replace(new, values={key: value[1] for key, value in values.items()})


def _tasks(new: VersionAnswers, old: VersionAnswers, primary: Sequence[str]) -> list[MeasurePair]:
    measures = []
    for mode, ours, theirs in (
        ("thinking", new.thinking, old.thinking),
        ("no thinking", new.direct, old.direct),
    ):
        right: dict[Kind, dict[str, tuple[float, float]]] = {"primary": {}, "guard": {}}
        units: dict[str, tuple[float, float]] = {}
        for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            kind: Kind = "primary" if mine.task.kind in primary and mode == "thinking" else "guard"
            right[kind][f"{number}"] = float(mine.correct), float(other.correct)
            if mine.has_unit is not None and kind == "primary":
                units[f"{number}"] = float(mine.has_unit), float(bool(other.has_unit))
        if right["primary"]:
            measures.append(measure_pair(f"right, {mode}", "primary", right["primary"]))
        if units:
            measures.append(measure_pair(f"names the unit, {mode}", "primary", units))
        if right["guard"]:
            name = "right, other kinds" if mode == "thinking" and right["primary"] else "right"
            measures.append(measure_pair(f"{name}, {mode}", "guard", right["guard"]))
    return measures


def _hygiene(new: VersionAnswers, old: VersionAnswers) -> list[MeasurePair]:
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
            name,
            "guard",
            {f"{n}": (float(clean(mine)), float(clean(other))) for n, (mine, other) in enumerate(both)},
        )
        for name, clean in checks.items()
    ]
    longer = {
        f"{n}": (float(not is_much_longer(_text(mine), _text(other))), 1.0)
        for n, (mine, other) in enumerate(both)
    }
    return [*measures, measure_pair("is not much longer", "guard", longer)]


def _text(answer: EvaluatedAnswer) -> str:
    return answer.thought + answer.answer


def _rewards(judge: str, new: VersionAnswers, old: VersionAnswers, score: Scores) -> RewardShift:
    """Score exactly the tokens that were drawn: a text rendered again could have an END or a thought that they lack."""

    def ids(answers: VersionAnswers) -> list[list[int]]:
        return [[*answer.prompt_ids, *answer.completion_ids] for answer in answers.people]

    return RewardShift(judge, score(ids(new)), score(ids(old)))


def _wins(rewards: RewardShift) -> MeasurePair:
    """1 for the version whose answer scores higher; both 0 where they score alike."""
    scores = zip(rewards.candidate, rewards.released, strict=True)
    return measure_pair(
        "wins by the reward model",
        "primary",
        {f"{n}": (float(mine > other), float(other > mine)) for n, (mine, other) in enumerate(scores)},
    )


def _retention(new: Loaded, old: Loaded, count: int) -> list[MeasurePair]:
    rows = [
        row for row in fixed_texts(new.tokenizer, count) if sum(map(len, row)) <= min(new.window, old.window)
    ]
    surprised = zip(surprises(new.model, rows), surprises(old.model, rows), strict=True)
    kl = divergences(new.model, old.model, rows)
    return [
        measure_pair(
            "surprise at fixed texts",
            "guard",
            {f"{n}": values for n, values in enumerate(surprised)},
            higher=False,
        ),
        measure_pair(
            "KL on fixed texts", "guard", {f"{n}": (value, 0.0) for n, value in enumerate(kl)}, higher=False
        ),
    ]


def _shown(name: str, values: Iterable[float | bool]) -> ShownShare:
    agrees = [bool(value) for value in values]
    share = wilson(sum(agrees), len(agrees))
    return ShownShare(name, share.count, share.of, share.low, share.high)

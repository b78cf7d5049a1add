"""Two versions on the same held-out prompts: what the gate takes, and what people read.

    python -m alignment evaluate v2 --against v1 --home DIR

Measures, prompt by prompt and so in pairs: right answers and units on verifiable tasks with thinking on and off, wins
by a reward model, hygiene of every answer, perplexity and KL on texts that never change. Beside them, not for the
gate: how often the candidate's implicit reward (Rafailov et al. 2023, eq. 5, the released version as reference)
judges held-out votes as people did. A reward model's own accuracy stands in its manifest.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from scipy.stats import binomtest

from alignment.errors import ComparisonError
from alignment.evaluation import evaluate
from alignment.evaluation.answers import Asked, Judgement, Questions, Said, answers
from alignment.evaluation.evaluate import KINDS, Answered, Cell
from alignment.evaluation.gate import Evaluation, Kind, Measure
from alignment.evaluation.release_policy import EvaluatePolicy, GatePolicy
from alignment.evaluation.retention import (
    Row,
    divergences,
    is_empty,
    is_much_longer,
    is_repeated,
    is_wrong_language,
    log_likelihoods,
    surprises,
)
from alignment.scoring import reward_model
from alignment.starter.corpus import rows as demonstrations
from alignment.starter.corpus import task
from alignment.starter.task import Language, Split, Task
from assistant.registry.versions import Version
from assistant.serving import prompt
from assistant.serving.loading import Loaded, load_for_serving

MARGINS = {"surprise at fixed texts": 0.05, "KL on fixed texts": 0.1}
"""Nats a token. The first is 5 % of the perplexity."""
_KEPT = tuple(kind for kind in KINDS if not kind.startswith("word_") and kind != "follow_up")


@dataclass(frozen=True)
class Figure:
    """A share that is shown and decides nothing, with its 95 % Wilson interval."""

    name: str
    count: int
    of: int
    low: float
    high: float


@dataclass(frozen=True)
class Rewards:
    """What one reward model gave to both versions' answers to the same held-out prompts of people, in their order."""

    judge: str
    candidate: list[float]
    released: list[float]


@dataclass(frozen=True)
class Comparison:
    """Two versions, measured alike."""

    candidate: Evaluation
    released: Evaluation
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    """By version, for people."""
    figures: Sequence[Figure] = ()
    rewards: Rewards | None = None
    """None without a judge or without prompts."""


Scores = Callable[[list[list[int]]], list[float]]


def compare(
    candidate: Version,
    released: Version,
    home: Path,
    asked: Questions,
    policy: EvaluatePolicy,
    *,
    judge: Version | None = None,
    judge_decides: bool = False,
    cache: Path | None = None,
) -> Comparison:
    """Measure both. Raises ComparisonError where nothing was asked.

    `judge`: a reward model that scores answers to people's prompts; its wins count as a primary measure if
    `judge_decides`, which is honest where the candidate learned from no row that the judge has seen. `cache`: a folder
    for answers, so that a version is asked once.
    """
    if not asked.tasks:
        raise ComparisonError(
            "The suite holds no task: nothing can be compared. Name another under evaluate, suite."
        )
    versions = (candidate, released)
    loaded = [load_for_serving(version, home) for version in versions]
    new, old = (
        answers(cache, one, version.id, asked, policy.max_new_tokens)
        for one, version in zip(loaded, versions, strict=True)
    )
    measures = [*_tasks(new, old, policy.primary), *_hygiene(new, old)]
    figures, rewards = [], None
    if judge is not None and asked.people:
        score = reward_model.load(judge, home)
        rewards = _rewards(judge.id, new, old, asked.people, loaded[0].tokenizer, score)
        wins = _wins(rewards)
        if judge_decides:
            measures.append(wins)
        else:
            figures.append(_figure(f"wins by the reward model {judge.id}", wins[0].values.values()))
    if asked.retention:
        measures += _retention(loaded[0], loaded[1], asked.retention)
    if asked.judgements:
        right = implicit_accuracy(loaded[0].model, loaded[1].model, asked.judgements)
        figures.append(_figure("held-out votes judged as people did (implicit reward)", right))
    return Comparison(
        Evaluation(candidate.id, [first for first, _ in measures]),
        Evaluation(released.id, [second for _, second in measures]),
        {said.version: evaluate.cells([*said.thinking, *said.direct]) for said in (new, old)},
        figures,
        rewards,
    )


Pair = tuple[Measure, Measure]


def _pair(name: str, kind: Kind, values: dict[str, tuple[float, float]], higher: bool = True) -> Pair:
    new = Measure(name, kind, {key: value[0] for key, value in values.items()}, higher)
    return new, replace(new, values={key: value[1] for key, value in values.items()})


def _tasks(new: Said, old: Said, primary: Sequence[str]) -> list[Pair]:
    found = []
    for mode, ours, theirs in (
        ("thinking", new.thinking, old.thinking),
        ("no thinking", new.direct, old.direct),
    ):
        right: dict[Kind, dict[str, tuple[float, float]]] = {"primary": {}, "guard": {}}
        units: dict[str, tuple[float, float]] = {}
        for number, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            kind: Kind = "primary" if mine.task.kind in primary and mode == "thinking" else "guard"
            right[kind][f"{number}"] = float(mine.correct), float(other.correct)
            if mine.has_unit is not None and mine.task.kind in primary and mode == "thinking":
                units[f"{number}"] = float(mine.has_unit), float(bool(other.has_unit))
        if right["primary"]:
            found.append(_pair(f"right, {mode}", "primary", right["primary"]))
        if units:
            found.append(_pair(f"names the unit, {mode}", "primary", units))
        if right["guard"]:
            what = "right, other kinds" if mode == "thinking" and right["primary"] else "right"
            found.append(_pair(f"{what}, {mode}", "guard", right["guard"]))
    return found


def _hygiene(new: Said, old: Said) -> list[Pair]:
    """Shares of clean answers, so that higher is better."""
    checks: dict[str, Callable[[Answered], bool]] = {
        "ends": lambda one: one.ended,
        "is not empty": lambda one: not is_empty(one.answer),
        "does not repeat itself": lambda one: not is_repeated(f"{one.thought}\n{one.answer}"),
        "keeps the language": lambda one: not is_wrong_language(one.task.question, one.answer),
    }
    both = list(zip(new.all, old.all, strict=True))
    found = [
        _pair(
            name,
            "guard",
            {f"{n}": (float(ok(mine)), float(ok(other))) for n, (mine, other) in enumerate(both)},
        )
        for name, ok in checks.items()
    ]
    longer = {
        f"{n}": (float(not is_much_longer(_text(mine), _text(other))), 1.0)
        for n, (mine, other) in enumerate(both)
    }
    return [*found, _pair("is not much longer", "guard", longer)]


def _text(one: Answered) -> str:
    return one.thought + one.answer


def _rewards(
    judge: str, new: Said, old: Said, asked: Sequence[Asked], tokenizer: Any, score: Scores
) -> Rewards:
    def ids(said: Said) -> list[list[int]]:
        return [
            [
                *prompt.render(tokenizer, one.messages, one.think),
                *prompt.completion(tokenizer, answer.thought, answer.answer, one.think),
            ]
            for one, answer in zip(asked, said.people, strict=True)
        ]

    return Rewards(judge, score(ids(new)), score(ids(old)))


def _wins(rewards: Rewards) -> Pair:
    """1 for the version whose answer scores higher; both 0 where they score alike."""
    scores = zip(rewards.candidate, rewards.released, strict=True)
    return _pair(
        "wins by the reward model",
        "primary",
        {f"{n}": (float(mine > other), float(other > mine)) for n, (mine, other) in enumerate(scores)},
    )


def fixed_texts(tokenizer: Any, count: int) -> list[Row]:
    """Demonstrations that no seed changes, from the side that training never saw, thinking on and off.

    Word problems are left out: whether they name their unit is what feedback is there to change.
    """
    found = demonstrations(0, split="test", ask=_kept)
    return [
        (
            prompt.render(tokenizer, row["messages"], row["think"]),
            prompt.completion(tokenizer, row["thought"], row["answer"], row["think"]),
        )
        for row, _ in zip(found, range(count), strict=False)
    ]


def _kept(rng: random.Random, language: Language, split: Split) -> Task:
    return task(rng, language, rng.choice(_KEPT), split)


def _retention(new: Loaded, old: Loaded, count: int) -> list[Pair]:
    rows = [
        row for row in fixed_texts(new.tokenizer, count) if sum(map(len, row)) <= min(new.window, old.window)
    ]
    surprised = zip(surprises(new.model, rows), surprises(old.model, rows), strict=True)
    apart = divergences(new.model, old.model, rows)
    named = dict(enumerate(surprised))
    return [
        _pair("surprise at fixed texts", "guard", {f"{n}": both for n, both in named.items()}, higher=False),
        _pair("KL on fixed texts", "guard", {f"{n}": (kl, 0.0) for n, kl in enumerate(apart)}, higher=False),
    ]


def implicit_accuracy(model: Any, reference: Any, judged: Sequence[Judgement]) -> list[bool]:
    """Whether the log-ratio to the reference agrees with each judgement.

    Of a pair the chosen reply's must be the larger; a thumb's is measured against the median of all thumbs.
    """

    def ratios(rows: list[Row]) -> list[float]:
        new, old = log_likelihoods(model, rows), log_likelihoods(reference, rows)
        return [mine - other for mine, other in zip(new, old, strict=True)]

    firsts = ratios([(one.prompt_ids, one.first) for one in judged])
    rivals = iter(ratios([(one.prompt_ids, one.second) for one in judged if one.second is not None]))
    thumbs = [ratio for ratio, one in zip(firsts, judged, strict=True) if one.second is None]
    middle = median(thumbs) if thumbs else 0.0
    return [
        first > next(rivals) if one.second is not None else (first > middle) is one.liked
        for first, one in zip(firsts, judged, strict=True)
    ]


def _figure(name: str, right: Any) -> Figure:
    values = [bool(value) for value in right]
    interval = binomtest(sum(values), len(values)).proportion_ci(method="wilson")
    return Figure(name, sum(values), len(values), float(interval.low), float(interval.high))


def with_judgements(asked: Questions, judged: Sequence[Judgement]) -> Questions:
    """The questions, and held-out votes to judge besides."""
    return replace(asked, judgements=judged)


def with_margins(policy: GatePolicy) -> GatePolicy:
    """The policy with a margin for each guard of real values that it does not name itself."""
    return replace(policy, margins={**MARGINS, **policy.margins})

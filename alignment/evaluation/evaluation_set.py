"""The tasks and prompts that two versions are compared on, and each version's answers to them, which are cached.

Everything is held out from training: tasks by the hash of their operands and phrasings, people's prompts by the hash
of their text.
"""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from alignment.data.splits import is_held_out
from alignment.errors import DataError, PolicyError
from alignment.evaluation.answering import EvaluatedAnswer, answer, with_scores
from alignment.evaluation.held_out_judgements import HeldOutJudgement
from alignment.evaluation.release_policy import EvaluatePolicy
from alignment.scoring import reward_model
from alignment.suites.general_texts import general_texts
from alignment.suites.starter_suite import STARTER_FIXED_TEXTS, select_tasks, starter_kinds
from alignment.suites.task_file import Task, read_lines, read_tasks
from assistant.bases.base import STARTER, Base
from assistant.bases.card_lookup import card_of
from assistant.registry.versions import Versions
from assistant.serving import prompt
from assistant.serving.loading import Loaded
from feedback_store.atomic_files import write_atomically

STARTER_PRIMARY = ("word_two_step", "word_three_step", "multiplication_hard")
"""Kinds of the starter's tasks that may show that a candidate is better."""


@dataclass(frozen=True)
class EvaluationPrompt:
    """A person's prompt, held out from training."""

    messages: list[dict[str, str]]
    think: bool
    id: str = ""
    """The message's id in the store; empty for a prompt of a file."""


@dataclass(frozen=True)
class FixedText:
    """A conversation with a good answer, whose likelihood must not fall."""

    messages: Sequence[dict[str, str]]
    think: bool
    thought: str
    answer: str


@dataclass(frozen=True)
class EvaluationSet:
    """Everything that both versions are measured on."""

    tasks: Sequence[Task]
    people: Sequence[EvaluationPrompt] = ()
    """Held-out prompts of people, and general questions where those are few."""
    judgements: Sequence[HeldOutJudgement] = ()
    fixed: Sequence[FixedText] = ()
    primary: Sequence[str] = ()
    """Kinds of task that may show that a candidate is better."""
    score: Callable[[str, list[list[int]]], list[float]] | None = None
    """What a version that is a reward model scores token ids of prompt and answer, for tasks that name one."""
    max_new_tokens: int = 400
    """Longest answer."""
    of_starter: bool = False
    """The tasks are the starter's: they decide with thinking on, and neither judges nor held-out votes do."""


@dataclass(frozen=True)
class VersionAnswers:
    """All answers of one version, in the order of the evaluation set."""

    version: str
    thinking: list[EvaluatedAnswer]
    """To the tasks, thinking on."""
    direct: list[EvaluatedAnswer]
    """To the tasks, thinking off."""
    people: list[EvaluatedAnswer]

    @property
    def all(self) -> list[EvaluatedAnswer]:
        return [*self.thinking, *self.direct, *self.people]


def is_of_starter(policy: EvaluatePolicy, base: Base) -> bool:
    """Whether versions on `base` are compared on the starter's suite."""
    return policy.suite == STARTER or (not policy.suite and base.name == STARTER)


def evaluation_set(
    policy: EvaluatePolicy, seed: int, home: Path, base: Base, people: Iterable[Any] = ()
) -> EvaluationSet:
    """Choose what versions on `base` are compared on. Another seed takes other tasks of the starter's suite.

    `people`: rows with messages and think, of which those held out are taken. Raises DataError for a file that is no
    suite, PolicyError where no task could show that a version is better.
    """
    prompts = [
        EvaluationPrompt(list(row.messages), row.think, getattr(row, "message_id", ""))
        for row in people
        if is_held_out(row.messages)
    ]
    if len(prompts) > policy.prompts:
        prompts = random.Random(f"people {seed}").sample(prompts, policy.prompts)
    if is_of_starter(policy, base):
        primary = STARTER_PRIMARY if policy.primary is None else policy.primary
        tasks = _starter_tasks(policy, primary, seed)
        fixed = _starter_texts(policy.retention)
        longest = policy.max_new_tokens or 400
        return EvaluationSet(
            tasks, prompts, fixed=fixed, primary=primary, max_new_tokens=longest, of_starter=True
        )
    tasks = _own_tasks(policy, home)
    languages = card_of(base.name, home).languages
    general = general_texts(languages, max(policy.general, policy.retention))
    wanted = max(0, policy.general - len(prompts))
    prompts += [
        EvaluationPrompt(text.messages, False, f"general {text.language} {number}")
        for number, text in enumerate(general[:wanted], 1)
    ]
    return EvaluationSet(
        tasks,
        prompts,
        fixed=[FixedText(text.messages, False, "", text.answer) for text in general[: policy.retention]],
        primary=sorted({task.kind for task in tasks}) if policy.primary is None else policy.primary,
        score=partial(score_with, home),
        max_new_tokens=policy.max_new_tokens or 200,
    )


def score_with(home: Path, version: str, ids: list[list[int]]) -> list[float]:
    """The scores that a reward model of the home gives. Raises DataError if the version is none."""
    return reward_model.load(Versions(home).open(version), home)(ids)


def _own_tasks(policy: EvaluatePolicy, home: Path) -> list[Task]:
    """The tasks of the policy's own suite; none without one."""
    if not policy.suite:
        if policy.primary is not None:
            raise PolicyError(
                "evaluate.primary names kinds of task, and there is no suite to take them from. Name its file under "
                "evaluate.suite, or `starter` for the starter's."
            )
        return []
    path = Path(policy.suite)
    tasks = read_tasks(path if path.is_absolute() else home / path)
    kinds = sorted({task.kind for task in tasks})
    if policy.primary is not None and not set(policy.primary) & set(kinds):
        raise PolicyError(
            f"evaluate.primary names no kind of the suite's tasks, so nothing could show that a version is better. "
            f"They are: {', '.join(kinds)}."
        )
    return tasks


def _starter_tasks(policy: EvaluatePolicy, primary: Sequence[str], seed: int) -> list[Task]:
    kinds = starter_kinds()
    if unknown := [kind for kind in primary if kind not in kinds]:
        raise PolicyError(
            f"evaluate.primary names {', '.join(unknown)}; the starter's suite has: {', '.join(kinds)}."
        )
    if not primary:
        raise PolicyError("evaluate.primary names no kind, so nothing could show that a version is better.")
    try:
        return [
            *select_tasks([kind for kind in kinds if kind in primary], policy.each, seed),
            *select_tasks([kind for kind in kinds if kind not in primary], policy.guarded, seed),
        ]
    except DataError as error:
        raise PolicyError(f"evaluate.each or evaluate.guarded: {error}") from error


def _starter_texts(count: int) -> list[FixedText]:
    texts = [json.loads(line) for line in islice(read_lines(STARTER_FIXED_TEXTS), count)]
    if len(texts) < count:
        raise PolicyError(
            f"evaluate.retention asks for {count} fixed texts, and the starter has {len(texts)}. Ask for at most that "
            "many."
        )
    return [FixedText(text["messages"], text["think"], text["thought"], text["answer"]) for text in texts]


def cached_answers(cache: Path | None, loaded: Loaded, version: str, inputs: EvaluationSet) -> VersionAnswers:
    """Answers from the folder `cache`, if they are to the same evaluation set; else generated, and kept there."""
    if cache is None:
        return _generate(loaded, version, inputs)
    path = cache / f"answers-{version}.json"
    modes = thinking_modes(loaded.tokenizer)
    key = json.loads(
        json.dumps(
            [list(map(asdict, inputs.tasks)), list(map(asdict, inputs.people)), modes, inputs.max_new_tokens]
        )
    )
    groups = ("thinking", "direct", "people")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["asked"] == key:
            return VersionAnswers(version, *([_from_json(row) for row in raw[name]] for name in groups))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # There is no cache yet, or it is incomplete.
    answers = _generate(loaded, version, inputs)
    content = {"asked": key, **{name: [asdict(row) for row in getattr(answers, name)] for name in groups}}
    write_atomically(path, json.dumps(content, ensure_ascii=False) + "\n")
    return answers


def thinking_modes(tokenizer: Any) -> list[bool]:
    """How tasks are asked: with thinking on and off, or only off where the model has no switch for it.

    A model that thinks because an instruction says so, if at all, is served without it.
    """
    return [True, False] if prompt.has_thinking_switch(tokenizer) else [False]


def _generate(loaded: Loaded, version: str, inputs: EvaluationSet) -> VersionAnswers:
    """Let one version answer everything, greedily."""

    def answered(tasks: Sequence[Task], think: bool) -> list[EvaluatedAnswer]:
        if not tasks:
            return []
        answers = answer(loaded, tasks, think, inputs.max_new_tokens)
        return answers if inputs.score is None else with_scores(answers, inputs.score)

    # Nothing is known of a right answer to a person's prompt: a task without checks stands for each.
    unchecked = [(asked.think, Task("", "", tuple(asked.messages), "", {})) for asked in inputs.people]
    by_mode = {
        think: iter(answered([task for mode, task in unchecked if mode is think], think))
        for think in (True, False)
    }
    modes = thinking_modes(loaded.tokenizer)
    return VersionAnswers(
        version,
        answered(inputs.tasks, True) if True in modes else [],
        answered(inputs.tasks, False),
        [next(by_mode[think]) for think, _ in unchecked],
    )


def _from_json(raw: dict[str, Any]) -> EvaluatedAnswer:
    task = Task(**{**raw["task"], "messages": tuple(raw["task"]["messages"])})
    # Answers that an earlier release kept lack the token ids: then this is a KeyError, and they are generated again.
    ids = {name: raw[name] for name in ("prompt_ids", "completion_ids")}
    return EvaluatedAnswer(**{**raw, **ids, "task": task})

"""The tasks and prompts that two versions are compared on, and each version's answers to them, which are cached.

Everything is held out from training: tasks by the hash of their operands and phrasings, people's prompts by the hash
of their text.
"""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alignment.data.splits import is_held_out
from alignment.errors import DataError, PolicyError
from alignment.evaluation.answering import EvaluatedAnswer, answer
from alignment.evaluation.held_out_judgements import HeldOutJudgement
from alignment.evaluation.release_policy import EvaluatePolicy
from alignment.suites.starter_suite import select_tasks, starter_kinds
from alignment.suites.task_file import Task, read_tasks
from assistant.registry.versions import write_atomically
from assistant.serving.loading import Loaded


@dataclass(frozen=True)
class EvaluationPrompt:
    """A person's prompt, held out from training."""

    messages: list[dict[str, str]]
    think: bool
    id: str = ""
    """The message's id in the store; empty for a prompt of a file."""


@dataclass(frozen=True)
class EvaluationSet:
    """Everything that both versions are measured on."""

    tasks: Sequence[Task]
    people: Sequence[EvaluationPrompt] = ()
    judgements: Sequence[HeldOutJudgement] = ()
    retention: int = 0
    """Number of fixed texts."""


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


def evaluation_set(
    policy: EvaluatePolicy, seed: int, home: Path, people: Iterable[Any] = ()
) -> EvaluationSet:
    """Choose tasks and prompts by the policy. Another seed takes other tasks of the starter's suite.

    `people`: rows with messages and think, of which those held out are taken. Raises DataError for a file that is no
    suite, PolicyError where no task could show that a version is better.
    """
    if policy.suite:
        path = Path(policy.suite)
        tasks = read_tasks(path if path.is_absolute() else home / path)
    else:
        tasks = _starter_tasks(policy, seed)
    if not any(task.kind in policy.primary for task in tasks):
        raise PolicyError(
            f"evaluate.primary names no kind of the suite's tasks, so nothing could show that a version is better. "
            f"They are: {', '.join(sorted({task.kind for task in tasks}))}."
        )
    prompts = [
        EvaluationPrompt(list(row.messages), row.think, getattr(row, "message_id", ""))
        for row in people
        if is_held_out(row.messages)
    ]
    if len(prompts) > policy.prompts:
        prompts = random.Random(f"people {seed}").sample(prompts, policy.prompts)
    return EvaluationSet(tasks, prompts, retention=policy.retention)


def _starter_tasks(policy: EvaluatePolicy, seed: int) -> list[Task]:
    kinds = starter_kinds()
    if unknown := [kind for kind in policy.primary if kind not in kinds]:
        raise PolicyError(
            f"evaluate.primary names {', '.join(unknown)}; the starter's suite has: {', '.join(kinds)}."
        )
    primary = [kind for kind in kinds if kind in policy.primary]
    others = [kind for kind in kinds if kind not in policy.primary]
    try:
        return [
            *select_tasks(primary, policy.each, seed),
            *select_tasks(others, policy.guarded, seed),
        ]
    except DataError as error:
        raise PolicyError(f"evaluate.each or evaluate.guarded: {error}") from error


def cached_answers(
    cache: Path | None, loaded: Loaded, version: str, inputs: EvaluationSet, max_new_tokens: int
) -> VersionAnswers:
    """Answers from the folder `cache`, if they are to the same evaluation set; else generated, and kept there."""
    if cache is None:
        return _generate(loaded, version, inputs, max_new_tokens)
    path = cache / f"answers-{version}.json"
    key = json.loads(json.dumps([list(map(asdict, inputs.tasks)), list(map(asdict, inputs.people))]))
    groups = ("thinking", "direct", "people")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["asked"] == key:
            return VersionAnswers(version, *([_from_json(row) for row in raw[name]] for name in groups))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # There is no cache yet, or it is incomplete.
    answers = _generate(loaded, version, inputs, max_new_tokens)
    content = {"asked": key, **{name: [asdict(row) for row in getattr(answers, name)] for name in groups}}
    write_atomically(path, json.dumps(content, ensure_ascii=False) + "\n")
    return answers


def _generate(loaded: Loaded, version: str, inputs: EvaluationSet, max_new_tokens: int) -> VersionAnswers:
    """Let one version answer everything, greedily."""

    def answered(tasks: Sequence[Task], think: bool) -> list[EvaluatedAnswer]:
        return answer(loaded, tasks, think, max_new_tokens) if tasks else []

    # Nothing is known of a right answer to a person's prompt: a task without checks stands for each.
    unchecked = [(prompt.think, Task("", "", tuple(prompt.messages), "", {})) for prompt in inputs.people]
    by_mode = {
        think: iter(answered([task for mode, task in unchecked if mode is think], think))
        for think in (True, False)
    }
    return VersionAnswers(
        version,
        answered(inputs.tasks, True),
        answered(inputs.tasks, False),
        [next(by_mode[think]) for think, _ in unchecked],
    )


def _from_json(raw: dict[str, Any]) -> EvaluatedAnswer:
    task = Task(**{**raw["task"], "messages": tuple(raw["task"]["messages"])})
    # Answers that an earlier release kept lack the token ids: then this is a KeyError, and they are generated again.
    ids = {name: raw[name] for name in ("prompt_ids", "completion_ids")}
    return EvaluatedAnswer(**{**raw, **ids, "task": task})

"""What both versions are asked before they are compared, and what they said; a version is asked once.

Everything comes from the held-out side: tasks by the hash of their operands and phrasings, people's prompts by the
hash of their text.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from alignment.data.splits import is_held_out
from alignment.errors import PolicyError
from alignment.evaluation import evaluate
from alignment.evaluation.evaluate import KINDS, Answered
from alignment.evaluation.release_policy import EvaluatePolicy
from alignment.starter.task import Task
from assistant.registry.versions import write_atomically
from assistant.serving.loading import Loaded


@dataclass(frozen=True)
class Asked:
    """A prompt of a person's, held out from training."""

    messages: list[dict[str, str]]
    think: bool


@dataclass(frozen=True)
class Judgement:
    """Held-out: `first` was preferred to `second`, or, without a second, `liked` or not. Token ids."""

    prompt_ids: list[int]
    first: list[int]
    second: list[int] | None = None
    liked: bool = True


@dataclass(frozen=True)
class Questions:
    """Everything that both versions are asked."""

    tasks: Sequence[Task]
    people: Sequence[Asked] = ()
    judgements: Sequence[Judgement] = ()
    retention: int = 0


@dataclass(frozen=True)
class Said:
    """All answers of one version, in the order of the questions."""

    version: str
    thinking: list[Answered]
    direct: list[Answered]
    people: list[Answered]

    @property
    def all(self) -> list[Answered]:
        return [*self.thinking, *self.direct, *self.people]


def questions(policy: EvaluatePolicy, seed: int, home: Path, people: Sequence[Any] = ()) -> Questions:
    """What is asked. Every seed draws other tasks, all from the side that training never saw.

    `people`: rows with messages and think, of which those held out are taken. Raises DataError for a suite that is
    none, PolicyError where no task could show that a version is better.
    """
    if policy.suite:
        path = Path(policy.suite)
        tasks = evaluate.read_suite(path if path.is_absolute() else home / path)
    else:
        if unknown := [kind for kind in policy.primary if kind not in KINDS]:
            raise PolicyError(
                f"evaluate.primary names {', '.join(unknown)}; the embedded suite has: {', '.join(KINDS)}."
            )
        others = [kind for kind in KINDS if kind not in policy.primary]
        tasks = [
            *evaluate.suite([kind for kind in KINDS if kind in policy.primary], policy.each, seed),
            *evaluate.suite(others, policy.guarded, seed),
        ]
    if not any(one.kind in policy.primary for one in tasks):
        raise PolicyError(
            f"evaluate.primary names no kind of the suite's tasks, so nothing could show that a version is better. "
            f"They are: {', '.join(sorted({one.kind for one in tasks}))}."
        )
    asked = [Asked(list(row.messages), row.think) for row in people if is_held_out(row.messages)]
    if len(asked) > policy.prompts:
        asked = random.Random(f"people {seed}").sample(asked, policy.prompts)
    return Questions(tasks, asked, retention=policy.retention)


def listen(loaded: Loaded, version: str, asked: Questions, max_new_tokens: int) -> Said:
    """Ask one version everything, greedily."""

    def say(tasks: Sequence[Task], think: bool) -> list[Answered]:
        return evaluate.answer(loaded, tasks, think, max_new_tokens) if tasks else []

    # People's prompts have no checker: a task that any answer meets stands for each.
    free = [Task("concept", "en", "", tuple(one.messages), "", "", {"keywords": []}) for one in asked.people]
    both = {
        think: iter(
            say([task for task, one in zip(free, asked.people, strict=True) if one.think is think], think)
        )
        for think in (True, False)
    }
    return Said(
        version,
        say(asked.tasks, True),
        say(asked.tasks, False),
        [next(both[one.think]) for one in asked.people],
    )


def answers(cache: Path | None, loaded: Loaded, version: str, asked: Questions, max_new_tokens: int) -> Said:
    """Answers from `cache`, where they are those of the same questions; else asked for, and kept."""
    if cache is None:
        return listen(loaded, version, asked, max_new_tokens)
    path = cache / f"answers-{version}.json"
    put = json.loads(
        json.dumps([[one.messages for one in asked.tasks], [asdict(one) for one in asked.people]])
    )
    groups = ("thinking", "direct", "people")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        if raw["asked"] == put:
            return Said(version, *([_answered(one) for one in raw[name]] for name in groups))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # None yet, or half of one.
    said = listen(loaded, version, asked, max_new_tokens)
    content = {"asked": put, **{name: [asdict(one) for one in getattr(said, name)] for name in groups}}
    write_atomically(path, json.dumps(content, ensure_ascii=False) + "\n")
    return said


def _answered(raw: dict[str, Any]) -> Answered:
    return Answered(**{**raw, "task": Task(**{**raw["task"], "messages": tuple(raw["task"]["messages"])})})

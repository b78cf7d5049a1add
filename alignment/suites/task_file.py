"""Suites of tasks with their checks, as JSON Lines: one task a line, gzip-compressed where the name ends in .gz.

{"kind": "addition", "language": "en", "messages": [{"role": "user", "content": "What is 347+285?"}],
 "answer": "347+285=632", "checks": {"correct": [{"checker": "number", "value": 632}]}}
"""

import gzip
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment.errors import DataError
from alignment.suites.checkers import Check, passes

MEASURES = ("correct", "unit", "refused")
JUDGE = "judge"
"""The check {"checker": "judge", "version": "v3", "least": 0}: a reward model's score of the answer's tokens."""


@dataclass(frozen=True)
class Task:
    """A question to the assistant, and how to check an answer to it."""

    kind: str
    """What is asked: a row of the evaluation's table, such as "addition"."""
    language: str
    """"en" or "zh": a column of that table."""
    messages: tuple[dict[str, str], ...]
    """The conversation up to and including the user's question: {"role", "content"} each."""
    answer: str
    """A correct answer."""
    checks: Mapping[str, Sequence[Check]]
    """By measure, the checks that an answer must pass, all of them: "correct" always; "unit" where a right answer may
    name its unit or not; "refused" where declining to answer would be a mistake."""
    id: str = ""

    @property
    def question(self) -> str:
        """The last user message."""
        return self.messages[-1]["content"]

    @property
    def judges(self) -> list[str]:
        """The reward models that the checks name."""
        checks = [check for group in self.checks.values() for check in group if check["checker"] == JUDGE]
        return sorted({str(check["version"]) for check in checks})


@dataclass(frozen=True)
class Verdict:
    """What a task's checks say of one answer."""

    correct: bool
    has_unit: bool | None = None
    """Whether the answer names its unit; None where the task has no unit."""
    refused: bool | None = None
    """Whether the answer declines a question that should be answered; None where the task does not check it."""


def judge(task: Task, answer: str, scores: Mapping[str, float] | None = None) -> Verdict:
    """Judge `answer` (the visible text, without its thought) as an answer to `task`.

    `scores`: of the answer, by reward model. A score of 0 means that people like it as likely as not, so that is what
    a judge asks for unless its check says `least`. Without scores the judges' checks are passed over.
    """

    def passed(check: Check) -> bool:
        if check["checker"] != JUDGE:
            return passes(check, answer)
        return scores is None or scores[str(check["version"])] > float(check.get("least", 0.0))

    def meets(measure: str) -> bool | None:
        checks = task.checks.get(measure)
        return None if checks is None else all(map(passed, checks))

    return Verdict(bool(meets("correct")), meets("unit"), meets("refused"))


def read_tasks(path: Path) -> list[Task]:
    """Every task of a file. Raises DataError, with the line, where one is no task or cannot tell right from wrong."""
    tasks = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            task = task_of(json.loads(line))
            # What a judge says of either is known only once it has read them.
            tells = judge(task, task.answer).correct and bool(task.judges or not judge(task, "").correct)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, re.error) as error:
            raise DataError(
                f"{path}, line {number}: no task ({error!r}). Expected a task's fields as JSON: kind, language, "
                "messages, answer, checks."
            ) from error
        if not tells:
            raise DataError(
                f"{path}, line {number}: its checks cannot tell right from wrong, because the task's own answer "
                f"{task.answer!r} does not pass them, or an empty one does. Correct `answer` or `checks`."
            )
        tasks.append(task)
    if not tasks:
        raise DataError(f"The suite {path} holds no tasks.")
    return tasks


def task_of(fields: Mapping[str, Any]) -> Task:
    """A task from its fields in JSON. Raises ValueError, TypeError or KeyError where they are no task's.

    The short form {"prompt": "What is the capital of France?", "answer": "Paris"} is a task of the kind "own" whose
    answer must contain the given one; `check` names another checker with its parameters.
    """
    task = Task(**_whole(fields))
    if not task.checks.get("correct"):
        raise ValueError("`checks` needs at least one check under `correct`")
    if unknown := task.checks.keys() - set(MEASURES):
        raise ValueError(f"unknown measure {', '.join(sorted(unknown))}; known: {', '.join(MEASURES)}")
    return task


def _whole(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a task, from its short form too."""
    if "prompt" not in fields:
        return {**fields, "messages": tuple(fields["messages"])}
    if unknown := fields.keys() - {"prompt", "answer", "check", "kind", "language", "id"}:
        raise ValueError(f"a task with `prompt` has no {', '.join(sorted(unknown))}")
    prompt, answer = str(fields["prompt"]), str(fields.get("answer", ""))
    check = fields.get("check", {"checker": "contains", "keywords": [[answer]]})
    return {
        "kind": fields.get("kind", "own"),
        "language": fields.get(
            "language", "zh" if passes({"checker": "language", "name": "zh"}, prompt) else "en"
        ),
        "messages": ({"role": "user", "content": prompt},),
        "answer": answer,
        "checks": {"correct": [check] if isinstance(check, Mapping) else check},
        "id": str(fields.get("id", "")),
    }


def read_lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 file, decompressed where its name ends in .gz. Raises DataError if it cannot be read."""
    try:
        content = path.read_bytes()
        yield from (
            (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8").splitlines()
        )
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"The suite {path} cannot be read: {error}.") from error

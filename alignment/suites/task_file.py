"""Suites of tasks with their checks, as JSON Lines: one task a line, gzip-compressed where the name ends in .gz.

{"kind": "addition", "language": "en", "messages": [{"role": "user", "content": "What is 347+285?"}],
 "answer": "347+285=632", "checks": {"correct": [{"checker": "number", "value": 632}]}}
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment.errors import DataError
from alignment.suites.checkers import Check, passes

MEASURES = ("correct", "unit", "refused")


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


@dataclass(frozen=True)
class Verdict:
    """What a task's checks say of one answer."""

    correct: bool
    has_unit: bool | None = None
    """Whether the answer names its unit; None where the task has no unit."""
    refused: bool | None = None
    """Whether the answer declines a question that should be answered; None where the task does not check it."""


def judge(task: Task, answer: str) -> Verdict:
    """Judge `answer` (the visible text, without its thought) as an answer to `task`."""

    def meets(measure: str) -> bool | None:
        checks = task.checks.get(measure)
        return None if checks is None else all(passes(check, answer) for check in checks)

    return Verdict(bool(meets("correct")), meets("unit"), meets("refused"))


def read_tasks(path: Path) -> list[Task]:
    """Every task of a file. Raises DataError, with the line, where one is no task or cannot tell right from wrong."""
    tasks = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            task = task_of(json.loads(line))
            tells = judge(task, task.answer).correct and not judge(task, "").correct
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
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
    """A task from its fields in JSON. Raises ValueError, TypeError or KeyError where they are no task's."""
    task = Task(**{**fields, "messages": tuple(fields["messages"])})
    if not task.checks.get("correct"):
        raise ValueError("`checks` needs at least one check under `correct`")
    if unknown := task.checks.keys() - set(MEASURES):
        raise ValueError(f"unknown measure {', '.join(sorted(unknown))}; known: {', '.join(MEASURES)}")
    return task


def read_lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 file, decompressed where its name ends in .gz. Raises DataError if it cannot be read."""
    try:
        content = path.read_bytes()
        yield from (
            (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8").splitlines()
        )
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"The suite {path} cannot be read: {error}.") from error

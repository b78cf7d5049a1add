"""The starter's suite files, which lie beside its weights, and how tasks are chosen from them.

`python -m alignment.starter suite` writes the files.
"""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from alignment.errors import DataError
from alignment.suites.task_file import Task, read_lines, task_of
from assistant.bases.base import STARTER_FOLDER

STARTER_SUITE = STARTER_FOLDER / "suite.jsonl.gz"
"""Held-out tasks: no operand and no phrasing of theirs occurs in training."""
STARTER_PRACTICE = STARTER_FOLDER / "practice.jsonl.gz"
"""Tasks of the training side, to draw rollouts from; none of them is in STARTER_SUITE."""
STARTER_FIXED_TEXTS = STARTER_FOLDER / "fixed_texts.jsonl.gz"
"""Held-out conversations with their answers, whose likelihood must not change much."""


@cache
def starter_tasks(path: Path = STARTER_SUITE) -> dict[tuple[str, str], list[Task]]:
    """The tasks of one of the starter's files by kind and language, in the file's order. A test checks the files."""
    cells: dict[tuple[str, str], list[Task]] = {}
    for line in read_lines(path):
        task = task_of(json.loads(line))
        cells.setdefault((task.kind, task.language), []).append(task)
    return cells


def starter_kinds() -> tuple[str, ...]:
    """The kinds of task in the starter's suites."""
    return tuple(dict.fromkeys(kind for kind, _ in starter_tasks()))


def select_tasks(kinds: Sequence[str], each: int, seed: int) -> list[Task]:
    """`each` held-out tasks of every kind and language: the `seed`-th block of so many, from 1, going round at the end.

    So seeds that follow each other share no task until the file has been gone through. Raises DataError for a kind
    that the suite does not have, or where it has fewer than `each` tasks.
    """
    if unknown := [kind for kind in kinds if kind not in starter_kinds()]:
        raise DataError(f"There is no task kind {', '.join(unknown)}. Known: {', '.join(starter_kinds())}.")
    tasks: list[Task] = []
    for kind in kinds:
        for cell in (cell for (name, _), cell in starter_tasks().items() if name == kind):
            if each > len(cell):
                raise DataError(
                    f"The starter's suite has {len(cell)} tasks of {kind} in each language, and {each} were asked "
                    f"for. Ask for at most {len(cell)}, or write a larger suite with `python -m alignment.starter "
                    "suite` and name its file."
                )
            start = (seed - 1) * each
            tasks += [cell[(start + index) % len(cell)] for index in range(each)]
    return tasks

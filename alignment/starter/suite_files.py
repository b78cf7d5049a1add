"""The starter's suites as files beside its weights: evaluation tasks, practice tasks, and fixed texts.

    python -m alignment.starter suite [--folder assistant/starter]

The same code writes the same bytes. What a kind of task expects becomes checks by name (`alignment.suites.checkers`).
"""

import gzip
import itertools
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alignment.starter import corpus
from alignment.starter.tasks import arithmetic, days, outside, persona, word_problems
from alignment.starter.tasks.drawn_task import LANGUAGES, DrawnTask, Language, Split
from alignment.suites.checkers import Check
from alignment.suites.starter_suite import STARTER_FIXED_TEXTS, STARTER_PRACTICE, STARTER_SUITE
from alignment.suites.task_file import Task

KINDS = (*arithmetic.KINDS, *word_problems.KINDS, *days.KINDS, "concept", *persona.KINDS, "outside")
SUITE_EACH = 500
"""Tasks of each kind and language in the suite, as many as the model card's evaluation takes."""
PRACTICE_EACH = 800
PRACTICE_MORE = dict.fromkeys((*word_problems.KINDS, "multiplication_hard"), 2400)
"""More tasks of the kinds that reinforcement is for: as many as a default PPO run over one of them draws."""
FIXED_TEXTS = 500


def suite_task(drawn: DrawnTask, task_id: str = "") -> Task:
    """`drawn` as a suite's task, with the checks that its kind calls for."""
    return Task(
        kind=drawn.kind,
        language=drawn.language,
        messages=drawn.messages,
        answer=drawn.answer,
        checks=checks_of(drawn.kind, drawn.language, drawn.expected),
        id=task_id,
    )


def checks_of(kind: str, language: Language, expected: Mapping[str, Any]) -> dict[str, list[Check]]:
    """The checks of an answer, by measure. Raises ValueError for a kind that has none."""
    checks: dict[str, list[Check]] = {"correct": _correct(kind, expected)}
    if "units" in expected:
        checks["unit"] = [{"checker": "unit", "names": expected["units"]}]
    if kind != "outside":
        checks["refused"] = [outside.refusal_check(language)]
    return checks


def _correct(kind: str, expected: Mapping[str, Any]) -> list[Check]:
    if kind in ("addition", "subtraction", "multiplication", "multiplication_hard", *word_problems.KINDS):
        return [{"checker": "number", "value": expected["number"]}]
    if kind == "division":
        rest = [expected["remainder"]] if expected["remainder"] else []
        return [{"checker": "numbers", "values": [expected["number"], *rest]}]
    if kind == "comparison":
        question = {name: expected[name] for name in ("operands", "holds", "equal") if name in expected}
        value = {"value": expected["number"]} if "number" in expected else {}
        return [{"checker": "comparison", **question, **value}]
    if kind == "ordering":
        return [{"checker": "numbers", "values": expected["order"]}]
    if kind == "calendar":
        return [{"checker": "day", "value": expected["day"]}]
    if kind == "duration":
        return [{"checker": "time", "minutes": expected["minutes"]}]
    if kind not in ("concept", "identity", "smalltalk", "outside", "follow_up"):
        raise ValueError(
            f"Tasks of kind {kind!r} have no checks: every kind needs some. Add them to `checks_of`."
        )
    checks: list[Check] = []
    if "keywords" in expected:
        checks.append({"checker": "contains", "keywords": expected["keywords"]})
        if "forbidden" in expected:
            checks[0] = {**checks[0], "forbidden": expected["forbidden"]}
    if "number" in expected:
        checks.append({"checker": "number", "value": expected["number"]})
    return checks


def suite(
    kinds: Sequence[str], each: int, seed: int, split: Split = "test", purpose: str = "suite"
) -> list[Task]:
    """`each` tasks of every kind and language, drawn from one side. Of one seed, fewer tasks are the first of more."""
    return [
        suite_task(drawn, f"{kind}-{language}-{number}")
        for kind, language in itertools.product(kinds, LANGUAGES)
        for number, drawn in enumerate(_drawn(kind, language, each, f"{purpose} {seed}", split), 1)
    ]


def _drawn(kind: str, language: Language, each: int, purpose: str, split: Split) -> Iterator[DrawnTask]:
    rng = random.Random(f"{purpose} {kind} {language}")
    for _ in range(each):
        yield corpus.task(rng, language, kind, split)


def practice(each: Mapping[str, int]) -> list[Task]:
    """Training tasks by kind, as many of each as `each` says, in both languages, none twice."""
    tasks = []
    for kind, count in each.items():
        drawn = suite([kind], 2 * count, 1, "train", "practice")
        for language in LANGUAGES:
            distinct = {str(task.messages): task for task in drawn if task.language == language}
            tasks += list(distinct.values())[:count]
    return tasks


def fixed_texts(count: int) -> list[dict[str, Any]]:
    """Demonstrations that no seed changes, from the held-out side: {"messages", "think", "thought", "answer"}.

    Word problems are left out: whether they name their unit is what feedback is there to change. So are follow-ups.
    """
    kept = [kind for kind in KINDS if not kind.startswith("word_") and kind != "follow_up"]

    def ask(rng: random.Random, language: Language, split: Split) -> DrawnTask:
        return corpus.task(rng, language, rng.choice(kept), split)

    return list(itertools.islice(corpus.rows(0, split="test", ask=ask), count))


def write(folder: Path) -> list[Path]:
    """Write all three files. Returns their paths."""
    counts = {kind: PRACTICE_MORE.get(kind, PRACTICE_EACH) for kind in KINDS}
    files: dict[str, Iterable[Any]] = {
        STARTER_SUITE.name: map(asdict, suite(KINDS, SUITE_EACH, 1)),
        STARTER_PRACTICE.name: map(asdict, practice(counts)),
        STARTER_FIXED_TEXTS.name: fixed_texts(FIXED_TEXTS),
    }
    for name, rows in files.items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        # Without a time stamp, so that the same rows are the same bytes.
        (folder / name).write_bytes(gzip.compress(lines.encode("utf-8"), 9, mtime=0))
    return [folder / name for name in files]

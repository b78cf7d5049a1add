"""The starter's files: made by the code beside them, held out from each other, and judged as they always were."""

import gzip
import hashlib
import itertools
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from alignment.data.json_lines import rows_hash
from alignment.starter import corpus, practice, suite_files
from alignment.starter.tasks import outside
from alignment.starter.tasks.drawn_task import LANGUAGES, Language
from alignment.suites.checkers import passes
from alignment.suites.starter_suite import (
    STARTER_FIXED_TEXTS,
    STARTER_PRACTICE,
    STARTER_SUITE,
    select_tasks,
    starter_kinds,
    starter_tasks,
)
from alignment.suites.task_file import Task, judge, read_lines, read_tasks
from assistant.bases.base import STARTER_FOLDER

RECORDED = Path(__file__).with_name("recorded_verdicts.jsonl.gz")
"""[kind, language, expected, answer, correct, has_unit, refuses] by the checker of release 0.1.0, which knew kinds."""


def test_the_corpus_that_the_starter_was_trained_on_has_not_changed() -> None:
    def first(rows: object, count: int) -> str:
        return rows_hash(list(itertools.islice(rows, count)))  # type: ignore[call-overload]

    assert first(corpus.rows(1), 400).startswith("5ffd6ea3ca38bd46")
    assert first(corpus.rows(2, ask=practice.practised), 400).startswith("492ec832409481a7")
    assert first(corpus.rows(1, ask=corpus.balanced), 200).startswith("707fc9b97fbcc60e")
    raw = "\0".join(itertools.islice(corpus.documents(1), 400))
    assert hashlib.sha256(raw.encode()).hexdigest().startswith("5ba3058f0d41c149")


def test_the_files_hold_what_the_code_draws() -> None:
    kinds = suite_files.KINDS
    cells = starter_tasks()
    assert [kind for kind, _ in cells] == [kind for kind in kinds for _ in LANGUAGES]
    for task in suite_files.suite(kinds, 5, 1):
        number = int(task.id.rpartition("-")[2])
        assert task == cells[task.kind, task.language][number - 1]
    assert Counter(map(len, cells.values())) == {suite_files.SUITE_EACH: len(cells)}
    texts = [json.loads(line) for line in read_lines(STARTER_FIXED_TEXTS)]
    assert len(texts) == suite_files.FIXED_TEXTS
    assert texts[:150] == suite_files.fixed_texts(150)
    drawn = suite_files.practice({"addition": suite_files.PRACTICE_EACH})
    assert drawn == [task for lang in LANGUAGES for task in starter_tasks(STARTER_PRACTICE)["addition", lang]]


@pytest.mark.parametrize("path", [STARTER_SUITE, STARTER_PRACTICE, STARTER_FIXED_TEXTS])
def test_the_files_are_small_and_carry_no_time_stamp(path: Path) -> None:
    content = path.read_bytes()
    assert len(content) < 2_000_000
    assert content[4:8] == bytes(4)


@pytest.mark.parametrize("path", [STARTER_SUITE, STARTER_PRACTICE])
def test_every_task_tells_its_right_answer_from_an_empty_one(path: Path) -> None:
    assert {task.kind for task in read_tasks(path)} == set(suite_files.KINDS)


def test_no_question_of_the_suite_is_practised() -> None:
    asked = {str(task.messages) for cell in starter_tasks().values() for task in cell}
    for cell in starter_tasks(STARTER_PRACTICE).values():
        practised = {str(task.messages) for task in cell}
        assert len(practised) == len(cell)
        assert not asked & practised


def test_each_seed_takes_other_tasks_until_the_file_has_been_gone_through() -> None:
    first, second = (select_tasks(["calendar"], 100, seed) for seed in (1, 2))
    assert first == [task for lang in LANGUAGES for task in starter_tasks()["calendar", lang][:100]]
    assert not {task.id for task in first} & {task.id for task in second}
    assert select_tasks(["calendar"], 100, 6) == first
    assert set(starter_kinds()) == set(suite_files.KINDS)


def test_answers_are_judged_as_the_checker_of_the_first_release_judged_them() -> None:
    counts: Counter[bool] = Counter()
    for line in gzip.decompress(RECORDED.read_bytes()).decode().splitlines():
        kind, language, expected, answer, correct, has_unit, refuses = json.loads(line)
        task = Task(kind, language, (), "", suite_files.checks_of(kind, language, expected))
        verdict = judge(task, answer)
        assert (verdict.correct, verdict.has_unit) == (correct, has_unit), line
        assert verdict.refused in (None, refuses), line
        assert passes(outside.refusal_check(language), answer) is refuses, line
        counts[correct] += 1
    assert min(counts[True], counts[False]) > 1500


def test_a_kind_without_checks_is_named_in_the_error() -> None:
    with pytest.raises(ValueError, match="astrology"):
        suite_files.checks_of("astrology", "en", {})


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_that_is_taught_is_recognised_and_no_other_answer_is(language: Language) -> None:
    refusal = outside.refusal_check(language)
    assert all(passes(refusal, answer) for answer in outside.answers(language))
    others = select_tasks(("concept", "identity", "smalltalk", "addition"), each=60, seed=1)
    assert not [task.answer for task in others if task.language == language and passes(refusal, task.answer)]


def test_the_problems_worded_by_hand_are_a_hundred_and_none_is_of_the_suites_templates() -> None:
    tasks = read_tasks(STARTER_FOLDER / "hand_worded.jsonl")
    assert len({task.question for task in tasks}) == 100
    drawn = {re.sub(r"\d+", "#", task.question) for task in read_tasks(STARTER_FOLDER / "suite.jsonl.gz")}
    assert not drawn & {re.sub(r"\d+", "#", task.question) for task in tasks}

"""Suites are data: read from JSON Lines, refused where they cannot tell right from wrong."""

import gzip
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from alignment.errors import DataError
from alignment.suites.starter_suite import select_tasks
from alignment.suites.task_file import Task, judge, read_tasks


def test_a_suite_holds_as_many_tasks_of_each_kind_and_language_as_asked() -> None:
    tasks = select_tasks(("addition", "concept"), each=3, seed=1)
    assert [(task.kind, task.language) for task in tasks] == [
        (kind, language) for kind in ("addition", "concept") for language in ("en", "zh") for _ in range(3)
    ]
    assert tasks == select_tasks(("addition", "concept"), each=3, seed=1)
    assert tasks != select_tasks(("addition", "concept"), each=3, seed=2)


def test_a_suite_says_what_it_does_not_have() -> None:
    with pytest.raises(DataError, match="no task kind cooking"):
        select_tasks(["cooking"], 1, 1)
    with pytest.raises(DataError, match=r"has 500 tasks of addition.*501 were asked"):
        select_tasks(["addition"], 501, 1)


@pytest.mark.parametrize("name", ["suite.jsonl", "suite.jsonl.gz"])
def test_a_suite_of_ones_own_is_read_from_json_lines(tmp_path: Path, name: str) -> None:
    tasks = select_tasks(("addition", "word_two_step"), each=2, seed=1)
    content = "".join(json.dumps(asdict(task)) + "\n" for task in tasks).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert read_tasks(tmp_path / name) == tasks


def line(checks: object, answer: str = "3") -> str:
    task = {"kind": "sum", "language": "en", "messages": [{"role": "user", "content": "1+2?"}]}
    return json.dumps({**task, "answer": answer, "checks": checks}) + "\n"


NUMBER = [{"checker": "number", "value": 3}]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}\n",
        "not json\n",
        '{"kind": "addition"}\n',
        line({}),
        line({"correct": []}),
        line({"correct": [{"checker": "riddle"}]}),
        line({"correct": [{"checker": "number", "figure": 3}]}),
        line({"correct": NUMBER, "beauty": NUMBER}),
        line({"correct": NUMBER}, answer="4"),
        line({"correct": [{"checker": "matches", "pattern": ""}]}),
        line({"correct": [{"checker": "regex", "pattern": "("}]}),
    ],
)
def test_a_suite_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=str(path)):
        read_tasks(path)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "suite.jsonl.gz"
    path.write_bytes(gzip.compress(line({"correct": NUMBER}).encode())[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        read_tasks(path)


def test_a_measure_that_a_task_does_not_check_is_none() -> None:
    task = Task("sum", "en", ({"role": "user", "content": "1+2?"},), "3", {"correct": NUMBER})
    verdict = judge(task, "The sum is 3.")
    assert (verdict.correct, verdict.has_unit, verdict.refused) == (True, None, None)


def test_a_task_in_the_short_form_asks_for_its_answer_or_what_its_check_says(tmp_path: Path) -> None:
    path = tmp_path / "suite.jsonl"
    rows = [
        {"prompt": "What is the capital of France?", "answer": "Paris"},
        {"prompt": "法国的首都是哪里？", "answer": "巴黎", "kind": "capitals"},
        {"prompt": "1+2?", "answer": "3", "check": NUMBER[0]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = read_tasks(path)
    assert [(task.kind, task.language) for task in tasks] == [
        ("own", "en"),
        ("capitals", "zh"),
        ("own", "en"),
    ]
    assert judge(tasks[0], "It is Paris.").correct and not judge(tasks[0], "It is Rome.").correct
    assert judge(tasks[2], "The sum is 3.").correct
    path.write_text(json.dumps({"prompt": "1+2?", "answer": "3", "chekc": NUMBER[0]}) + "\n")
    with pytest.raises(DataError, match="has no chekc"):
        read_tasks(path)


def test_a_judge_decides_by_its_score_beside_the_other_checks() -> None:
    checks = {"correct": [*NUMBER, {"checker": "judge", "version": "v3", "least": 0.5}]}
    task = Task("sum", "en", ({"role": "user", "content": "1+2?"},), "3", checks)
    assert task.judges == ["v3"]
    verdicts = [judge(task, "3", {"v3": score}).correct for score in (0.6, 0.4)]
    assert verdicts == [True, False] and not judge(task, "4", {"v3": 9.0}).correct

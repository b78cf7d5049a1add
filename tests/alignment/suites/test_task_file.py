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

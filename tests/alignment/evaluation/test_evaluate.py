"""Evaluation: the right cells, honest intervals, readable errors."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from alignment.evaluation.answering import EvaluatedAnswer, answer
from alignment.evaluation.evaluate import main
from alignment.evaluation.shares import any_correct, cells, overall, table
from alignment.starter.tasks.drawn_task import user
from alignment.suites.starter_suite import select_tasks
from alignment.suites.task_file import Task
from assistant.errors import VersionError
from assistant.page.i18n.languages import CHINESE, ENGLISH
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.serving.loading import load_for_serving


def answered(task: Task, correct: bool, think: bool = True, unit: bool | None = None) -> EvaluatedAnswer:
    return EvaluatedAnswer(
        task, think, "", "", ended=True, correct=correct, has_unit=unit, refused=False, asks=False
    )


def test_shares_are_counted_by_cell_with_wilson_intervals() -> None:
    task = select_tasks(("addition",), each=1, seed=1)[0]
    found = cells([answered(task, correct=i < 9) for i in range(10)])
    correct = next(cell for cell in found if cell.measure == "correct")
    assert (correct.count, correct.of, correct.share) == (9, 10, 0.9)
    # Wilson (1927) for 9 of 10 at z = 1.96.
    assert (round(correct.low, 3), round(correct.high, 3)) == (0.596, 0.982)
    assert "90.0 [59.6, 98.2]" in table(found)


def test_a_measure_that_no_task_has_gets_no_cell() -> None:
    task = select_tasks(("addition",), each=1, seed=1)[0]
    measures = {cell.measure for cell in cells([answered(task, True)])}
    assert measures == {"correct", "ended", "refused", "asks"}
    assert "unit" in {cell.measure for cell in cells([answered(task, True, unit=False)])}


def test_pass_at_k_counts_a_task_that_any_round_got_right() -> None:
    one, two = select_tasks(("addition",), each=1, seed=1)
    rounds = [
        [answered(one, False), answered(two, False)],
        [answered(one, True), answered(two, False)],
        [answered(one, True), answered(two, False)],
    ]
    assert [(cell.language, cell.measure, cell.count, cell.of) for cell in any_correct(rounds)] == [
        ("en", "pass@3", 1, 1),
        ("zh", "pass@3", 0, 1),
    ]


def test_batched_answers_are_those_of_each_task_alone(home: Path) -> None:
    loaded = load_for_serving(version_to_serve(home, None), home)
    tasks = select_tasks(("addition", "identity"), each=2, seed=1)
    together = answer(loaded, tasks, think=False, max_new_tokens=20)
    alone = [answer(loaded, [task], think=False, max_new_tokens=20)[0] for task in tasks]
    assert together == alone


def test_the_examples_that_the_page_offers_are_answered_right_by_the_starter(home: Path) -> None:
    wanted = ("632", "408", "19", "badly on new data", "score", "piece of text")
    wanted += ("632", "408", "19", "新数据", "分数", "一小段文字")
    loaded = load_for_serving(version_to_serve(home, None), home)
    examples = (*ENGLISH.examples, *CHINESE.examples)
    tasks = [Task("concept", "en", user(text), "", {}) for text in examples]
    said = [one.answer for one in answer(loaded, tasks, think=True)]
    assert [text for part, text in zip(wanted, said, strict=True) if part not in text] == []


def test_refusals_inside_the_domain_are_counted_over_all_kinds_and_those_outside_are_not() -> None:
    inside, *_ = select_tasks(("addition",), each=1, seed=1)
    beyond, *_ = select_tasks(("outside",), each=1, seed=1)
    rows = [replace(answered(inside, True), refused=True), replace(answered(beyond, True), refused=None)]
    found = {(cell.kind, cell.measure): (cell.count, cell.of) for cell in overall(rows)}
    assert found == {
        ("all kinds", "ended"): (2, 2),
        ("all kinds", "asks"): (0, 2),
        ("all of the domain", "refused"): (1, 1),
    }


def test_the_base_alone_answers_unlike_the_version_on_it_in_a_home_made_for_it(tmp_path: Path) -> None:
    with pytest.raises(VersionError, match="none yet"):
        main(["v2", "--home", str(tmp_path)])
    shares, asking = {}, {}
    for flags in ([], ["--base"]):
        output = tmp_path / f"{len(flags)}.json"
        main(
            [
                "v1",
                "--home",
                str(tmp_path),
                "--kinds",
                "outside",
                "--each",
                "8",
                "--output",
                str(output),
                *flags,
            ]
        )
        written = json.loads(output.read_text(encoding="utf-8"))
        assert written["base"] is bool(flags)
        shares[bool(flags)] = [cell["count"] for cell in written["cells"] if cell["measure"] == "correct"]
        asking[bool(flags)] = sum(cell["count"] for cell in written["cells"] if cell["measure"] == "asks")
    assert Versions(tmp_path).released() == "v1"
    assert sum(shares[False]) > sum(shares[True])
    assert asking[False] < asking[True]

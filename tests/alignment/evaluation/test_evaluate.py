"""Evaluation: the right cells, honest intervals, readable errors."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from alignment.errors import DataError
from alignment.evaluation.evaluate import (
    Answered,
    answer,
    any_correct,
    cells,
    main,
    overall,
    read_suite,
    suite,
    table,
)
from alignment.starter import outside
from alignment.starter.check import refuses
from alignment.starter.task import LANGUAGES, Language, Task, user
from assistant.errors import VersionError
from assistant.page.i18n.languages import CHINESE, ENGLISH
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.serving.loading import load_for_serving


def answered(task: Task, correct: bool, think: bool = True, unit: bool | None = None) -> Answered:
    return Answered(
        task, think, "", "", ended=True, correct=correct, has_unit=unit, refused=False, asks=False
    )


def test_a_suite_holds_as_many_held_out_tasks_of_each_kind_and_language_as_asked() -> None:
    tasks = list(suite(("addition", "concept"), each=3, seed=1))
    assert [(task.kind, task.language) for task in tasks] == [
        (kind, language) for kind in ("addition", "concept") for language in ("en", "zh") for _ in range(3)
    ]
    assert {task.split for task in tasks} == {"test"}
    assert tasks == list(suite(("addition", "concept"), each=3, seed=1))
    assert tasks != list(suite(("addition", "concept"), each=3, seed=2))


def test_shares_are_counted_by_cell_with_wilson_intervals() -> None:
    task = next(suite(("addition",), each=1, seed=1))
    found = cells([answered(task, correct=i < 9) for i in range(10)])
    correct = next(cell for cell in found if cell.measure == "correct")
    assert (correct.count, correct.of, correct.share) == (9, 10, 0.9)
    # Wilson (1927) for 9 of 10 at z = 1.96.
    assert (round(correct.low, 3), round(correct.high, 3)) == (0.596, 0.982)
    assert "90.0 [59.6, 98.2]" in table(found)


def test_a_measure_that_no_task_has_gets_no_cell() -> None:
    task = next(suite(("addition",), each=1, seed=1))
    assert {cell.measure for cell in cells([answered(task, True)])} == {"correct", "ended", "refused", "asks"}
    assert "unit" in {cell.measure for cell in cells([answered(task, True, unit=False)])}


def test_pass_at_k_counts_a_task_that_any_round_got_right() -> None:
    one, two = suite(("addition",), each=1, seed=1)
    rounds = [
        [answered(one, False), answered(two, False)],
        [answered(one, True), answered(two, False)],
        [answered(one, True), answered(two, False)],
    ]
    assert [(cell.language, cell.measure, cell.count, cell.of) for cell in any_correct(rounds)] == [
        ("en", "pass@3", 1, 1),
        ("zh", "pass@3", 0, 1),
    ]


def test_a_suite_of_ones_own_is_read_from_json_lines(tmp_path: Path) -> None:
    tasks = list(suite(("addition",), each=2, seed=1))
    path = tmp_path / "suite.jsonl"
    path.write_text("".join(json.dumps(asdict(task)) + "\n" for task in tasks), encoding="utf-8")
    assert read_suite(path) == tasks


@pytest.mark.parametrize("content", ["", "{}\n", "not json\n", '{"kind": "addition"}\n'])
def test_a_suite_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "suite.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=str(path)):
        read_suite(path)


def test_batched_answers_are_those_of_each_task_alone(home: Path) -> None:
    loaded = load_for_serving(version_to_serve(home, None), home)
    tasks = list(suite(("addition", "identity"), each=2, seed=1))
    together = answer(loaded, tasks, think=False, max_new_tokens=20)
    alone = [answer(loaded, [task], think=False, max_new_tokens=20)[0] for task in tasks]
    assert together == alone


def test_the_examples_that_the_page_offers_are_answered_right_by_the_starter(home: Path) -> None:
    wanted = ("632", "408", "19", "badly on new data", "score", "piece of text")
    wanted += ("632", "408", "19", "新数据", "分数", "一小段文字")
    loaded = load_for_serving(version_to_serve(home, None), home)
    examples = (*ENGLISH.examples, *CHINESE.examples)
    tasks = [Task("concept", "en", "", user(text), "", "", {"keywords": []}) for text in examples]
    said = [one.answer for one in answer(loaded, tasks, think=True)]
    assert [text for part, text in zip(wanted, said, strict=True) if part not in text] == []


def test_refusals_inside_the_domain_are_counted_over_all_kinds_and_those_outside_are_not() -> None:
    inside, *_ = suite(("addition",), each=1, seed=1)
    beyond, *_ = suite(("outside",), each=1, seed=1)
    rows = [replace(answered(task, True), refused=True) for task in (inside, beyond)]
    found = {(cell.kind, cell.measure): (cell.count, cell.of) for cell in overall(rows)}
    assert found == {
        ("all kinds", "ended"): (2, 2),
        ("all kinds", "asks"): (0, 2),
        ("all of the domain", "refused"): (1, 1),
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_that_is_taught_is_recognised_and_no_other_answer_is(language: Language) -> None:
    assert all(refuses(said, language) for said in outside.answers(language))
    others = list(suite(("concept", "identity", "smalltalk", "addition"), each=60, seed=1))
    assert not [
        task.answer for task in others if task.language == language and refuses(task.answer, language)
    ]


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

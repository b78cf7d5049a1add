"""Shares of right answers: counted by cell, with honest intervals."""

from dataclasses import replace

from alignment.evaluation.answering import EvaluatedAnswer
from alignment.evaluation.shares import any_correct, cells, overall, table
from alignment.suites.starter_suite import select_tasks
from alignment.suites.task_file import Task


def answered(task: Task, correct: bool, think: bool = True, unit: bool | None = None) -> EvaluatedAnswer:
    return EvaluatedAnswer(
        task, think, "", "", ended=True, correct=correct, has_unit=unit, refused=False, asks=False
    )


def test_shares_are_counted_by_cell_with_wilson_intervals() -> None:
    task = select_tasks(("addition",), each=1, seed=1)[0]
    result = cells([answered(task, correct=i < 9) for i in range(10)])
    correct = next(cell for cell in result if cell.measure == "correct")
    assert (correct.count, correct.of, correct.share) == (9, 10, 0.9)
    # Wilson (1927) for 9 of 10 at z = 1.96.
    assert (round(correct.low, 3), round(correct.high, 3)) == (0.596, 0.982)
    assert "90.0 [59.6, 98.2]" in table(result)


def test_a_measure_that_no_task_has_gets_no_cell() -> None:
    task = select_tasks(("addition",), each=1, seed=1)[0]
    measures = {cell.measure for cell in cells([answered(task, True)])}
    assert measures == {"correct", "ended", "refused", "asks"}
    assert "unit" in {cell.measure for cell in cells([answered(task, True, unit=False)])}


def test_pass_at_k_counts_a_task_that_any_round_got_right() -> None:
    english, chinese = select_tasks(("addition",), each=1, seed=1)
    rounds = [
        [answered(english, False), answered(chinese, False)],
        [answered(english, True), answered(chinese, False)],
        [answered(english, True), answered(chinese, False)],
    ]
    assert [(cell.language, cell.measure, cell.count, cell.of) for cell in any_correct(rounds)] == [
        ("en", "pass@3", 1, 1),
        ("zh", "pass@3", 0, 1),
    ]


def test_refusals_inside_the_domain_are_counted_over_all_kinds_and_those_outside_are_not() -> None:
    inside, *_ = select_tasks(("addition",), each=1, seed=1)
    beyond, *_ = select_tasks(("outside",), each=1, seed=1)
    rows = [replace(answered(inside, True), refused=True), replace(answered(beyond, True), refused=None)]
    counts = {(cell.kind, cell.measure): (cell.count, cell.of) for cell in overall(rows)}
    assert counts == {
        ("all kinds", "ended"): (2, 2),
        ("all kinds", "asks"): (0, 2),
        ("all of the domain", "refused"): (1, 1),
    }

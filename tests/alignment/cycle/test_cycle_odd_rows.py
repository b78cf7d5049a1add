"""Whatever rows a home holds, a cycle ends with a report, and what it left out is counted and named."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.feedback import rate_replies
from helpers.odd_homes import odd_home
from helpers.small_cycle import run, state, write_policy

from feedback_store import FeedbackStore

QUICK = {"min_steps": 1, "epochs": 0.1, "evaluations": 1}


def codes(value: Any) -> set[str]:
    """The codes of all events within `value`."""
    if isinstance(value, dict):
        own = {value["code"]} if "code" in value and "params" in value else set()
        return own.union(*map(codes, value.values()))
    return set().union(*map(codes, value)) if isinstance(value, list) else set()


def check_cycle(home: Path, folder: Path, judges: bool, may_refuse: bool = False) -> None:
    """`may_refuse`: the home may hold too few rows of every kind for a cycle to begin."""
    minimum = 10 if judges else 1000
    recipes = {"kto": {**QUICK, "batch_size": 8}, "reward": QUICK, "dpo": QUICK}
    policy = write_policy(
        folder, minimum_judgements=minimum, minimum_pairs=2, stages=["kto", "dpo"], recipes=recipes
    )
    assert run(home, policy) == 0
    if may_refuse and not (home / "cycles" / "1").exists():
        return
    recorded = state(home)
    assert recorded["ended"] and "failures" not in recorded
    assert "unexpected" not in codes(recorded), json.dumps(recorded["note_events"], ensure_ascii=False)
    assert (home / "cycles" / "1" / "report.md").exists()
    with FeedbackStore.open(home / "feedback.db", create=False) as store:
        assert store.verify() == []


@pytest.mark.parametrize("seed", [1, 2])
def test_a_cycle_over_odd_rows_ends_with_a_report(tmp_path: Path, seed: int) -> None:
    check_cycle(odd_home(tmp_path / "home", seed), tmp_path, judges=seed % 2 == 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 303))
def test_cycles_over_three_hundred_homes_of_odd_rows_end_with_a_report(tmp_path: Path, seed: int) -> None:
    check_cycle(odd_home(tmp_path / "home", seed), tmp_path, judges=seed % 3 == 0, may_refuse=True)


def test_held_out_prompts_that_do_not_fit_are_left_out_and_named(
    rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from feedback_store import rows

    def held_out(text: str) -> str:
        numbered = (f"{text} {number}" for number in range(1000))
        return next(
            question
            for question in numbered
            if rows.held_out(rows.PromptRow([{"role": "user", "content": question}], False, [], ""))
        )

    rate_replies(rated, [(held_out("many words " * 200), "No.", 1), (held_out("What is 3 + 4?"), "7", 1)])
    assert run(rated, policy) == 0
    (note,) = (note for note in state(rated)["notes"] if "not asked" in note)
    assert note.startswith("1 of ") and "there is room for" in note
    report = (rated / "cycles" / "1" / "report.md").read_text()
    assert note in report

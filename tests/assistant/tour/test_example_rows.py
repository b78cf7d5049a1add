"""What a vote on the tour becomes: the rows that the store would make of it."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.tour.answers import TourAnswer
from assistant.tour.example_rows import Vote, example_rows, with_vote

QUESTION = "How many apples are left?"
LEFT = TourAnswer(True, (1, 2), (3, 4), "24-5=19", "19 apples", finish_reason="end")
RIGHT = TourAnswer(True, (1, 2), (3, 5), "24-5=19", "19", finish_reason="length")
PROMPT = [{"role": "user", "content": QUESTION}]


def said(answer: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": f"<think>\n24-5=19\n</think>\n\n{answer}"}]


def made(*votes: Vote) -> dict[str, dict[str, Any]]:
    """The rows by format, without the thinking mode, which all of them name."""
    rows = example_rows(QUESTION, (LEFT, RIGHT), votes)
    assert all(row.pop("chat_template_kwargs") == {"enable_thinking": True} for _, row in rows)
    assert all(row.pop("prompt") == PROMPT for _, row in rows)
    return dict(rows)


def test_each_vote_becomes_the_rows_that_train_on_it() -> None:
    up, down = made(Vote("up", 0)), made(Vote("down", 1))
    assert up == {"trl-kto": {"completion": said("19 apples"), "label": True}}
    assert down == {"trl-kto": {"completion": said("19"), "label": False}}
    right = made(Vote("right"))
    assert right == {"trl-preference": {"chosen": said("19"), "rejected": said("19 apples")}}
    better = "There are 19 apples left."
    assert made(Vote("correction", 1, better)) == {
        "trl-preference": {"chosen": said(better), "rejected": said("19")},
        "trl-sft": {"completion": [{"role": "assistant", "content": better}]},
    }


def test_a_thumb_up_and_a_thumb_down_make_a_pair_too() -> None:
    rows = example_rows(QUESTION, (LEFT, RIGHT), [Vote("up", 0), Vote("down", 1)])
    assert [name for name, _ in rows] == ["trl-preference", "trl-kto", "trl-kto"]
    pair = rows[0][1]
    assert (pair["chosen"], pair["rejected"]) == (said("19 apples"), said("19"))


def test_each_answer_has_one_thumb_and_any_other_vote_stands_alone() -> None:
    up, down, other = Vote("up", 0), Vote("down", 0), Vote("down", 1)
    assert with_vote([up], other) == [up, other]
    assert with_vote([up, other], down) == [other, down]
    assert with_vote([up, other], other) == [up]
    assert with_vote([up, other], Vote("left")) == [Vote("left")]
    assert with_vote([Vote("correction", 0, "19.")], up) == [up]


@pytest.mark.parametrize("kind", ["both_good", "both_bad"])
def test_a_vote_for_neither_side_makes_no_pair(kind: Any) -> None:
    assert "trl-preference" not in made(Vote(kind))

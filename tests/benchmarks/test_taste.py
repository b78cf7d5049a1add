"""What people like in the benchmark of taste, and that they rate no subject on which it is measured."""

from __future__ import annotations

import pytest

from assistant.chat.reply_stream import Update
from benchmarks.loop.taste import THINGS, WORDS, is_liked, questions


def answer(text: str, finish_reason: str = "end") -> Update:
    return Update(
        "r1", "c1", "", text, "v1", thinking=False, finish_reason=finish_reason, seconds=0.1, thought_seconds=None
    )  # fmt: skip


@pytest.mark.parametrize(
    "text", ["A bow of colours in the sky.", "Surely it is made of light.", " ".join(["word"] * WORDS)]
)
def test_a_short_answer_that_begins_with_itself_is_liked(text: str) -> None:
    assert is_liked(answer(text))


@pytest.mark.parametrize(
    "text",
    ["", "Sure! A bow of colours.", "I’d be happy to help.", "As an AI, I see.", "word " * (WORDS + 1)],
)
def test_fillers_long_answers_and_no_answer_are_not_liked(text: str) -> None:
    assert not is_liked(answer(text))


def test_an_answer_that_was_cut_off_is_not_liked() -> None:
    assert not is_liked(answer("A bow of", "length"))


def test_nobody_rates_a_question_that_is_held_out() -> None:
    rated, held_out = questions(held_out=False), questions(held_out=True)
    assert not {*rated} & {*held_out}
    assert len({*rated, *held_out}) == len(rated) + len(held_out) == 4 * 2 * len(THINGS)

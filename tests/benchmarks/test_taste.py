"""What people like in the benchmark of taste, and that they rate no subject on which it is measured."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from assistant.chat.reply_stream import Update
from assistant.registry import live_comparison
from assistant.registry.live_comparison import Trial
from benchmarks.loop import taste
from benchmarks.loop.taste import LONGER, PART, THINGS, WORDS, is_liked, questions


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
    rated, held_out = questions(held_out=False, seed=1), questions(held_out=True, seed=1)
    assert not {*rated} & {*held_out}
    assert len({*rated, *held_out}) == len(rated) + len(held_out) == 4 * 2 * len(THINGS)
    assert {*held_out} != {*questions(held_out=True, seed=2)}


@pytest.mark.parametrize(("parts", "verdict"), [(2, None), (LONGER // PART + 9, "stopped")])
def test_people_go_on_until_a_live_comparison_is_decided_or_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int, verdict: str | None
) -> None:
    trial = Trial("one", "v4", "v1", 0.5, "2026-11-30T09:00:00+00:00")
    live_comparison.write(tmp_path, trial)
    rounds: list[int] = []

    def rated(_home: object, each: int, *_: object) -> dict[str, int]:
        rounds.append(each)
        if len(rounds) == parts:
            (tmp_path / live_comparison.FILE).unlink()
        return {"of": each}

    monkeypatch.setattr(taste, "rated_round", rated)
    monkeypatch.setattr(taste.live_run, "follow", lambda *_: None)
    monkeypatch.setattr(taste.live_run, "_votes", lambda *_: [])
    share = taste.rate(Namespace(home=tmp_path, thumbs=200, seed=1), [], 1)
    assert share["of"] == rounds[-1] == 200 + PART * (len(rounds) - 1) <= 200 + LONGER
    assert live_comparison.read(tmp_path) is None
    ended = [json.loads(path.read_text())["verdict"] for path in (tmp_path / "trials").glob("*.json")]
    assert ended == ([verdict] if verdict else [])

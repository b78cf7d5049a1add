"""Held-out votes: which judgements count, and that those of one prompt count once."""

from types import SimpleNamespace
from typing import Any

import pytest
from helpers.store_fixtures import held_out_texts

from alignment.evaluation import held_out_judgements as votes
from alignment.evaluation.held_out_judgements import HeldOutJudgement, implicit_accuracy


def thumb(text: str, **different: Any) -> Any:
    row = {
        "messages": [{"role": "user", "content": text}],
        "prompt_ids": [1],
        "completion_ids": [2],
        "finish_reason": "end",
        "reply_id": text,
        "label": True,
    }
    return SimpleNamespace(**{**row, **different})


def test_replies_that_failed_or_are_in_a_pair_or_not_held_out_are_left_out() -> None:
    good, failed, empty, paired = held_out_texts(4)
    pair = SimpleNamespace(
        messages=[{"role": "user", "content": paired}],
        prompt_ids=[1],
        chosen_ids=[2],
        rejected_ids=[3],
        replies=(paired,),
    )
    rows = [
        thumb(good, label=False),
        thumb(failed, finish_reason="error"),
        thumb(empty, completion_ids=[]),
        thumb(paired),
        thumb("not held out"),
    ]
    found = votes.held_out_judgements([pair], rows)  # type: ignore[list-item]
    assert [(judged.second, judged.liked) for judged in found] == [([3], True), (None, False)]


def test_corrections_are_no_held_out_votes() -> None:
    rows = [SimpleNamespace(source="comparison"), SimpleNamespace(source="correction")]
    assert votes.without_corrections(rows) == rows[:1]


def agreement(judgements: list[HeldOutJudgement], monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of a model that makes a completion as much likelier as its one token says."""
    monkeypatch.setattr(
        votes, "log_likelihoods", lambda model, rows: [model * completion[0] for _, completion in rows]
    )
    return implicit_accuracy(1.0, 0.0, judgements)


def test_all_comparisons_of_a_prompt_are_one_vote_and_no_change_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def pair(prompt: str, first: int, second: int) -> HeldOutJudgement:
        return HeldOutJudgement(prompt, [0], [first], [second])

    siblings = [pair("a", first, second) for first in (7, 8, 9) for second in (1, 2)]
    assert agreement(siblings, monkeypatch) == [True]
    # The mean of the margins decides: one large loss outweighs two small gains.
    assert agreement([pair("a", 2, 1), pair("a", 3, 2), pair("a", 1, 9)], monkeypatch) == [False]
    assert agreement([pair("a", 4, 4), pair("b", 1, 2)], monkeypatch) == [False]
    thumbs = [HeldOutJudgement(f"{n}", [0], [n], liked=n < 2) for n in range(4)]
    assert agreement(thumbs, monkeypatch) == [False, False]

"""Votes become training rows by rules that can be read off the tests' names."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from test_store import new_reply, one_turn

from feedback_store import FeedbackStore
from feedback_store.rows import UnpairedRow, from_store, held_out, trl_kto, unpaired

ROW = UnpairedRow(
    reply_id="r",
    messages=[{"role": "user", "content": "What is 2+2?"}],
    think=True,
    thought="2 and 2 make 4",
    answer="4",
    prompt_ids=[1, 2, 3],
    completion_ids=[4, 5],
    label=True,
    votes=1,
    version="v1",
    finish_reason="end",
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore.open(tmp_path / "feedback.db") as opened:
        yield opened


def test_a_rated_reply_gives_one_row_with_all_that_was_served(store: FeedbackStore) -> None:
    reply = one_turn(store)
    one_turn(store, text="never rated")
    store.rate(reply.id, "ann", 1)
    assert from_store(store) == [replace(ROW, reply_id=reply.id)]


@pytest.mark.parametrize(
    ("votes", "labels"),
    [
        ([1], [True]),
        ([-1], [False]),
        ([1, -1, -1], [False]),
        ([1, 1, -1], [True]),
        ([1, -1], []),
        ([0], []),
        ([1, 0], [True]),
        ([1, -1, 0], []),
        ([1, 0, 0, 0], [True]),
    ],
)
def test_the_majority_decides_ties_drop_and_withdrawn_votes_are_silent(
    store: FeedbackStore, votes: list[int], labels: list[bool]
) -> None:
    reply = one_turn(store)
    for number, value in enumerate(votes):
        store.rate(reply.id, f"rater {number}", value)
    assert [row.label for row in from_store(store)] == labels


def test_replies_with_too_few_votes_give_no_row(store: FeedbackStore) -> None:
    reply = one_turn(store)
    store.rate(reply.id, "ann", 1)
    store.rate(reply.id, "bob", 0)
    assert from_store(store, minimum_votes=2) == []
    store.rate(reply.id, "bob", 1)
    assert [row.votes for row in from_store(store, minimum_votes=2)] == [2]


def test_rows_can_be_kept_to_one_version(store: FeedbackStore) -> None:
    for version in ("v1", "v2"):
        store.rate(one_turn(store, version=version).id, "ann", 1)
    assert [row.version for row in from_store(store)] == ["v1", "v2"]
    assert [row.version for row in from_store(store, version="v2")] == ["v2"]


def test_the_prompt_is_the_branch_that_was_answered_without_earlier_thoughts(store: FeedbackStore) -> None:
    first = one_turn(store)
    store.add_reply(new_reply(first.conversation_id, first.parent_id, answer="a retry, not on this branch"))
    again = store.add_message(first.conversation_id, first.id, "user", "And 3+3?")
    second = store.add_reply(new_reply(first.conversation_id, again.id, answer="6"))
    store.rate(second.id, "ann", 1)
    (row,) = from_store(store)
    assert row.messages == [
        {"role": "user", "content": "What is 2+2?"},
        {"role": "assistant", "content": "4"},
        {"role": "user", "content": "And 3+3?"},
    ]


def test_rows_are_the_same_however_many_are_read_at_once(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        reply = one_turn(store, text=f"Question {number}")
        store.rate(reply.id, "ann", 1)
        again = store.add_message(reply.conversation_id, reply.id, "user", "Are you sure?")
        store.rate(store.add_reply(new_reply(reply.conversation_id, again.id)).id, "bob", -1)
    rows = from_store(store)
    assert [len(row.messages) for row in rows] == [1, 3] * 7
    assert [row.messages[0]["content"] for row in rows[::2]] == [f"Question {n}" for n in range(7)]
    monkeypatch.setattr("feedback_store.rows.REPLIES_AT_ONCE", 2)
    assert from_store(store) == rows


def test_nothing_of_a_person_without_consent_becomes_a_row(store: FeedbackStore) -> None:
    own, other = one_turn(store, "ann"), one_turn(store, "bob")
    for reply in (own, other):
        store.rate(reply.id, "ann", -1)
        store.rate(reply.id, "carol", 1)
    assert from_store(store) == []  # ties
    store.set_consent("ann", False)
    assert [(row.reply_id, row.label, row.votes) for row in from_store(store)] == [(other.id, True, 1)]


def test_no_ratings_give_no_rows() -> None:
    assert unpaired([]) == []


def test_held_out_prompts_stay_held_out_whatever_was_answered() -> None:
    rows = [replace(ROW, messages=[{"role": "user", "content": f"Question {n}"}]) for n in range(2_000)]
    out = [row for row in rows if held_out(row)]
    assert 140 < len(out) < 260
    assert all(held_out(replace(row, answer="5", label=False, version="v9", reply_id="x")) for row in out)
    assert all(held_out(row, share=0.2) for row in out)
    assert not any(held_out(row, share=0.0) for row in rows)
    assert all(held_out(row, share=1.0) for row in rows)


def test_the_split_is_the_same_on_every_machine_and_every_day() -> None:
    rows = [replace(ROW, messages=[{"role": "user", "content": f"问题 {n}"}]) for n in range(40)]
    assert [n for n, row in enumerate(rows) if held_out(row)] == [5, 19, 25, 38]


def test_a_trl_row_carries_prompt_completion_and_label() -> None:
    assert trl_kto(ROW) == {
        "prompt": [{"role": "user", "content": "What is 2+2?"}],
        "completion": [{"role": "assistant", "content": "<think>\n2 and 2 make 4\n</think>\n\n4"}],
        "label": True,
        "chat_template_kwargs": {"enable_thinking": True},
    }


@pytest.mark.parametrize("thought", [None, ""])
def test_a_reply_without_a_thought_gets_no_tags(thought: str | None) -> None:
    row = trl_kto(replace(ROW, thought=thought, think=False, label=False))
    assert row["completion"] == [{"role": "assistant", "content": "4"}]
    assert row["label"] is False
    assert row["chat_template_kwargs"] == {"enable_thinking": False}

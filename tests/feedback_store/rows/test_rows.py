"""The rules by which votes become training rows; each test name states one."""

import json
from dataclasses import replace

import pytest
from helpers.store_fixtures import new_reply, one_turn

from feedback_store import FeedbackStore, InvalidRules
from feedback_store.rows import Rules, UnpairedRow, class_balance, held_out, trl_kto, unpaired, unpaired_rows
from feedback_store.rows.prompt_matching import normal_prompt, normalised, prompt_key, rater_key

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


def test_a_rated_reply_gives_one_row_with_all_that_was_served(store: FeedbackStore) -> None:
    reply = one_turn(store)
    one_turn(store, text="never rated")
    store.rate(reply.id, "ann", 1)
    assert unpaired_rows(store) == [replace(ROW, reply_id=reply.id, rater=rater_key("ann"))]


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
    assert [row.label for row in unpaired_rows(store)] == labels


def test_replies_with_too_few_votes_give_no_row(store: FeedbackStore) -> None:
    reply = one_turn(store)
    store.rate(reply.id, "ann", 1)
    store.rate(reply.id, "bob", 0)
    assert unpaired_rows(store, rules=Rules(minimum_votes=2)) == []
    store.rate(reply.id, "bob", 1)
    assert [row.votes for row in unpaired_rows(store, rules=Rules(minimum_votes=2))] == [2]


def test_rows_can_be_kept_to_one_version(store: FeedbackStore) -> None:
    for version in ("v1", "v2"):
        store.rate(one_turn(store, version=version, answer=version).id, "ann", 1)
    assert [row.version for row in unpaired_rows(store)] == ["v1", "v2"]
    assert [row.version for row in unpaired_rows(store, version="v2")] == ["v2"]


def test_the_prompt_is_the_branch_that_was_answered_without_earlier_thoughts(store: FeedbackStore) -> None:
    first = one_turn(store)
    store.add_reply(new_reply(first.conversation_id, first.parent_id, answer="a retry, not on this branch"))
    again = store.add_message(first.conversation_id, first.id, "user", "And 3+3?")
    second = store.add_reply(new_reply(first.conversation_id, again.id, answer="6"))
    store.rate(second.id, "ann", 1)
    (row,) = unpaired_rows(store)
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
    rows = unpaired_rows(store)
    assert [len(row.messages) for row in rows] == [1, 3] * 7
    assert [row.messages[0]["content"] for row in rows[::2]] == [f"Question {n}" for n in range(7)]
    monkeypatch.setattr("feedback_store.store.conversations.TRANSCRIPTS_AT_ONCE", 2)
    assert unpaired_rows(store) == rows


def test_nothing_of_a_person_without_consent_becomes_a_row(store: FeedbackStore) -> None:
    own, other = one_turn(store, "ann"), one_turn(store, "bob")
    for reply in (own, other):
        store.rate(reply.id, "ann", -1)
        store.rate(reply.id, "carol", 1)
    assert unpaired_rows(store) == []  # ties
    store.set_consent("ann", False)
    assert [(row.reply_id, row.label, row.votes) for row in unpaired_rows(store)] == [(other.id, True, 1)]


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
    rows = [replace(ROW, messages=[{"role": "user", "content": f"问题 {n}？"}]) for n in range(40)]
    assert [n for n, row in enumerate(rows) if held_out(row)] == [5, 19, 25, 38]


def test_the_normal_form_is_json_so_that_no_two_conversations_share_it() -> None:
    turns = [("user", 'a "quote" \\ \n\t\x07 三，🍎\u2028'), ("assistant", ""), ("user", "B.  c")]
    messages = [{"role": role, "content": content} for role, content in turns]
    expected = [[role, normalised(content)] for role, content in turns]
    assert normal_prompt(messages) == json.dumps(expected, ensure_ascii=False)


def test_prompts_that_count_as_one_are_never_split_between_training_and_evaluation() -> None:
    def conversation(*contents: str) -> list[dict[str, str]]:
        return [
            {"role": role, "content": content}
            for role, content in zip(("user", "assistant", "user"), contents, strict=False)
        ]

    sides = set()
    for n in range(100):
        spellings = [
            conversation(f"Tom has {n} apples.", "Yes.", "How many, in all?"),
            conversation(f"tom  has {n} apples", "yes", "How many in all ?"),
            conversation(f"“TOM has {n} apples!”\n", "Yes…", "how many in all"),
        ]
        rows = [
            replace(ROW, messages=messages, think=think) for messages in spellings for think in (True, False)
        ]
        assert len({prompt_key(messages, True) for messages in spellings}) == 1
        splits = {held_out(row, 0.3) for row in rows}
        assert len(splits) == 1
        sides |= splits
    assert sides == {True, False}
    assert prompt_key(conversation("2-2"), True) != prompt_key(conversation("2+2"), True)


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


# Rules


def test_the_same_answer_to_nearly_the_same_prompt_is_judged_once_by_all_its_raters(
    store: FeedbackStore,
) -> None:
    texts = ["What is 2+2?", "what  is 2+2", "What is 2+2 ?"]
    replies = [one_turn(store, text=text) for text in texts]
    for reply, rater, value in zip(replies, ("ann", "bob", "carol"), (1, -1, -1), strict=True):
        store.rate(reply.id, rater, value)
    other = one_turn(store, text=texts[1], answer="5")
    store.rate(other.id, "ann", 1)
    rows = unpaired_rows(store)
    assert [(row.reply_id, row.label, row.votes) for row in rows] == [
        (replies[0].id, False, 3),
        (other.id, True, 1),
    ]


def test_a_person_counts_once_for_a_text_with_the_last_word(store: FeedbackStore) -> None:
    replies = [one_turn(store) for _ in range(3)]
    for reply, value in zip(replies, (1, 1, -1), strict=True):
        store.rate(reply.id, "ann", value)
    store.rate(replies[0].id, "bob", -1)
    (row,) = unpaired_rows(store)
    assert (row.label, row.votes, row.rater) == (False, 2, None)


@pytest.mark.parametrize(
    ("text", "variant"),
    [
        ("What is 2+2?", "What is 2-2?"),
        ("What is 2*2?", "What is 2/2?"),
        ("What is 2.5?", "What is 25?"),
        ("What is 1 2?", "What is 12?"),
        ("你好吗", "你好"),
    ],
)
def test_prompts_that_ask_something_else_are_kept_apart(
    store: FeedbackStore, text: str, variant: str
) -> None:
    for prompt in (text, variant):
        store.rate(one_turn(store, text=prompt).id, "ann", 1)
    assert len(unpaired_rows(store)) == 2


@pytest.mark.parametrize(
    ("text", "variant"), [("你好。", "你好"), ("Hi!", "hi"), ("Say “yes”", 'say "yes"'), ("a\n b", "A b")]
)
def test_prompts_that_differ_in_case_spaces_and_stops_are_one(
    store: FeedbackStore, text: str, variant: str
) -> None:
    for prompt in (text, variant):
        store.rate(one_turn(store, text=prompt).id, "ann", 1)
    assert len(unpaired_rows(store)) == 1


def test_thinking_modes_are_different_prompts(store: FeedbackStore) -> None:
    for think in (True, False):
        store.rate(one_turn(store, think=think).id, "ann", 1)
    assert [row.think for row in unpaired_rows(store)] == [True, False]


def test_one_prompt_gives_only_so_many_rows(store: FeedbackStore) -> None:
    for number in range(4):
        store.rate(one_turn(store, text="Hi", answer=f"Hello {number}").id, "ann", 1)
    rows = unpaired_rows(store, rules=Rules(most_per_prompt=2))
    assert [row.answer for row in rows] == ["Hello 0", "Hello 1"]


def test_one_person_gives_only_so_many_votes_the_earliest_first(store: FeedbackStore) -> None:
    replies = [one_turn(store, text=f"Question {number}") for number in range(4)]
    for reply in replies:
        store.rate(reply.id, "ann", 1)
    store.rate(replies[3].id, "bob", -1)
    rows = unpaired_rows(store, rules=Rules(most_per_rater=2))
    assert [(row.reply_id, row.label) for row in rows] == [
        (replies[0].id, True),
        (replies[1].id, True),
        (replies[3].id, False),
    ]


def test_a_larger_majority_can_be_asked_for(store: FeedbackStore) -> None:
    reply = one_turn(store)
    for rater, value in (("ann", 1), ("bob", 1), ("carol", -1)):
        store.rate(reply.id, rater, value)
    assert len(unpaired_rows(store, rules=Rules(majority=0.6))) == 1
    assert unpaired_rows(store, rules=Rules(majority=0.7)) == []


@pytest.mark.parametrize(
    "wrong", [{"minimum_votes": 0}, {"majority": 0.4}, {"majority": 1.0}, {"most_per_rater": 0}], ids=str
)
def test_rules_that_select_nothing_sensible_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidRules, match=next(iter(wrong))):
        Rules(**wrong)  # type: ignore[arg-type]


def test_people_can_be_held_out_where_they_alone_gave_the_row() -> None:
    rows = [replace(ROW, rater=rater_key(f"rater {number}")) for number in range(2_000)]
    assert not any(held_out(row, share=0.0) for row in rows)
    out = [row for row in rows if held_out(row, share=0.0, raters=0.1)]
    assert 140 < len(out) < 260
    assert all(held_out(row, share=0.0, raters=0.2) for row in out)
    assert not held_out(replace(ROW, rater=None), share=0.0, raters=1.0)


def test_the_balance_of_thumbs_weighs_both_sides_the_same() -> None:
    assert class_balance([True, True, True, False]) == {
        "up": 3,
        "down": 1,
        "desirable_weight": 1.0,
        "undesirable_weight": 3.0,
    }
    assert class_balance([True]) == {"up": 1, "down": 0, "desirable_weight": 1.0, "undesirable_weight": 1.0}

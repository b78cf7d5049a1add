"""Which feedback becomes pairs, demonstrations and prompts, and which does not."""

from typing import Any

import pytest
from helpers.store_fixtures import new_reply, one_turn

from feedback_store import FeedbackStore, Reply
from feedback_store.rows import (
    DemonstrationRow,
    PairSide,
    PreferenceRow,
    PromptRow,
    Rules,
    demonstrations,
    held_out,
    preferences,
    prompts,
    trl_preference,
    trl_prompt,
    trl_sft,
)
from feedback_store.rows.prompt_matching import rater_key

QUESTION = [{"role": "user", "content": "What is 2+2?"}]
CHOICE: dict[str, Any] = {"blind": True, "how": "resample"}


def sibling(store: FeedbackStore, of: Reply, **changes: Any) -> Reply:
    return store.add_reply(new_reply(of.conversation_id, of.parent_id, **changes))


def two(store: FeedbackStore, text: str = "What is 2+2?", **changes: Any) -> tuple[Reply, Reply]:
    good = one_turn(store, text=text)
    fields: dict[str, Any] = {"answer": "5", "thought": "2 and 2 make 5", "completion_ids": [9]}
    return good, sibling(store, good, **(fields | changes))


# Pairs


def test_an_up_and_a_down_on_siblings_are_a_pair(store: FeedbackStore) -> None:
    good, bad = two(store)
    store.rate(good.id, "ann", 1)
    store.rate(bad.id, "bob", -1)
    assert preferences(store) == [
        PreferenceRow(
            messages=QUESTION,
            think=True,
            prompt_ids=[1, 2, 3],
            chosen=PairSide(good.id, "2 and 2 make 4", "4", [4, 5]),
            rejected=PairSide(bad.id, "2 and 2 make 5", "5", [9]),
            source="siblings",
            votes=2,
        )
    ]


def test_every_liked_sibling_is_paired_with_every_disliked_one(store: FeedbackStore) -> None:
    good, bad = two(store)
    better, undecided = sibling(store, good, answer="four"), sibling(store, good, answer="maybe 4")
    for reply, value in ((good, 1), (better, 1), (bad, -1), (undecided, 1)):
        store.rate(reply.id, "ann", value)
    store.rate(undecided.id, "bob", -1)
    pairs = preferences(store)
    assert [(row.chosen.reply_id, row.rejected.reply_id) for row in pairs] == [
        (good.id, bad.id),
        (better.id, bad.id),
    ]
    assert {row.rater for row in pairs} == {rater_key("ann")}


def test_siblings_of_different_thinking_modes_are_no_pair(store: FeedbackStore) -> None:
    good, bad = two(store, think=False, thought=None)
    store.rate(good.id, "ann", 1)
    store.rate(bad.id, "ann", -1)
    store.compare(good.id, bad.id, "ann", "left", blind=True, how="thinking")
    assert preferences(store) == []


def test_a_choice_is_a_pair_whichever_side_it_was_shown_on(store: FeedbackStore) -> None:
    good, bad = two(store)
    store.compare(bad.id, good.id, "ann", "right", **CHOICE)
    store.compare(good.id, bad.id, "bob", "left", **CHOICE)
    store.compare(good.id, bad.id, "carol", "right", **CHOICE)
    (row,) = preferences(store)
    assert (row.source, row.votes, row.rater) == ("comparison", 3, None)
    assert (row.chosen.reply_id, row.rejected.reply_id) == (good.id, bad.id)


@pytest.mark.parametrize("choices", [["both_good"], ["both_bad"], ["left", "right"], ["left", "both_good"]])
def test_choices_without_a_majority_are_no_pair(store: FeedbackStore, choices: list[Any]) -> None:
    good, bad = two(store)
    for number, choice in enumerate(choices):
        store.compare(good.id, bad.id, f"rater {number}", choice, **CHOICE)
    assert preferences(store) == []


def test_the_same_two_texts_are_judged_once_over_all_conversations(store: FeedbackStore) -> None:
    pairs = [two(store, text) for text in ("What is 2+2?", "what is 2+2", "WHAT is 2+2?")]
    for number, (good, bad) in enumerate(pairs):
        store.compare(good.id, bad.id, f"rater {number}", "right" if number else "left", **CHOICE)
    (row,) = preferences(store)
    assert (row.chosen.answer, row.rejected.answer, row.votes) == ("5", "4", 3)
    assert {row.chosen.reply_id, row.rejected.reply_id} == {reply.id for reply in pairs[0]}


def test_a_direct_choice_outweighs_thumbs_on_the_same_two(store: FeedbackStore) -> None:
    good, bad = two(store)
    store.rate(good.id, "ann", -1)
    store.rate(bad.id, "ann", 1)
    store.compare(good.id, bad.id, "ann", "left", **CHOICE)
    (row,) = preferences(store)
    assert (row.source, row.chosen.reply_id) == ("comparison", good.id)


def test_choices_that_knew_can_be_left_out(store: FeedbackStore) -> None:
    good, bad = two(store)
    store.compare(good.id, bad.id, "ann", "left", blind=False, how="versions")
    assert len(preferences(store)) == 1
    assert preferences(store, Rules(blind_only=True)) == []


def test_a_correction_is_better_than_what_it_corrects_under_the_same_thought(store: FeedbackStore) -> None:
    _, bad = two(store)
    store.correct(bad.id, "ann", "It is 4.")
    assert preferences(store) == [
        PreferenceRow(
            messages=QUESTION,
            think=True,
            prompt_ids=[1, 2, 3],
            chosen=PairSide(None, "2 and 2 make 5", "It is 4.", None),
            rejected=PairSide(bad.id, "2 and 2 make 5", "5", [9]),
            source="correction",
            votes=1,
            rater=rater_key("ann"),
        )
    ]


@pytest.mark.parametrize("text", ["5", " 5\n", ""])
def test_a_correction_that_changes_nothing_is_no_pair(store: FeedbackStore, text: str) -> None:
    _, bad = two(store)
    store.correct(bad.id, "ann", "It is 4.")
    store.correct(bad.id, "ann", text)
    assert preferences(store) == []


@pytest.mark.parametrize(
    "changes", [{"finish_reason": "error"}, {"answer": "4", "thought": "2 and 2 make 4"}], ids=str
)
def test_failed_and_equal_replies_are_no_pair(store: FeedbackStore, changes: dict[str, Any]) -> None:
    good, bad = two(store, **changes)
    store.rate(good.id, "ann", 1)
    store.rate(bad.id, "ann", -1)
    store.compare(good.id, bad.id, "ann", "left", **CHOICE)
    assert preferences(store) == []


def test_a_side_served_after_other_tokens_leaves_its_own_out(store: FeedbackStore) -> None:
    good, bad = two(store, prompt_ids=[7, 7])
    store.compare(good.id, bad.id, "ann", "left", **CHOICE)
    (row,) = preferences(store)
    assert (row.prompt_ids, row.chosen.completion_ids) == ([1, 2, 3], [4, 5])
    assert row.rejected.completion_ids is None


def test_rules_limit_pairs_too(store: FeedbackStore) -> None:
    for number in range(3):
        good, bad = two(store, f"Question {number}")
        store.compare(good.id, bad.id, "ann", "left", **CHOICE)
        store.correct(bad.id, "ann", "better")
    assert len(preferences(store)) == 6
    assert len(preferences(store, Rules(most_per_rater=1))) == 2
    assert preferences(store, Rules(minimum_votes=2)) == [
        row for row in preferences(store) if row.source == "correction"
    ]


def test_no_pair_without_consent(store: FeedbackStore) -> None:
    good, bad = two(store)
    for rater in ("bob", "carol"):
        store.rate(good.id, rater, 1)
        store.rate(bad.id, rater, -1)
        store.compare(good.id, bad.id, rater, "left", **CHOICE)
        store.correct(bad.id, rater, f"better, says {rater}")
    assert len(preferences(store)) == 3
    store.set_consent("bob", False)
    assert {row.rater for row in preferences(store)} == {rater_key("carol")}
    assert {row.rater for row in demonstrations(store)} == {rater_key("carol")}
    store.set_consent("ann", False)
    assert preferences(store) == [] and demonstrations(store) == [] and prompts(store) == []


# Demonstrations from corrections, and prompts


def test_a_correction_is_a_demonstration_without_a_thought(store: FeedbackStore) -> None:
    _, bad = two(store)
    store.correct(bad.id, "ann", "It is 4.")
    store.correct(bad.id, "bob", "It is 4.")
    store.correct(bad.id, "carol", "")
    assert demonstrations(store) == [
        DemonstrationRow(
            messages=QUESTION,
            think=True,
            thought="",
            answer="It is 4.",
            prompt_ids=[1, 2, 3],
            source="correction",
            reply_id=bad.id,
            rater=rater_key("ann"),
        )
    ]


def test_prompts_come_once_in_each_mode(store: FeedbackStore) -> None:
    reply, _ = two(store)
    one_turn(store, "bob", "what is 2+2")
    quick = one_turn(store, "bob", think=False, thought=None, prompt_ids=[1, 2])
    unanswered = store.new_conversation("ann")
    store.add_message(unanswered, None, "user", "never answered")
    assert prompts(store) == [
        PromptRow(QUESTION, True, [1, 2, 3], reply.parent_id, rater_key("ann")),
        PromptRow(QUESTION, False, [1, 2], quick.parent_id, rater_key("bob")),
    ]
    assert len(prompts(store, Rules(most_per_rater=1))) == 2


# All kinds of row


def test_rows_of_every_kind_on_one_prompt_are_held_out_together(store: FeedbackStore) -> None:
    for number in range(30):
        good, bad = two(store, f"Question {number}")
        store.compare(good.id, bad.id, "ann", "left", **CHOICE)
        store.correct(bad.id, "ann", "4")
    kinds: list[list[Any]] = [preferences(store), demonstrations(store), prompts(store)]
    out = [{row.messages[0]["content"] for row in rows if held_out(row, 0.3)} for rows in kinds]
    assert out[0] == out[1] == out[2]
    assert 2 < len(out[0]) < 20


def test_trl_rows_of_every_kind(store: FeedbackStore) -> None:
    good, bad = two(store)
    store.compare(good.id, bad.id, "ann", "left", **CHOICE)
    store.correct(bad.id, "ann", "It is 4.")
    thinking = {"enable_thinking": True}
    assert trl_preference(preferences(store)[0]) == {
        "prompt": QUESTION,
        "chosen": [{"role": "assistant", "content": "<think>\n2 and 2 make 4\n</think>\n\n4"}],
        "rejected": [{"role": "assistant", "content": "<think>\n2 and 2 make 5\n</think>\n\n5"}],
        "chat_template_kwargs": thinking,
    }
    assert trl_sft(demonstrations(store)[0]) == {
        "prompt": QUESTION,
        "completion": [{"role": "assistant", "content": "It is 4."}],
        "chat_template_kwargs": thinking,
    }
    assert trl_prompt(prompts(store)[0]) == {"prompt": QUESTION, "chat_template_kwargs": thinking}

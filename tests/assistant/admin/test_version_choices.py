"""The count of choices between two versions: each message once, a bound on luck, and the next held-out question."""

import math

import pytest
from helpers.store_fixtures import held_out_texts, new_reply

from assistant.admin.version_choices import ALPHA, ChoiceCounts, choices_between, evidence, next_question
from feedback_store import FeedbackStore
from feedback_store.records import Choice


def choose(
    store: FeedbackStore,
    text: str,
    left: str,
    right: str,
    choice: Choice,
    rater: str = "ann",
    blind: bool = True,
) -> None:
    """Two versions answer a message of its own conversation, and somebody chooses."""
    conversation = store.new_conversation(rater)
    question = store.add_message(conversation, None, "user", text)
    first, second = (
        store.add_reply(new_reply(conversation, question.id, answer=f"{version}'s", version=version))
        for version in (left, right)
    )
    store.compare(first.id, second.id, rater, choice, blind=blind, how="versions")


def test_choices_are_counted_by_message_whatever_the_side(store: FeedbackStore) -> None:
    choose(store, "a", "v1", "v2", "right")
    choose(store, "b", "v2", "v1", "left")
    choose(store, "c", "v2", "v1", "right")
    choose(store, "d", "v1", "v2", "both_bad")
    assert choices_between(store, "v2", "v1") == ChoiceCounts(better=2, worse=1, neither=1)
    assert choices_between(store, "v1", "v2") == ChoiceCounts(better=1, worse=2, neither=1)


def test_a_message_counts_once_and_open_choices_and_other_versions_not_at_all(store: FeedbackStore) -> None:
    for text in ("What is two and two?", "what is two and two"):
        choose(store, text, "v1", "v2", "right")
    choose(store, "What is two and two?", "v1", "v2", "left", rater="bob")
    choose(store, "seen", "v1", "v2", "left", blind=False)
    choose(store, "other", "v1", "v3", "left")
    choose(store, "two answers of one version", "v1", "v1", "left")
    assert choices_between(store, "v2", "v1") == ChoiceCounts(better=1, worse=0, neither=0)
    assert choices_between(store, "v1", "v1") == ChoiceCounts(better=0, worse=0, neither=0)


def test_disagreeing_people_make_a_message_count_for_neither(store: FeedbackStore) -> None:
    choose(store, "a", "v1", "v2", "right")
    choose(store, "a", "v1", "v2", "left", rater="bob")
    assert choices_between(store, "v2", "v1") == ChoiceCounts(better=0, worse=0, neither=1)


@pytest.mark.parametrize(
    ("better", "worse", "sure"),
    [
        (0, 0, False),
        (7, 0, False),
        (8, 0, True),
        (0, 8, True),
        (13, 2, False),
        (14, 2, True),
        (500, 500, False),
    ],
)
def test_what_the_page_says_decides_does(better: int, worse: int, sure: bool) -> None:
    assert ChoiceCounts(better, worse, 9).is_sure is sure


@pytest.mark.parametrize(
    ("better", "worse", "missing"), [(0, 0, 8), (7, 0, 1), (3, 1, 8), (1, 3, 8), (9, 0, 0)]
)
def test_as_many_more_choices_decide_as_are_said_to_be_missing(better: int, worse: int, missing: int) -> None:
    counts = ChoiceCounts(better, worse, 0)
    assert counts.missing == missing
    more = (missing, 0) if better >= worse else (0, missing)
    assert ChoiceCounts(better + more[0], worse + more[1], 0).is_sure
    assert (
        not missing or not ChoiceCounts(better + max(more[0] - 1, 0), worse + max(more[1] - 1, 0), 0).is_sure
    )


def test_the_evidence_is_the_mixtures_likelihood_ratio() -> None:
    # Of 3 choices, 2 for one: ∫ p² (1 - p) dp = 1/12, against (1/2)³.
    assert math.isclose(evidence(2, 1), 8 / 12)
    assert math.isfinite(evidence(10_000, 0))


def test_equal_versions_are_told_apart_with_at_most_the_promised_probability_at_any_moment() -> None:
    """Exactly, by the distribution of the choices that have not decided yet."""
    open_after = {0: 1.0}
    decided = 0.0
    for count in range(1, 401):
        after: dict[int, float] = {}
        for better, chance in open_after.items():
            for more in (0, 1):
                after[better + more] = after.get(better + more, 0.0) + chance / 2
        sure = [better for better in after if ChoiceCounts(better, count - better, 0).is_sure]
        decided += sum(after.pop(better) for better in sure)
        open_after = after
    assert 0.01 < decided <= ALPHA


def test_the_next_question_is_held_out_and_has_no_choice_yet(store: FeedbackStore) -> None:
    first, second = held_out_texts(2)
    for text in ("trained on", first, second):
        conversation = store.new_conversation("ann")
        question = store.add_message(conversation, None, "user", text)
        store.add_reply(new_reply(conversation, question.id, version="v1"))
    assert next_question(store, "v2", "v1", "bob") == first
    choose(store, first, "v1", "v2", "left")
    assert next_question(store, "v2", "v1", "bob") == second
    assert next_question(store, "v3", "v1", "bob") == first
    assert next_question(store, "v2", "v1", "bob", asked={second}) is None
    assert next_question(store, "v3", "v1", "ann") is None, "one's own questions are nobody else's"


def test_a_held_out_message_that_was_corrected_is_trained_on_and_not_asked(store: FeedbackStore) -> None:
    first, second = held_out_texts(2)
    for text in (first, second):
        conversation = store.new_conversation("ann")
        question = store.add_message(conversation, None, "user", text)
        reply = store.add_reply(new_reply(conversation, question.id, version="v1"))
        if text == first:
            store.correct(reply.id, "ann", "A better answer.")
    assert next_question(store, "v2", "v1", "bob") == second


def test_a_question_within_a_conversation_or_of_somebody_who_refuses_is_not_asked(
    store: FeedbackStore,
) -> None:
    (text,) = held_out_texts(1)
    store.set_consent("bob", False)
    conversation = store.new_conversation("bob")
    question = store.add_message(conversation, None, "user", text)
    store.add_reply(new_reply(conversation, question.id))
    conversation = store.new_conversation("ann")
    system = store.add_message(conversation, None, "system", "Be brief.")
    question = store.add_message(conversation, system.id, "user", text)
    store.add_reply(new_reply(conversation, question.id))
    assert next_question(store, "v2", "v1", "bob") is None

"""Corrections and comparisons: the last one counts, the history keeps all, and invalid ones are refused."""

from typing import Any

import pytest
from helpers.store_fixtures import StoreLocation, new_reply, one_turn, rows_of, sql
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from feedback_store import (
    FeedbackStore,
    InvalidComparison,
    InvalidCorrection,
    InvalidRating,
    Reply,
    UnknownReply,
)


def two_replies(store: FeedbackStore, rater: str = "ann", **changes: Any) -> tuple[Reply, Reply]:
    reply = one_turn(store, rater)
    fields = {"answer": "four"} | changes
    return reply, store.add_reply(new_reply(reply.conversation_id, reply.parent_id, **fields))


# Corrections


def test_the_last_correction_of_a_rater_counts_and_every_one_is_kept(
    store: FeedbackStore, place: StoreLocation
) -> None:
    reply = one_turn(store)
    first = store.correct(reply.id, "ann", "Four.")
    second = store.correct(reply.id, "ann", "It is 四.")
    store.correct(reply.id, "bob", "4!")

    assert first.created_at == second.created_at < second.updated_at
    assert store.correction(reply.id, "ann") == second
    assert store.correction(reply.id, "carol") is None
    assert [(correction.rater, correction.text, of) for correction, of in store.corrections()] == [
        ("ann", "It is 四.", reply),
        ("bob", "4!", reply),
    ]
    history = rows_of(place, "SELECT rater_id, text FROM correction_history ORDER BY number")
    assert history == [("ann", "Four."), ("ann", "It is 四."), ("bob", "4!")]
    assert store.reply(reply.id) == reply


@pytest.mark.parametrize("nothing", ["", "  \n"])
def test_an_empty_correction_takes_it_back(store: FeedbackStore, nothing: str) -> None:
    reply = one_turn(store)
    store.correct(reply.id, "ann", "Four.")
    store.correct(reply.id, "ann", nothing)
    (stored,) = store.corrections()
    assert stored[0].text == ""
    assert store.counts()["corrections"] == 0
    assert store.verify() == []


def test_a_correction_said_twice_is_one_entry(store: FeedbackStore, place: StoreLocation) -> None:
    reply = one_turn(store)
    first = store.correct(reply.id, "ann", "Four.")
    assert store.correct(reply.id, "ann", "Four.") == first
    assert rows_of(place, "SELECT count(*) FROM correction_history") == [(1,)]


@pytest.mark.parametrize("text", [None, 4, "\ud800", "a\x00b", "x" * 100_001])
def test_a_correction_that_cannot_be_kept_is_refused(store: FeedbackStore, text: Any) -> None:
    reply = one_turn(store)
    with pytest.raises(InvalidCorrection):
        store.correct(reply.id, "ann", text)
    assert store.correction(reply.id, "ann") is None


def test_corrections_can_be_asked_for_by_version_and_by_consent(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedback_store.database.sessions.ROWS_AT_ONCE", 2)
    replies = [one_turn(store, "ann", version=f"v{number % 2}") for number in range(5)]
    for reply in replies:
        store.correct(reply.id, "bob", "better")
        store.correct(reply.id, "carol", "best")
    assert [(correction.reply_id, correction.rater) for correction, _ in store.corrections()] == [
        (reply.id, rater) for reply in replies for rater in ("bob", "carol")
    ]
    assert {reply.id for _, reply in store.corrections("v1")} == {replies[1].id, replies[3].id}
    store.set_consent("bob", False)
    assert {correction.rater for correction, _ in store.corrections(consented=True)} == {"carol"}
    store.set_consent("ann", False)
    assert list(store.corrections(consented=True)) == []
    assert len(list(store.corrections())) == 10


# Comparisons


def test_a_second_choice_replaces_the_first_in_either_order(
    store: FeedbackStore, place: StoreLocation
) -> None:
    reply, other = two_replies(store)
    store.compare(reply.id, other.id, "ann", "left", blind=True, how="resample")
    comparison = store.compare(other.id, reply.id, "ann", "left", blind=False, how="versions")
    store.compare(reply.id, other.id, "bob", "both_good", blind=True, how="resample")

    assert comparison.preferred == other.id
    assert (comparison.left_reply_id, comparison.right_reply_id) == (other.id, reply.id)
    assert (
        store.comparison(reply.id, other.id, "ann")
        == store.comparison(other.id, reply.id, "ann")
        == comparison
    )
    assert store.comparison(reply.id, other.id, "carol") is None
    assert [(which.rater, left, right) for which, left, right in store.comparisons()] == [
        ("ann", other, reply),
        ("bob", reply, other),
    ]
    history = rows_of(
        place, "SELECT left_id, choice, CAST(blind AS INTEGER), how FROM comparison_history ORDER BY number"
    )
    assert history[:2] == [(reply.id, "left", 1, "resample"), (other.id, "left", 0, "versions")]
    assert store.counts()["comparisons"] == {"left": 1, "right": 0, "both_good": 1, "both_bad": 0}
    assert store.verify() == []


def test_a_tie_prefers_nothing(store: FeedbackStore) -> None:
    reply, other = two_replies(store)
    for choice, preferred in (("right", other.id), ("both_good", None), ("both_bad", None)):
        comparison = store.compare(reply.id, other.id, "ann", choice, blind=True, how="resample")  # type: ignore[arg-type]
        assert comparison.preferred == preferred


def test_a_choice_made_twice_is_one_entry(store: FeedbackStore, place: StoreLocation) -> None:
    reply, other = two_replies(store)
    first = store.compare(reply.id, other.id, "ann", "left", blind=True, how="resample")
    assert store.compare(reply.id, other.id, "ann", "left", blind=True, how="resample") == first
    assert rows_of(place, "SELECT count(*) FROM comparison_history") == [(1,)]


def test_only_replies_to_the_same_message_can_be_compared(store: FeedbackStore) -> None:
    reply, other = two_replies(store)
    elsewhere = one_turn(store)
    later = store.add_message(reply.conversation_id, reply.id, "user", "And 3+3?")
    below = store.add_reply(new_reply(reply.conversation_id, later.id, answer="6"))
    for stranger in (elsewhere, below):
        with pytest.raises(InvalidComparison, match="different messages"):
            store.compare(reply.id, stranger.id, "ann", "left", blind=True, how="resample")
    with pytest.raises(InvalidComparison, match="itself"):
        store.compare(reply.id, reply.id, "ann", "left", blind=True, how="resample")
    for pair in ((reply.id, "nowhere"), ("nowhere", other.id)):
        with pytest.raises(UnknownReply, match="nowhere"):
            store.compare(*pair, "ann", "left", blind=True, how="resample")
    with pytest.raises(UnknownReply):
        store.correct("nowhere", "ann", "better")
    assert list(store.comparisons()) == []


@pytest.mark.parametrize(
    "changes", [{"choice": "both"}, {"choice": 1}, {"how": "guess"}, {"blind": 1}, {"blind": None}], ids=str
)
def test_a_comparison_outside_its_limits_is_refused(store: FeedbackStore, changes: dict[str, Any]) -> None:
    reply, other = two_replies(store)
    fields: dict[str, Any] = {"choice": "left", "blind": True, "how": "resample"} | changes
    with pytest.raises(InvalidComparison):
        store.compare(reply.id, other.id, "ann", **fields)
    with pytest.raises(InvalidRating):
        store.compare(reply.id, other.id, "", "left", blind=True, how="resample")
    assert store.comparison(reply.id, other.id, "ann") is None


def test_comparisons_can_be_asked_for_by_version_and_by_consent(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedback_store.database.sessions.ROWS_AT_ONCE", 2)
    pairs = [two_replies(store, "ann", version=f"v{2 + number % 2}") for number in range(3)]
    for reply, other in pairs:
        for rater in ("bob", "carol"):
            store.compare(other.id, reply.id, rater, "right", blind=True, how="versions")
    assert [(which.rater, left, right) for which, left, right in store.comparisons()] == [
        (rater, other, reply) for reply, other in pairs for rater in ("bob", "carol")
    ]
    assert len(list(store.comparisons("v1"))) == 6
    assert [left for _, left, _ in store.comparisons("v3")] == [pairs[1][1]] * 2
    store.set_consent("carol", False)
    assert {which.rater for which, _, _ in store.comparisons(consented=True)} == {"bob"}
    store.set_consent("ann", False)
    assert list(store.comparisons(consented=True)) == []


# Ratings that disagree on one prompt


def test_contested_messages_have_a_thumb_up_and_a_thumb_down_on_different_replies(
    store: FeedbackStore,
) -> None:
    reply, other = two_replies(store)
    store.rate(reply.id, "ann", 1)
    store.rate(reply.id, "bob", -1)  # both on the same reply
    assert list(store.contested_ratings()) == []
    store.rate(other.id, "ann", -1)
    ((first, second, third),) = store.contested_ratings()
    assert [(rating.rater, rating.value, rated) for rating, rated in (first, second, third)] == [
        ("ann", 1, reply),
        ("bob", -1, reply),
        ("ann", -1, other),
    ]
    store.set_consent("ann", False)
    assert list(store.contested_ratings(consented=True)) == []
    store.rate(other.id, "ann", 0)
    assert list(store.contested_ratings()) == []


def test_what_is_forgotten_while_contested_messages_are_read_is_left_out(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedback_store.store.feedback.ROWS_AT_ONCE", 1)
    for holder in ("ann", "bob", "carol"):
        reply, other = two_replies(store, holder)
        store.rate(reply.id, "dave", 1)
        store.rate(other.id, "dave", -1)
    contested = store.contested_ratings()
    assert len(next(contested)) == 2
    store.forget("bob")
    assert [[rated.id for _, rated in votes] for votes in contested] == [[reply.id, other.id]]


@pytest.mark.parametrize("table", ["correction_history", "comparison_history"])
def test_the_database_itself_refuses_to_change_a_history(
    store: FeedbackStore, place: StoreLocation, table: str
) -> None:
    reply, other = two_replies(store)
    store.correct(reply.id, "ann", "Four.")
    store.compare(reply.id, other.id, "ann", "left", blind=True, how="resample")
    with pytest.raises(DatabaseError, match="never changed"), sql(place) as connection:
        connection.execute(text(f"UPDATE {table} SET rater_id = 'bob'"))

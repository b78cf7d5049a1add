"""Raters give consent to training, withdraw it, and are forgotten."""

from pathlib import Path

from helpers.store_fixtures import StoreLocation, new_reply, one_turn, rows_of

from feedback_store import (
    FeedbackStore,
)
from feedback_store.database.tables import TableBase


def test_forgetting_a_person_leaves_nothing_that_names_them(
    store: FeedbackStore, place: StoreLocation
) -> None:
    name = "rater-who-goes-away"
    own, other = one_turn(store, name, "my secret question"), one_turn(store, "bob")
    for reply in (own, other):
        store.rate(reply.id, name, 1, comment="my secret comment")
        store.rate(reply.id, "bob", -1)
    store.rate(other.id, name, 0)
    store.correct(other.id, name, "my secret correction")
    store.correct(other.id, name, "my secret second correction")
    retry = store.add_reply(new_reply(own.conversation_id, own.parent_id, answer="my secret retry"))
    store.compare(own.id, retry.id, "bob", "left", blind=True, how="resample")

    counts = store.forget(name)

    assert counts == {
        "conversations": 1,
        "messages": 3,
        "replies": 2,
        "ratings": 3,
        "rating_history": 4,
        "corrections": 1,
        "correction_history": 2,
        "comparisons": 1,
        "comparison_history": 1,
    }
    assert store.conversations(name) == []
    assert [(rating.rater, reply.id) for rating, reply in store.ratings()] == [("bob", other.id)]
    assert store.verify() == []
    if isinstance(place, Path):
        left = b"".join(file.read_bytes() for file in place.parent.iterdir() if file.suffix != ".db-shm")
    else:
        left = repr(
            [rows_of(place, f"SELECT * FROM {table}") for table in TableBase.metadata.tables]
        ).encode()
    for trace in (name.encode(), b"my secret"):
        assert trace not in left


def test_consent_is_given_until_it_is_taken_back(store: FeedbackStore) -> None:
    own = one_turn(store, "ann")
    other = one_turn(store, "bob")
    store.rate(own.id, "bob", 1)
    store.rate(other.id, "ann", 1)
    store.rate(other.id, "bob", 1)
    assert store.consent("ann")
    store.set_consent("ann", False)
    assert not store.consent("ann")
    consented = [(rating.reply_id, rating.rater) for rating, _ in store.ratings(consented=True)]
    assert consented == [(other.id, "bob")]
    assert len(list(store.ratings())) == 3

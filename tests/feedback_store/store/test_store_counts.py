"""The counts that the dashboard shows: thumbs over time, and choices between versions."""

from datetime import UTC, datetime, timedelta

import pytest
from helpers.store_fixtures import new_reply, one_turn

from feedback_store import FeedbackStore, Reply
from feedback_store.store import feedback


def sibling(store: FeedbackStore, of: Reply, version: str) -> Reply:
    return store.add_reply(new_reply(of.conversation_id, of.parent_id, version=version))


def test_thumbs_are_counted_by_version_and_span(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = datetime(2026, 11, 24, 10, 5, tzinfo=UTC)
    for minutes, version, rater, value in (
        (0, "v1", "ann", 1),
        (10, "v1", "bob", -1),
        (54, "v1", "carol", 1),
        (56, "v1", "ann", 1),
        (57, "v2", "bob", -1),
        (58, "v2", "carol", 0),
    ):
        reply = sibling(store, one_turn(store, rater), version)

        class Then(datetime):
            moment = began + timedelta(minutes=minutes)

            @classmethod
            def now(cls, tz: object = None) -> datetime:
                return cls.moment

        monkeypatch.setattr(feedback, "datetime", Then)
        store.rate(reply.id, rater, value)
    ten = int(datetime(2026, 11, 24, 10, tzinfo=UTC).timestamp())
    assert store.thumbs_over_time(3600) == [
        ("v1", ten, 2, 1),
        ("v1", ten + 3600, 1, 0),
        ("v2", ten + 3600, 0, 1),
    ]
    assert store.thumbs_over_time(86_400) == [("v1", ten - 36_000, 3, 1), ("v2", ten - 36_000, 0, 1)]


def test_a_changed_vote_is_counted_once_as_it_stands(store: FeedbackStore) -> None:
    reply = one_turn(store)
    store.rate(reply.id, "ann", 1)
    store.rate(reply.id, "ann", -1)
    assert [row[2:] for row in store.thumbs_over_time(3600)] == [(0, 1)]


def test_blind_choices_between_two_versions_are_counted_by_side(store: FeedbackStore) -> None:
    for left, right, choice, rater, blind in (
        ("v1", "v2", "left", "ann", True),
        ("v1", "v2", "left", "bob", True),
        ("v2", "v1", "left", "carol", True),
        ("v1", "v2", "both_good", "dave", True),
        ("v1", "v2", "left", "knows the names", False),
        ("v1", "v1", "left", "erin", True),
    ):
        question_reply = one_turn(store, rater)
        left_reply, right_reply = sibling(store, question_reply, left), sibling(store, question_reply, right)
        # The side counts, whichever reply was written first.
        if rater == "bob":
            right_reply, left_reply = (
                sibling(store, question_reply, right),
                sibling(store, question_reply, left),
            )
        store.compare(left_reply.id, right_reply.id, rater, choice, blind=blind, how="versions")  # type: ignore[arg-type]
    assert store.choices_between_versions() == [
        ("v1", "v2", "both_good", 1),
        ("v1", "v2", "left", 2),
        ("v2", "v1", "left", 1),
    ]


def test_an_empty_store_has_no_counts(store: FeedbackStore) -> None:
    assert store.thumbs_over_time(3600) == []
    assert store.choices_between_versions() == []

"""Ratings: the last one counts, the history keeps all, and concurrent writers lose none."""

import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from helpers.store_fixtures import StoreLocation, one_turn, rows_of

from feedback_store import (
    FeedbackStore,
    InvalidRating,
    StoreError,
)


def test_the_last_vote_of_a_rater_counts(store: FeedbackStore) -> None:
    reply = one_turn(store)
    store.rate(reply.id, "ann", 1)
    store.rate(reply.id, "ann", -1, ["wrong"], "It is 5.")
    store.rate(reply.id, "bob", 1)

    rating = store.rating(reply.id, "ann")
    assert rating is not None
    assert (rating.value, rating.reasons, rating.comment) == (-1, ("wrong",), "It is 5.")
    assert rating.created_at < rating.updated_at
    assert [(rating.rater, rating.value) for rating, _ in store.ratings()] == [("ann", -1), ("bob", 1)]
    assert store.rating(reply.id, "carol") is None


def test_every_change_of_a_rating_stays_in_its_history(store: FeedbackStore, place: StoreLocation) -> None:
    reply = one_turn(store)
    for value, reasons in [(1, []), (1, ["clear"]), (-1, []), (0, [])]:
        store.rate(reply.id, "ann", value, reasons)
    history = rows_of(place, "SELECT value, CAST(reasons AS TEXT) FROM rating_history ORDER BY number")
    assert history == [(1, "[]"), (1, '["clear"]'), (-1, "[]"), (0, "[]")]


def test_a_vote_given_twice_is_one_entry(store: FeedbackStore, place: StoreLocation) -> None:
    reply = one_turn(store)
    first = store.rate(reply.id, "ann", 1, ["clear"])
    assert store.rate(reply.id, "ann", 1, ["clear", "clear"]) == first
    assert rows_of(place, "SELECT count(*) FROM rating_history") == [(1,)]


@pytest.mark.parametrize(
    ("value", "reasons", "comment"),
    [
        (2, [], ""),
        (True, [], ""),
        (1.0, [], ""),
        ("1", [], ""),
        (1, "wrong", ""),
        (1, [""], ""),
        (1, ["x" * 101], ""),
        (1, [str(number) for number in range(21)], ""),
        (1, [3], ""),
        (1, [], "x" * 10_001),
        (1, [], None),
        (1, [], "\ud800"),
    ],
)
def test_a_rating_outside_its_limits_is_refused(
    store: FeedbackStore, value: Any, reasons: Any, comment: Any
) -> None:
    reply = one_turn(store)
    with pytest.raises(InvalidRating):
        store.rate(reply.id, "ann", value, reasons, comment)
    assert store.rating(reply.id, "ann") is None


def test_a_rating_error_is_a_store_error_and_a_value_error(store: FeedbackStore) -> None:
    with pytest.raises(InvalidRating) as caught:
        store.rate(one_turn(store).id, "", 1)
    assert isinstance(caught.value, StoreError)
    assert isinstance(caught.value, ValueError)


def test_ratings_can_be_asked_for_by_version_and_in_many_batches(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedback_store.database.sessions.ROWS_AT_ONCE", 2)
    replies = [one_turn(store, version=version) for version in ("v1", "v2", "v1")]
    for reply in replies:
        for rater in ("ann", "bob", "carol"):
            store.rate(reply.id, rater, 1)
    wanted = [(reply.id, rater) for reply in replies for rater in ("ann", "bob", "carol")]
    assert [(rating.reply_id, rating.rater) for rating, _ in store.ratings()] == wanted
    assert [reply.id for _, reply in store.ratings("v2")] == [replies[1].id] * 3


def test_counts_add_up_by_version(store: FeedbackStore) -> None:
    first, second = one_turn(store), one_turn(store, rater="bob", version="v2")
    store.rate(first.id, "ann", 1, ["clear"])
    store.rate(first.id, "bob", -1, ["wrong"])
    store.rate(second.id, "ann", -1, ["wrong", "long"])
    store.rate(second.id, "bob", 1, ["clear"])
    store.rate(second.id, "bob", 0)
    assert store.counts() == {
        "raters": 2,
        "conversations": 2,
        "messages": 4,
        "replies": 2,
        "ratings": {"up": 1, "down": 2, "withdrawn": 1},
        "corrections": 0,
        "comparisons": {"left": 0, "right": 0, "both_good": 0, "both_bad": 0},
        "snapshots": 0,
        "versions": {
            "v1": {"replies": 1, "up": 1, "down": 1, "withdrawn": 0},
            "v2": {"replies": 1, "up": 0, "down": 1, "withdrawn": 1},
        },
        "reasons": {"wrong": 2, "clear": 1, "long": 1},
    }


# Concurrent writers, and killed processes


def test_eight_threads_lose_nothing(store: FeedbackStore) -> None:
    reply = one_turn(store)
    start = threading.Barrier(8)

    def write(rater: str) -> None:
        start.wait()
        for number in range(10):
            store.rate(one_turn(store, rater).id, rater, 1 if number % 2 else -1)
            store.rate(reply.id, rater, 1 if number % 2 else -1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, [f"rater {number}" for number in range(8)]))

    assert store.counts()["replies"] == 81
    assert store.counts()["ratings"] == {"up": 48, "down": 40, "withdrawn": 0}
    assert store.verify() == []


def _write_as_a_process(place: StoreLocation, rater: str, start: Any) -> None:
    start.wait()
    with FeedbackStore.open(place) as store:
        for _ in range(10):
            store.rate(one_turn(store, rater).id, rater, 1)


def test_four_processes_that_open_a_new_store_at_once_lose_nothing(new_place: StoreLocation) -> None:
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(4)
    writers = [
        spawn.Process(target=_write_as_a_process, args=(new_place, f"rater {number}", start))
        for number in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    with FeedbackStore.open(new_place) as store:
        counts = store.counts()
        assert (counts["raters"], counts["replies"], counts["ratings"]["up"]) == (4, 40, 40)
        assert store.verify() == []

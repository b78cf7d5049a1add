"""What a person said of replies, as that person sees it, and which versions learned from it."""

from pathlib import Path

from helpers.store_fixtures import one_turn

from feedback_store import FeedbackStore


def snapshot_with(
    store: FeedbackStore, name: str, version: str, raters: list[str], conversations: list[str]
) -> None:
    store.record_snapshot(name, Path("/snapshots") / name, "0" * 64, {}, raters, conversations)
    store.record_use(version, name)


def test_standing_thumbs_and_corrections_are_shown_the_latest_first(store: FeedbackStore) -> None:
    first, second, third = (one_turn(store, "ann", f"Question {n}?", answer=f"{n}") for n in (1, 2, 3))
    store.rate(first.id, "ann", 1)
    store.rate(second.id, "ann", -1)
    store.rate(third.id, "ann", -1)
    store.rate(third.id, "ann", 0)
    store.correct(second.id, "ann", "two")
    store.correct(first.id, "ann", "one")
    store.correct(first.id, "ann", "")

    given = store.given_feedback("ann")

    assert [(one.asked, one.answer, one.value, one.correction) for one in given] == [
        ("Question 2?", "2", 0, "two"),
        ("Question 2?", "2", -1, ""),
        ("Question 1?", "1", 1, ""),
    ]
    assert store.given_feedback("ann", most=1) == given[:1]
    assert store.given_feedback("nobody") == []


def test_what_is_said_in_somebody_else_s_conversation_reveals_nothing(store: FeedbackStore) -> None:
    reply = one_turn(store, "ann")
    store.rate(reply.id, "bob", 1)

    assert store.given_feedback("bob") == []


def test_versions_trained_since_on_the_conversation_have_learned_from_it(store: FeedbackStore) -> None:
    early, late, other = one_turn(store, "ann"), one_turn(store, "ann"), one_turn(store, "bob")
    store.rate(early.id, "ann", 1)
    store.rate(other.id, "bob", 1)
    both = [early.conversation_id, late.conversation_id]
    snapshot_with(store, "one", "v2", ["ann"], both)
    snapshot_with(store, "others", "v3", ["bob"], [other.conversation_id])
    store.rate(late.id, "ann", -1)
    snapshot_with(store, "two", "v4", ["ann", "bob"], [*both, other.conversation_id])

    assert {one.reply_id: one.learned_by for one in store.given_feedback("ann")} == {
        early.id: ("v2", "v4"),
        late.id: ("v4",),
    }
    assert [one.learned_by for one in store.given_feedback("bob")] == [("v3", "v4")]

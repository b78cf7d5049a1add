"""`verify` reports every kind of damage that these tests make."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import postgres
from helpers.store_fixtures import StoreLocation, new_reply, one_turn, rows_of, sql, without_guards
from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError

from feedback_store import FeedbackStore, Reply
from feedback_store.store.verify import problems


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a new SQLite file, for tests about files."""
    return tmp_path / "home" / "feedback.db"


Damage = Callable[[Connection, Reply], object]


def _sql(statement: str) -> Damage:
    return lambda connection, reply: connection.execute(
        text(statement), {"id": reply.id, "parent": reply.parent_id}
    )


DAMAGES: dict[str, tuple[Damage, str]] = {
    "a parent that is gone": (
        _sql("UPDATE messages SET parent_id = 'gone' WHERE id = :id"),
        "parent gone that does not exist",
    ),
    "a parent elsewhere": (
        _sql(
            "UPDATE messages SET parent_id = (SELECT id FROM messages WHERE conversation_id !="
            " (SELECT conversation_id FROM messages WHERE id = :id) AND role = 'user') WHERE id = :id"
        ),
        "in another conversation",
    ),
    "a circle": (_sql("UPDATE messages SET parent_id = :id WHERE id = :parent"), "circle"),
    "a head that is gone": (_sql("UPDATE conversations SET head_id = 'gone'"), "ends at gone"),
    "a reply without its making": (_sql("DELETE FROM replies WHERE id = :id"), "nothing of how it was made"),
    "a reply without its message": (_sql("DELETE FROM messages WHERE id = :id"), "of messages that does not"),
    "a reply to nothing": (_sql("UPDATE messages SET parent_id = NULL WHERE id = :id"), "does not answer"),
    "a user's message as reply": (
        _sql("UPDATE messages SET role = 'user' WHERE id = :id"),
        "and yet a reply",
    ),
    "an unknown role": (_sql("UPDATE messages SET role = 'judge' WHERE id = :id"), "unknown role 'judge'"),
    "an unknown finish": (
        _sql("UPDATE replies SET finish_reason = 'tired'"),
        "unknown finish reason 'tired'",
    ),
    "no version": (_sql("UPDATE replies SET version = ''"), "names no version"),
    "token ids cut off": (_sql("UPDATE replies SET prompt_ids = '[1,2'"), "prompt_ids that are no list"),
    "token ids as texts": (
        _sql("UPDATE replies SET completion_ids = '[\"a\"]'"),
        "completion_ids that are no",
    ),
    "sampling cut off": (_sql("UPDATE replies SET sampling = '{'"), "sampling settings that cannot be read"),
    "another vote": (_sql("UPDATE ratings SET value = -1"), "not what its history says"),
    "another comment": (_sql("UPDATE ratings SET comment = 'x'"), "not what its history says"),
    "an impossible vote": (_sql("UPDATE ratings SET value = 5"), "impossible value 5"),
    "reasons cut off": (_sql("UPDATE ratings SET reasons = '['"), "reasons that cannot be read"),
    "a vote without history": (_sql("DELETE FROM rating_history"), "has no history"),
    "a vote that is gone": (_sql("DELETE FROM ratings"), "is in the history, but is gone"),
    "another correction": (_sql("UPDATE corrections SET text = 'x'"), "not what its history says last"),
    "a correction without history": (_sql("DELETE FROM correction_history"), "correction of"),
    "a correction that is gone": (_sql("DELETE FROM corrections"), "by bob is in the history, but is gone"),
    "another choice": (_sql("UPDATE comparisons SET choice = 'both_bad'"), "(both_bad, not left"),
    "a choice that was not blind": (_sql("UPDATE comparisons SET blind = false"), "or shown otherwise"),
    "an unknown choice": (_sql("UPDATE comparisons SET choice = 'none'"), "unknown choice 'none'"),
    "an unknown difference": (_sql("UPDATE comparisons SET how = 'x'"), "unknown way 'x'"),
    "a third reply on the left": (_sql("UPDATE comparisons SET left_id = 'x'"), "x on the left"),
    "a comparison without history": (_sql("DELETE FROM comparison_history"), "by bob has no history"),
    "a comparison that is gone": (_sql("DELETE FROM comparisons"), "by bob is in the history, but is gone"),
    "a comparison across messages": (
        _sql("UPDATE messages SET parent_id = NULL WHERE id != :id AND role = 'assistant'"),
        "answer different messages",
    ),
    "a comparison the wrong way round": (
        _sql("UPDATE comparisons SET first_id = second_id, second_id = first_id"),
        "names the later reply first",
    ),
    "a compared reply that is gone": (
        _sql("UPDATE comparisons SET second_id = 'gone'"),
        "comparisons refers to a row of replies that does not exist",
    ),
    "a rater that is gone": (_sql("DELETE FROM raters WHERE id = 'bob'"), "of raters that does not exist"),
}


CUT_OFF = {"token ids cut off", "sampling cut off", "reasons cut off"}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def judged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[StoreLocation, Reply]]:
    """An undamaged store with feedback of every kind, on each engine, and the reply it is about."""
    if request.param == "sqlite":
        yield from _judged(tmp_path_factory.mktemp("judged") / "feedback.db")
        return
    server: postgres.Server = request.getfixturevalue("postgresql")
    database = server.new_database("empty")
    yield from _judged(server.url(database))
    server.drop(database)


def _judged(place: StoreLocation) -> Iterator[tuple[StoreLocation, Reply]]:
    with FeedbackStore.open(place) as store:
        reply = one_turn(store)
        other = store.new_conversation("ann")
        store.add_message(other, None, "user", "another question")
        store.rate(reply.id, "bob", 1, ["clear"])
        store.correct(reply.id, "bob", "Four.")
        retry = store.add_reply(new_reply(reply.conversation_id, reply.parent_id, answer="5"))
        store.compare(reply.id, retry.id, "bob", "left", blind=True, how="resample")
        assert store.verify() == []
    yield place, reply
    with FeedbackStore.open(place) as store:
        assert store.verify() == [], "a damage outlived its test"


@pytest.mark.parametrize("kind", DAMAGES)
def test_verify_finds_planted_damage(judged: tuple[StoreLocation, Reply], kind: str) -> None:
    place, reply = judged
    damage, words = DAMAGES[kind]
    # Verify inside the same transaction and roll back: all damages share one store.
    with sql(place) as connection:
        without_guards(connection)
        if isinstance(place, str) and kind in CUT_OFF:
            with pytest.raises(DataError, match="invalid input syntax for type json"):
                damage(connection, reply)
            connection.rollback()
            return
        damage(connection, reply)
        reported = problems(connection)
        connection.rollback()
    assert any(words in problem for problem in reported), reported


def test_verify_finds_broken_pages(path: Path) -> None:
    with FeedbackStore.open(path) as store:
        for number in range(40):
            one_turn(store, text=f"{number} " + "long question " * 200)
    (page,) = rows_of(path, "SELECT rootpage FROM sqlite_master WHERE name = 'ix_replies_version'")[0]
    (size,) = rows_of(path, "PRAGMA page_size")[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with FeedbackStore.open(path) as store:
        reported = store.verify()
    assert reported
    assert "damaged" in reported[0]

"""The store: trees, durable votes, many writers, and damage that it finds by itself."""

import dataclasses
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.exc import DatabaseError, DataError
from sqlalchemy.pool import NullPool

from feedback_store import (
    FeedbackStore,
    InvalidMessage,
    InvalidRating,
    NewerSchema,
    NewReply,
    NotAStore,
    Reply,
    StoreError,
    StoreMissing,
    StoreUnavailable,
    StoreUnwritable,
    UnknownConversation,
    UnknownMessage,
    UnknownRater,
    UnknownReply,
)
from feedback_store.database import checked_url
from feedback_store.tables import Base

Place = Path | str


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a SQLite file can be made, for what concerns files alone."""
    return tmp_path / "home" / "feedback.db"


def new_reply(conversation: str, parent: str, **changes: Any) -> NewReply:
    fields: dict[str, Any] = {
        "id": uuid4().hex,
        "conversation_id": conversation,
        "parent_id": parent,
        "thought": "2 and 2 make 4",
        "answer": "4",
        "think": True,
        "sampling": {"temperature": 0.7, "top_p": 0.9},
        "seed": 7,
        "version": "v1",
        "prompt_ids": [1, 2, 3],
        "completion_ids": [4, 5],
        "finish_reason": "end",
        "first_token_seconds": 0.1,
        "thought_seconds": 0.15,
        "seconds": 0.5,
    }
    return NewReply(**(fields | changes))


def one_turn(store: FeedbackStore, rater: str = "ann", text: str = "What is 2+2?", **changes: Any) -> Reply:
    conversation = store.new_conversation(rater)
    question = store.add_message(conversation, None, "user", text)
    return store.add_reply(new_reply(conversation, question.id, **changes))


@contextmanager
def sql(place: Place) -> Iterator[Connection]:
    """The database itself, past the store; what is done is committed. SQLite checks no keys then."""
    engine = create_engine(checked_url(place), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
        connection.commit()


def schema(place: Place) -> list[Any]:
    """Every table with its columns, keys and indices, in an order that can be compared."""
    with sql(place) as connection:
        found = inspect(connection)
        return [
            (
                table,
                [
                    (column["name"], str(column["type"]), column["nullable"])
                    for column in found.get_columns(table)
                ],
                sorted(map(str, found.get_indexes(table))),
                sorted(map(str, found.get_foreign_keys(table))),
                sorted(map(str, found.get_check_constraints(table))),
                sorted(map(str, found.get_unique_constraints(table))),
            )
            for table in sorted(found.get_table_names())
        ]


def rows_of(place: Place, query: str) -> list[tuple[Any, ...]]:
    with sql(place) as connection:
        return [tuple(row) for row in connection.execute(text(query))]


# The tree


def test_a_retry_adds_a_sibling_and_moves_the_head(store: FeedbackStore) -> None:
    first = one_turn(store)
    second = store.add_reply(new_reply(first.conversation_id, first.parent_id, answer="four"))

    assert [message.content for message in store.path(first.id)] == ["What is 2+2?", "4"]
    assert [message.content for message in store.path(second.id)] == ["What is 2+2?", "four"]
    assert [message.id for message in store.messages(first.conversation_id)] == [
        first.parent_id,
        first.id,
        second.id,
    ]
    assert store.head(first.conversation_id) == second.id


def test_an_edited_question_begins_a_second_branch(store: FeedbackStore) -> None:
    reply = one_turn(store)
    edited = store.add_message(reply.conversation_id, None, "user", "What is 3+3?")

    assert [message.id for message in store.path(edited.id)] == [edited.id]
    assert store.head(reply.conversation_id) == edited.id
    store.set_head(reply.conversation_id, reply.id)
    assert store.head(reply.conversation_id) == reply.id
    store.set_head(reply.conversation_id, None)
    assert store.head(reply.conversation_id) is None


def test_a_path_carries_the_reply_where_there_is_one(store: FeedbackStore) -> None:
    reply = one_turn(store)
    question, answer = store.path(reply.id)
    assert (question.role, question.reply, question.thought) == ("user", None, None)
    assert (answer.role, answer.reply, answer.thought) == ("assistant", reply, "2 and 2 make 4")


def test_a_reply_is_read_back_as_it_was_written(place: Place) -> None:
    with FeedbackStore.open(place) as store:
        conversation = store.new_conversation("ann")
        question = store.add_message(conversation, None, "user", "二加二？")
        # No number of a setting is rounded, not even one that no machine word can hold.
        odd = {"sampling": {"top_p": 0.1, "user": 2**70, "stop": ["。", "\u2028"]}, "prompt_ids": [2**31 - 1]}
        new = new_reply(
            conversation, question.id, answer="四。", thought=None, first_token_seconds=None, **odd
        )
        store.add_reply(new)
    with FeedbackStore.open(place) as store:
        stored = dataclasses.asdict(store.reply(new.id))
        assert store.replies([new.id, "unknown"]) == {new.id: store.reply(new.id)}
    assert stored.pop("created_at").utcoffset() == timedelta(0)
    assert stored == dataclasses.asdict(new)


def test_a_conversation_takes_its_title_from_the_first_user_message(store: FeedbackStore) -> None:
    conversation = store.new_conversation("ann")
    assert store.conversation(conversation).title == ""
    system = store.add_message(conversation, None, "system", "Be brief.")
    assert store.conversation(conversation).title == ""
    question = store.add_message(conversation, system.id, "user", "\n  " + "word " * 30 + "\nsecond line")
    store.add_message(conversation, question.id, "user", "something else")
    title = store.conversation(conversation).title
    assert title.startswith("word word")
    assert title.endswith("…")
    assert len(title) <= 60


def test_conversations_of_a_rater_come_last_touched_first(store: FeedbackStore) -> None:
    first, second = store.new_conversation("ann"), store.new_conversation("ann")
    store.new_conversation("bob")
    assert [conversation.id for conversation in store.conversations("ann")] == [second, first]
    store.add_message(first, None, "user", "hello")
    assert [conversation.id for conversation in store.conversations("ann")] == [first, second]
    assert store.conversation(first).rater == "ann"
    assert store.conversations("nobody") == []


def test_a_parent_must_be_in_the_same_conversation(store: FeedbackStore) -> None:
    reply = one_turn(store)
    other = store.new_conversation("ann")
    with pytest.raises(UnknownMessage):
        store.add_message(other, reply.id, "user", "go on")
    with pytest.raises(UnknownMessage):
        store.add_reply(new_reply(other, reply.parent_id))
    with pytest.raises(UnknownMessage):
        store.set_head(other, reply.id)
    assert store.messages(other) == []


def test_unknown_ids_are_named_errors(store: FeedbackStore) -> None:
    for unknown_conversation in (store.conversation, store.head, store.messages):
        with pytest.raises(UnknownConversation, match="nowhere"):
            unknown_conversation("nowhere")
    with pytest.raises(UnknownConversation):
        store.add_message("nowhere", None, "user", "hello")
    with pytest.raises(UnknownMessage):
        store.path("nowhere")
    with pytest.raises(UnknownReply):
        store.reply("nowhere")
    with pytest.raises(UnknownReply):
        store.rate("nowhere", "ann", 1)
    with pytest.raises(UnknownRater):
        store.forget("nobody")
    assert store.counts()["raters"] == 0


# What may enter


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"answer": "\ud800"},
        {"version": ""},
        {"finish_reason": "tired"},
        {"seed": 2**64},
        {"prompt_ids": [1, "2"]},
        {"completion_ids": [True]},
        {"completion_ids": [-1]},
        {"seconds": float("nan")},
        {"sampling": {"temperature": float("inf")}},
        {"sampling": {"stop": {1}}},
    ],
    ids=str,
)
def test_a_reply_that_cannot_be_kept_whole_is_refused_whole(
    store: FeedbackStore, changes: dict[str, Any]
) -> None:
    conversation = store.new_conversation("ann")
    question = store.add_message(conversation, None, "user", "hello")
    with pytest.raises(InvalidMessage):
        store.add_reply(new_reply(conversation, question.id, **changes))
    assert [message.id for message in store.messages(conversation)] == [question.id]
    assert store.head(conversation) == question.id


def test_a_reply_answers_a_user(store: FeedbackStore) -> None:
    reply = one_turn(store)
    with pytest.raises(InvalidMessage, match="user"):
        store.add_reply(new_reply(reply.conversation_id, reply.id))


def test_messages_of_the_model_come_only_as_replies(store: FeedbackStore) -> None:
    conversation = store.new_conversation("ann")
    with pytest.raises(InvalidMessage, match="add_reply"):
        store.add_message(conversation, None, "assistant", "hello")  # type: ignore[arg-type]
    with pytest.raises(InvalidMessage, match="Unicode"):
        store.add_message(conversation, None, "user", "\udfff")


def test_a_conversation_begins_with_its_messages_in_one_piece(store: FeedbackStore) -> None:
    last = store.begin("ann", [("system", "Be short."), ("user", "What is 2+2?")], "talk")
    assert [(said.role, said.content) for said in store.path(last.id)] == [
        ("system", "Be short."),
        ("user", "What is 2+2?"),
    ]
    assert store.head("talk") == last.id
    assert store.conversation("talk").title == "What is 2+2?"
    assert store.verify() == []


def test_a_conversation_whose_beginning_cannot_be_kept_is_not_begun(store: FeedbackStore) -> None:
    with pytest.raises(InvalidMessage, match="Unicode"):
        store.begin("ann", [("system", "Be short."), ("user", "\udfff")])
    with pytest.raises(InvalidMessage, match="begins with a message"):
        store.begin("ann", [])
    store.begin("ann", [("user", "hello")], "talk")
    with pytest.raises(InvalidMessage, match="exists already"):
        store.begin("ann", [("user", "hello again")], "talk")
    assert [one.id for one in store.conversations("ann")] == ["talk"]
    assert [said.content for said in store.messages("talk")] == ["hello"]


def test_a_reply_is_never_written_twice(store: FeedbackStore) -> None:
    reply = one_turn(store)
    with pytest.raises(InvalidMessage, match="already stored"):
        store.add_reply(new_reply(reply.conversation_id, reply.parent_id, id=reply.id, answer="5"))
    assert store.reply(reply.id).answer == "4"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE replies SET thought = 'other'",
        "UPDATE messages SET content = 'other'",
        "UPDATE rating_history SET value = -1",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_written(
    store: FeedbackStore, place: Place, statement: str
) -> None:
    store.rate(one_turn(store).id, "ann", 1)
    with pytest.raises(DatabaseError, match="never changed"), sql(place) as connection:
        connection.execute(text(statement))


# Ratings


def test_the_last_vote_of_a_rater_counts(store: FeedbackStore) -> None:
    reply = one_turn(store)
    store.rate(reply.id, "ann", 1)
    store.rate(reply.id, "ann", -1, ["wrong"], "It is 5.")
    store.rate(reply.id, "bob", 1)

    rating = store.rating(reply.id, "ann")
    assert rating is not None
    assert (rating.value, rating.reasons, rating.comment) == (-1, ("wrong",), "It is 5.")
    assert rating.created_at < rating.updated_at
    assert [(one.rater, one.value) for one, _ in store.ratings()] == [("ann", -1), ("bob", 1)]
    assert store.rating(reply.id, "carol") is None


def test_every_change_of_a_rating_stays_in_its_history(store: FeedbackStore, place: Place) -> None:
    reply = one_turn(store)
    for value, reasons in [(1, []), (1, ["clear"]), (-1, []), (0, [])]:
        store.rate(reply.id, "ann", value, reasons)
    history = rows_of(place, "SELECT value, CAST(reasons AS TEXT) FROM rating_history ORDER BY number")
    assert history == [(1, "[]"), (1, '["clear"]'), (-1, "[]"), (0, "[]")]


def test_a_vote_given_twice_is_one_entry(store: FeedbackStore, place: Place) -> None:
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
    monkeypatch.setattr("feedback_store.sessions.ROWS_AT_ONCE", 2)
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


# Many writers, and sudden ends


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


def _write_as_a_process(place: Place, rater: str, start: Any) -> None:
    start.wait()
    with FeedbackStore.open(place) as store:
        for _ in range(10):
            store.rate(one_turn(store, rater).id, rater, 1)


def test_four_processes_that_open_a_new_store_at_once_lose_nothing(new_place: Place) -> None:
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


def test_many_threads_opening_a_new_store_at_once_all_succeed(new_place: Place) -> None:
    start = threading.Barrier(8)

    def open_and_close(_: int) -> None:
        start.wait()
        FeedbackStore.open(new_place).close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_and_close, range(8)))
    assert rows_of(new_place, "SELECT version_num FROM alembic_version") == [("0002",)]


# Opening


def test_a_new_store_has_exactly_the_declared_tables(new_place: Place) -> None:
    FeedbackStore.open(new_place).close()
    with sql(new_place) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_opening_again_changes_nothing(place: Place) -> None:
    with FeedbackStore.open(place) as store:
        reply = one_turn(store)
    before = schema(place)
    with FeedbackStore.open(place) as store:
        assert store.reply(reply.id) == reply
    assert schema(place) == before


def test_a_store_opens_by_url(path: Path) -> None:
    path.parent.mkdir()
    with FeedbackStore.open(f"sqlite:///{path}") as store:
        one_turn(store)
    with FeedbackStore.open(path) as store:
        assert store.counts()["replies"] == 1


def test_commits_are_durable_and_keys_are_checked(path: Path) -> None:
    with FeedbackStore.open(path) as store, store._engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are my notes, and they are no database at all. " * 40)
    before = path.read_bytes()
    with pytest.raises(NotAStore, match="not a database"):
        FeedbackStore.open(path)
    assert path.read_bytes() == before


def test_a_database_of_something_else_is_left_alone(new_place: Place) -> None:
    if isinstance(new_place, Path):
        new_place.parent.mkdir()
    with sql(new_place) as connection:
        connection.execute(text("CREATE TABLE songs (name TEXT)"))
    before = schema(new_place)
    with pytest.raises(NotAStore, match="not a feedback store"):
        FeedbackStore.open(new_place)
    assert schema(new_place) == before


def test_a_newer_schema_is_refused_and_kept(place: Place) -> None:
    with FeedbackStore.open(place) as store:
        one_turn(store)
    with sql(place) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for _ in range(2):
        with pytest.raises(NewerSchema, match="9999"):
            FeedbackStore.open(place)
    assert rows_of(place, "SELECT count(*) FROM replies") == [(1,)]


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnwritable, match="file"):
        FeedbackStore.open(tmp_path / "file" / "feedback.db")
    with pytest.raises(StoreUnwritable):
        FeedbackStore.open(tmp_path)


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "unknowndb://host/name"])
def test_a_url_that_can_hold_no_store_is_refused(url: str) -> None:
    with pytest.raises(StoreUnavailable):
        FeedbackStore.open(url)


def test_a_missing_store_is_not_made_when_that_was_not_asked(new_place: Place) -> None:
    with pytest.raises(StoreMissing, match="no feedback store"):
        FeedbackStore.open(new_place, create=False)
    if isinstance(new_place, Path):
        assert not new_place.parent.exists()
    else:
        assert schema(new_place) == []


def test_a_failed_migration_leaves_the_store_as_it_was(
    new_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade = command.upgrade

    def upgrade_and_fail(*arguments: Any) -> None:
        upgrade(*arguments)
        raise StoreError("the power went")

    monkeypatch.setattr(command, "upgrade", upgrade_and_fail)
    with pytest.raises(StoreError, match="power"):
        FeedbackStore.open(new_place)
    assert schema(new_place) == []
    monkeypatch.undo()
    with FeedbackStore.open(new_place) as store:
        assert store.verify() == []


# People


def test_forgetting_a_person_leaves_nothing_that_names_them(store: FeedbackStore, place: Place) -> None:
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
        left = repr([rows_of(place, f"SELECT * FROM {table}") for table in Base.metadata.tables]).encode()
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


# Damage


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
        "comparisons names a row of replies that does not exist",
    ),
    "a rater that is gone": (_sql("DELETE FROM raters WHERE id = 'bob'"), "of raters that does not exist"),
}


CUT_OFF = {"token ids cut off", "sampling cut off", "reasons cut off"}


@pytest.mark.parametrize("kind", DAMAGES)
def test_verify_finds_planted_damage(place: Place, kind: str) -> None:
    with FeedbackStore.open(place) as store:
        reply = one_turn(store)
        other = store.new_conversation("ann")
        store.add_message(other, None, "user", "another question")
        store.rate(reply.id, "bob", 1, ["clear"])
        store.correct(reply.id, "bob", "Four.")
        retry = store.add_reply(new_reply(reply.conversation_id, reply.parent_id, answer="5"))
        store.compare(reply.id, retry.id, "bob", "left", blind=True, how="resample")
        assert store.verify() == []

    damage, words = DAMAGES[kind]
    if isinstance(place, str) and kind in CUT_OFF:
        with sql(place) as connection:
            without_guards(connection)
            with pytest.raises(DataError, match="invalid input syntax for type json"):
                damage(connection, reply)
            connection.rollback()
        return
    with sql(place) as connection:
        without_guards(connection)
        damage(connection, reply)

    with FeedbackStore.open(place) as store:
        found = store.verify()
    assert any(words in problem for problem in found), found


def without_guards(connection: Connection) -> None:
    """Let this connection write what the database would refuse: broken keys, changed histories, wrong values."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA ignore_check_constraints=ON"))
        for (trigger,) in connection.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ).all():
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        return
    connection.execute(
        text("SET LOCAL session_replication_role = replica")
    )  # no trigger fires, keys' neither
    checks = (
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid != 0"
    )
    for table, name in connection.execute(text(checks)).all():
        connection.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'))


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
        found = store.verify()
    assert found
    assert "damaged" in found[0]

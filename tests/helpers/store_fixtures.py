"""Shared parts of the store's tests: a reply to rate, and direct access to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, create_engine, inspect, select, text
from sqlalchemy.pool import NullPool

from feedback_store import (
    FeedbackStore,
    NewReply,
    Reply,
)
from feedback_store.database.store_location import checked_url, remember_store
from feedback_store.database.tables import TableBase
from feedback_store.rows import held_out

StoreLocation = Path | str


def held_out_texts(count: int) -> list[str]:
    """Messages of one prompt each that no version trains on."""
    texts = (f"What is {number}?" for number in range(1_000))
    kept = (text for text in texts if held_out(SimpleNamespace(messages=[{"role": "user", "content": text}])))
    return list(islice(kept, count))


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


def rated_home(folder: Path, place: StoreLocation) -> Path:
    """A home with two replies, its store at `place`: ann rated one up, bob one down with a reason."""
    if isinstance(place, str):
        remember_store(folder, place)
    with FeedbackStore.open_home(folder) as store:
        store.rate(one_turn(store).id, "ann", 1)
        store.rate(one_turn(store, "bob", "二加二？", version="v2").id, "bob", -1, ["wrong"])
    return folder


@contextmanager
def sql(place: StoreLocation) -> Iterator[Connection]:
    """A direct connection to the database; changes are committed. SQLite checks no foreign keys on it."""
    engine = create_engine(checked_url(place), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
        connection.commit()


def schema(place: StoreLocation) -> list[Any]:
    """Every table with its columns, keys and indices, in an order that can be compared."""
    with sql(place) as connection:
        inspector = inspect(connection)
        return [
            (
                table,
                [
                    (column["name"], str(column["type"]), column["nullable"])
                    for column in inspector.get_columns(table)
                ],
                sorted(map(str, inspector.get_indexes(table))),
                sorted(map(str, inspector.get_foreign_keys(table))),
                sorted(map(str, inspector.get_check_constraints(table))),
                sorted(map(str, inspector.get_unique_constraints(table))),
            )
            for table in sorted(inspector.get_table_names())
        ]


def rows_of(place: StoreLocation, query: str) -> list[tuple[Any, ...]]:
    with sql(place) as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def without_guards(connection: Connection) -> None:
    """Let this connection write what the database would refuse: broken references, changed histories, wrong values."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("PRAGMA ignore_check_constraints=ON"))
        for (trigger,) in connection.execute(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ).all():
            connection.execute(text(f"DROP TRIGGER {trigger}"))
        return
    connection.execute(
        text("SET LOCAL session_replication_role = replica")
    )  # disables all triggers, also those of foreign keys
    checks = (
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c' AND conrelid != 0"
    )
    for table, name in connection.execute(text(checks)).all():
        connection.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'))


def contents(store: FeedbackStore) -> dict[str, list[Any]]:
    """Every row of every table."""
    with store._engine.connect() as connection:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key.columns)).all()
            for table in TableBase.metadata.sorted_tables
        }

"""A PostgreSQL database that goes from one test to the next holds an empty store again."""

from helpers.postgres import Server
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from feedback_store import FeedbackStore


def change(url: str, statement: str) -> None:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        connection.execute(text(statement))


def test_a_database_is_used_again_without_its_rows(postgresql: Server) -> None:
    database = postgresql.empty_store()
    with FeedbackStore.open(postgresql.url(database)) as store:
        store.new_conversation("ann")
    postgresql.give_back(database)
    assert postgresql.empty_store() == database
    with FeedbackStore.open(postgresql.url(database)) as store:
        assert store.counts()["conversations"] == 0
        assert store.verify() == []
    postgresql.give_back(database)


def test_a_database_with_another_schema_or_revision_is_not_used_again(postgresql: Server) -> None:
    for statement in (
        "ALTER TABLE ratings ADD COLUMN other integer",
        "UPDATE alembic_version SET version_num = '0'",
        "CREATE TABLE other (name text)",
    ):
        database = postgresql.empty_store()
        change(postgresql.url(database), statement)
        postgresql.give_back(database)
        assert database not in postgresql.emptied

"""Opening a location creates or upgrades the store, or raises an error and changes nothing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from helpers.store_fixtures import StoreLocation, one_turn, rows_of, schema, sql
from sqlalchemy import text

from feedback_store import (
    FeedbackStore,
    NewerSchema,
    NotAStore,
    StoreError,
    StoreMissing,
    StoreUnavailable,
    StoreUnwritable,
)
from feedback_store.database.tables import TableBase


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The path of a new SQLite file, for tests about files."""
    return tmp_path / "home" / "feedback.db"


def test_many_threads_opening_a_new_store_at_once_all_succeed(new_place: StoreLocation) -> None:
    start = threading.Barrier(8)

    def open_and_close(_: int) -> None:
        start.wait()
        FeedbackStore.open(new_place).close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_and_close, range(8)))
    assert rows_of(new_place, "SELECT version_num FROM alembic_version") == [("0003",)]


def test_a_new_store_has_exactly_the_declared_tables(new_place: StoreLocation) -> None:
    FeedbackStore.open(new_place).close()
    with sql(new_place) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, TableBase.metadata) == []


def test_opening_again_changes_nothing(place: StoreLocation) -> None:
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


def test_a_database_of_something_else_is_left_alone(new_place: StoreLocation) -> None:
    if isinstance(new_place, Path):
        new_place.parent.mkdir()
    with sql(new_place) as connection:
        connection.execute(text("CREATE TABLE songs (name TEXT)"))
    before = schema(new_place)
    with pytest.raises(NotAStore, match="not a feedback store"):
        FeedbackStore.open(new_place)
    assert schema(new_place) == before


def test_a_newer_schema_is_refused_and_kept(place: StoreLocation) -> None:
    with FeedbackStore.open(place) as store:
        one_turn(store)
    with sql(place) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for _ in range(2):
        with pytest.raises(NewerSchema, match="9999"):
            FeedbackStore.open(place)
    assert rows_of(place, "SELECT count(*) FROM replies") == [(1,)]


def test_a_location_that_cannot_be_written_raises_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnwritable, match="file"):
        FeedbackStore.open(tmp_path / "file" / "feedback.db")
    with pytest.raises(StoreUnwritable):
        FeedbackStore.open(tmp_path)


@pytest.mark.parametrize("url", ["nonsense", "sqlite://", "sqlite:///:memory:", "unknowndb://host/name"])
def test_a_url_that_can_hold_no_store_is_refused(url: str) -> None:
    with pytest.raises(StoreUnavailable):
        FeedbackStore.open(url)


def test_a_missing_store_is_not_made_when_that_was_not_asked(new_place: StoreLocation) -> None:
    with pytest.raises(StoreMissing, match="no feedback store"):
        FeedbackStore.open(new_place, create=False)
    if isinstance(new_place, Path):
        assert not new_place.parent.exists()
    else:
        assert schema(new_place) == []


def test_a_failed_migration_leaves_the_store_as_it_was(
    new_place: StoreLocation, monkeypatch: pytest.MonkeyPatch
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

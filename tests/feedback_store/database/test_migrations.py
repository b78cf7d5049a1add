"""A store of every earlier revision opens, keeps its rows and verifies."""

import re
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from helpers.store_fixtures import StoreLocation, new_reply, rows_of, schema, sql
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from feedback_store import FeedbackStore

# Rows of the first release: a branch, a thought, changed votes, and a rater who does not consent.
ROWS_OF_0001 = """
INSERT INTO raters VALUES ('ann', 1, '2026-01-01 00:00:00.000000'), ('bob', 0, '2026-01-01 00:00:00.000000');
INSERT INTO conversations (id, rater_id, title, head_id, created_at, updated_at) VALUES
    ('c', 'ann', 'What is 2+2?', 'r2', '2026-01-01 00:00:01.000000', '2026-01-01 00:00:04.000000');
INSERT INTO messages (number, id, conversation_id, parent_id, role, content, created_at) VALUES
    (1, 'q', 'c', NULL, 'user', 'What is 2+2?', '2026-01-01 00:00:02.000000'),
    (2, 'r1', 'c', 'q', 'assistant', '4', '2026-01-01 00:00:03.000000'),
    (3, 'r2', 'c', 'q', 'assistant', '五', '2026-01-01 00:00:04.000000');
INSERT INTO replies (id, thought, think, sampling, seed, version, prompt_ids, completion_ids, finish_reason,
    first_token_seconds, thought_seconds, seconds) VALUES
    ('r1', '2+2', 1, '{"temperature":0.3}', 7, 'v1', '[1,2]', '[3]', 'end', 0.1, NULL, 0.2),
    ('r2', NULL, 1, '{}', 8, 'v1', '[1,2]', '[4]', 'end', NULL, NULL, 0.2);
INSERT INTO ratings VALUES
    ('r1', 'ann', 1, '["clear"]', '', '2026-01-01 00:00:05.000000', '2026-01-01 00:00:06.000000'),
    ('r2', 'bob', -1, '[]', 'no', '2026-01-01 00:00:05.000000', '2026-01-01 00:00:05.000000');
INSERT INTO rating_history (number, reply_id, rater_id, value, reasons, comment, created_at) VALUES
    (1, 'r1', 'ann', -1, '[]', '', '2026-01-01 00:00:05.000000'),
    (2, 'r2', 'bob', -1, '[]', 'no', '2026-01-01 00:00:05.000000'),
    (3, 'r1', 'ann', 1, '["clear"]', '', '2026-01-01 00:00:06.000000');
"""
OLD_TABLES = {
    "raters": "*",
    "conversations": "id, rater_id, title, head_id, created_at, updated_at",
    "messages": "*",
    "replies": "*",
    "ratings": "*",
    "rating_history": "*",
}


def config_for(connection: object) -> Config:
    config = Config()
    config.set_main_option("script_location", "feedback_store:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


# The second release has snapshots too, each with one folder.
ROWS_OF_0002 = (
    ROWS_OF_0001
    + """
INSERT INTO snapshots (id, folder, manifest_sha256, counts, created_at, forgotten_at) VALUES
    ('s', 'snapshots/first', 'f00', '{"unpaired": 1}', '2026-01-01 00:00:07.000000', NULL);
"""
)
REVISIONS = ["0001", "0002"]
"""Every revision before the newest; ROWS holds rows for each."""
ROWS = {"0001": ROWS_OF_0001, "0002": ROWS_OF_0002}


@pytest.fixture(params=REVISIONS)
def old(new_place: StoreLocation, request: pytest.FixtureRequest) -> StoreLocation:
    """A store of each earlier revision, on each engine, with rows in every table."""
    if isinstance(new_place, Path):
        new_place.parent.mkdir()
    with sql(new_place) as connection:
        command.upgrade(config_for(connection), request.param)
        for statement in ROWS[request.param].split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(for_engine(statement, connection))
        # The rows have explicit numbers, so PostgreSQL's sequences must be moved past them.
        if connection.dialect.name == "postgresql":
            for table in ("messages", "rating_history"):
                connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'number'), max(number)) FROM {table}"
                )
    return new_place


def for_engine(statement: str, connection: Connection) -> str:
    """Convert booleans and times from SQLite's form, used in the texts above, to that of the engine."""
    if connection.dialect.name == "sqlite":
        return statement
    written = re.sub(r"('2026[^']*)'", r"\1+00'", statement)
    written = re.sub(
        r"\('(ann|bob)', ([01]), ", lambda match: f"('{match[1]}', {bool(int(match[2]))}, ", written
    )
    return re.sub(r"('2\+2'|NULL), 1, '", r"\1, true, '", written)


def content(place: StoreLocation) -> dict[str, list[tuple[object, ...]]]:
    return {table: rows_of(place, f"SELECT {columns} FROM {table}") for table, columns in OLD_TABLES.items()}


def test_every_earlier_revision_is_tested() -> None:
    scripts = ScriptDirectory.from_config(config_for(None))
    assert sorted(script.revision for script in scripts.walk_revisions())[:-1] == REVISIONS


def test_an_earlier_store_keeps_every_row_and_is_clean(old: StoreLocation) -> None:
    before = content(old)
    assert all(before.values())
    with FeedbackStore.open(old) as store:
        assert store.verify() == []
        assert store.reply("r2").answer == "五"
        assert not store.conversation("c").renamed
        assert not store.consent("bob")
        assert store.counts()["ratings"] == {"up": 1, "down": 1, "withdrawn": 0}
    assert content(old) == before
    head = ScriptDirectory.from_config(config_for(None)).get_current_head()
    assert rows_of(old, "SELECT version_num FROM alembic_version") == [(head,)]


def test_a_migrated_store_takes_every_new_signal(old: StoreLocation) -> None:
    with FeedbackStore.open(old) as store:
        store.correct("r2", "ann", "4")
        store.compare("r2", "r1", "ann", "right", blind=True, how="resample")
        store.rename("c", "Sums")
        store.add_reply(new_reply("c", "q"))
        store.rate("r1", "bob", 1)
        assert store.verify() == []


@pytest.mark.parametrize("old", ["0002"], indirect=True)
def test_a_snapshot_of_an_earlier_store_keeps_its_folder(old: StoreLocation) -> None:
    with FeedbackStore.open(old) as store:
        (record,) = store.snapshots()
    assert record.folders == (record.folder,)
    assert record.folder.parts[-2:] == ("snapshots", "first")


def test_the_first_revisions_rows_still_never_change(old: StoreLocation) -> None:
    FeedbackStore.open(old).close()
    for table in ("messages", "replies", "rating_history"):
        column = "number" if table != "replies" else "seed"
        with pytest.raises(DatabaseError, match="never changed"), sql(old) as connection:
            connection.exec_driver_sql(f"UPDATE {table} SET {column} = 9")


def test_a_migrated_store_has_the_same_schema_as_a_new_one(
    old: StoreLocation, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    FeedbackStore.open(old).close()
    new: StoreLocation = tmp_path / "new.db"
    if isinstance(old, str):
        server = request.getfixturevalue("postgresql")
        new = server.url("empty")
    FeedbackStore.open(new).close()
    assert schema(old) == schema(new)

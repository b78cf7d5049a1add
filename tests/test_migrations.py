"""A store of every earlier revision opens, keeps its rows and is clean."""

import io
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from test_store import new_reply, rows_of

from feedback_store import FeedbackStore

# What the first release wrote: a branch, a thought, votes that changed, somebody who does not consent.
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


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store of revision 0001 with rows in every table."""
    path = tmp_path / "feedback.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(config_for(connection), "0001")
    engine.dispose()
    connection = sqlite3.connect(path)
    connection.executescript(ROWS_OF_0001)
    connection.close()
    return path


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    return {table: rows_of(path, f"SELECT {columns} FROM {table}") for table, columns in OLD_TABLES.items()}


def test_a_store_of_0001_keeps_every_row_and_is_clean(old: Path) -> None:
    before = content(old)
    assert all(before.values())
    with FeedbackStore.open(old) as store:
        assert store.verify() == []
        assert store.reply("r2").answer == "五"
        assert not store.conversation("c").renamed
        assert not store.consent("bob")
        assert store.counts()["ratings"] == {"up": 1, "down": 1, "withdrawn": 0}
    assert content(old) == before
    assert rows_of(old, "SELECT version_num FROM alembic_version") == [("0002",)]


def test_a_migrated_store_takes_every_new_signal(old: Path) -> None:
    with FeedbackStore.open(old) as store:
        store.correct("r2", "ann", "4")
        store.compare("r2", "r1", "ann", "right", blind=True, how="resample")
        store.rename("c", "Sums")
        store.add_reply(new_reply("c", "q"))
        assert store.verify() == []


def test_the_first_revisions_rows_still_never_change(old: Path) -> None:
    FeedbackStore.open(old).close()
    connection = sqlite3.connect(old)
    for table in ("messages", "replies", "rating_history"):
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            connection.execute(f"UPDATE {table} SET {'number' if table != 'replies' else 'seed'} = 9")
    connection.close()


def test_a_migrated_store_has_the_same_schema_as_a_new_one(old: Path, tmp_path: Path) -> None:
    FeedbackStore.open(old).close()
    new = tmp_path / "new.db"
    FeedbackStore.open(new).close()
    query = "SELECT name, sql FROM sqlite_master ORDER BY name"
    assert rows_of(old, query) == rows_of(new, query)


def test_the_migrations_can_be_written_for_postgresql() -> None:
    written = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": written}
    )
    scripts = ScriptDirectory.from_config(config_for(None))
    with Operations.context(context):
        for script in reversed(list(scripts.walk_revisions())):
            script.module.upgrade()
    text = written.getvalue()
    assert "CREATE TRIGGER comparison_history_never_change" in text
    assert "RAISE(ABORT" not in text

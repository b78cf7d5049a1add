"""A PostgreSQL server for the tests, with its data and its socket in a temporary folder."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from feedback_store import FeedbackStore

# Stops the server when its standard input closes, so that it ends with the tests however they end.
GUARD = '"$@" & server=$!; read _; kill -QUIT $server; wait $server'
NEW_CLUSTER = [
    "-U",
    "postgres",
    "-A",
    "trust",
    "-E",
    "UTF8",
    "--locale=C.UTF-8",
    "--no-sync",
    "--data-checksums",
]
SCHEMA = """
SELECT md5(string_agg(line, chr(10) ORDER BY line)) FROM (
    SELECT concat_ws(' ', relname, attname, atttypid, attnotnull, pg_get_expr(adbin, adrelid)) AS line
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND attnum > 0
    UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT concat_ws(' ', pg_get_triggerdef(oid), tgenabled) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS lines
"""
"""A hash of what a database's public schema holds, rows aside."""

# The data is deleted after the tests, so nothing needs to reach the disk.
WITHOUT_DISK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


def missing() -> str | None:
    """The reason why no server can be started here; None if it can."""
    if _programs() is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "the driver is not installed: pip install -r requirements.txt"
    if os.name == "posix" and os.geteuid() == 0 and not _has_user():
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


@dataclass
class Server:
    """A running server. Databases are copied from one that holds an empty store, and emptied to be used again."""

    folder: Path
    emptied: list[str] = field(default_factory=list)
    schema: str = ""
    """`SCHEMA` of an empty store."""
    filled: dict[str, str] = field(default_factory=dict)
    """The tables in which an empty store has rows, with these."""

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self.folder}"

    def new_database(self, template: str = "template0") -> str:
        """Create a database and return its name; `drop` deletes it."""
        name = f"test_{uuid4().hex[:12]}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, database: str) -> None:
        self.run(f"DROP DATABASE {database} WITH (FORCE)")

    def run(self, statement: str) -> None:
        with self._connect("postgres") as connection:
            connection.execute(text(statement))

    def empty_store(self) -> str:
        """The name of a database with an empty store; `give_back` takes it again."""
        return self.emptied.pop() if self.emptied else self.new_database("empty")

    def give_back(self, database: str) -> None:
        """Empty a database for the next test, in a quarter of a copy's time. Drop it if its schema has changed."""
        with self._connect(database) as connection:
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            connection.execute(text(f"SELECT pg_terminate_backend(pid, 5000) {others}"))
            # Neither triggers nor foreign keys.
            connection.execute(text("SET session_replication_role = replica"))
            is_clean = connection.scalar(text(SCHEMA)) == self.schema
            for table in _tables(connection) if is_clean else ():
                if table not in self.filled:
                    connection.execute(text(f'DELETE FROM "{table}"'))
            sequences = "SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S'"
            connection.execute(text(sequences))
            is_clean = is_clean and _filled(connection) == self.filled
        if is_clean:
            self.emptied.append(database)
        else:
            self.drop(database)

    def _connect(self, database: str) -> Connection:
        engine = create_engine(self.url(database), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        return engine.connect()


def _tables(connection: Connection) -> list[str]:
    return list(connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")))


def _filled(connection: Connection) -> dict[str, str]:
    """The rows of each table that has some."""
    rows = {
        table: connection.scalar(
            text(f"SELECT string_agg(one::text, ';' ORDER BY one::text) FROM \"{table}\" AS one")
        )
        for table in _tables(connection)
    }
    return {table: text_of for table, text_of in rows.items() if text_of is not None}


@contextmanager
def server(settings: tuple[str, ...] = WITHOUT_DISK) -> Iterator[Server]:
    """Start a server with an empty store in its database `empty`. Call only if `missing` returns None."""
    programs = _programs()
    assert programs is not None
    # Not pytest's folder, because a socket's path is limited to about a hundred characters.
    folder = Path(tempfile.mkdtemp(prefix="thumbtune-pg-"))
    as_postgres: dict[str, Any] = {"cwd": folder}
    if os.geteuid() == 0:
        as_postgres |= {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
    options = ["-D", str(folder / "data")]
    try:
        subprocess.run(
            [programs / "initdb", *options, *NEW_CLUSTER],
            check=True,
            capture_output=True,
            **as_postgres,
        )
        options += ["-k", str(folder), "-c", "listen_addresses=", "-c", "max_connections=200"]
        for setting in settings:
            options += ["-c", setting]
        with (folder / "log").open("wb") as log:
            running = subprocess.Popen(
                ["sh", "-c", GUARD, "guard", programs / "postgres", *options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **as_postgres,
            )
        try:
            yield _ready(Server(folder), running)
        finally:
            assert running.stdin is not None
            running.stdin.close()
            running.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ready(started: Server, running: "subprocess.Popen[bytes]") -> Server:
    deadline = time.monotonic() + 60
    while True:
        try:
            started.run("CREATE DATABASE empty TEMPLATE template0")
            break
        except OperationalError:
            if running.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    FeedbackStore.open(started.url("empty")).close()
    with started._connect("empty") as connection:
        started.schema, started.filled = str(connection.scalar(text(SCHEMA))), _filled(connection)
    return started


def _programs() -> Path | None:
    """The folder with the programs of the newest installed server; None if there is none."""
    debian = Path("/usr/lib/postgresql")
    programs = sorted(debian.glob("*/bin/postgres"), key=lambda path: int(path.parent.parent.name))
    if programs:
        return programs[-1].parent
    elsewhere = shutil.which("postgres")
    return Path(elsewhere).resolve().parent if elsewhere and shutil.which("initdb") else None


def _has_user() -> bool:
    import pwd

    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return False
    return True

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

from sqlalchemy import create_engine, text
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
    """A running server. Databases are copied from one that holds an empty store, in a hundredth of a second."""

    folder: Path
    made: list[str] = field(default_factory=list)

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
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            connection.execute(text(statement))


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

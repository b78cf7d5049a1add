"""A small home for tests of backups, and functions that read the contents of a home."""

from pathlib import Path
from typing import Any

from helpers.store_fixtures import one_turn

from feedback_store import FeedbackStore


def filled_home(folder: Path) -> Path:
    """Make a home with a rated reply, a version, the pointer to the released version, and the pseudonym secret."""
    with FeedbackStore.open(folder / "feedback.db") as store:
        store.rate(one_turn(store).id, "ann", 1)
    (folder / "versions" / "v1").mkdir(parents=True)
    (folder / "versions" / "v1" / "adapter.safetensors").write_bytes(b"weights" * 1000)
    (folder / "versions" / "released.json").write_text('{"version": "v1"}')
    (folder / "raters.secret").write_bytes(b"secret")
    (folder / "raters.secret").chmod(0o600)
    return folder


def contents(home: Path) -> dict[str, bytes]:
    """The bytes of every file of a home except the database, by relative path."""
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and not path.name.startswith("feedback.db")
    }


def ratings(home: Path) -> list[Any]:
    """All (rating, reply) pairs in the store of a home, after verifying the store."""
    with FeedbackStore.open(home / "feedback.db", create=False) as store:
        assert store.verify() == []
        return list(store.ratings())

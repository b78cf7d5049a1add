"""Sample files of other systems, and what an import left in the store, for tests of the importers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import DATA

from feedback_store import FeedbackStore
from feedback_store.importers import SYSTEMS

SAMPLES = DATA / "imports"
# Every system on SQLite, and two on PostgreSQL: what is read does not depend on the engine, only what is written.
STORED = [("sqlite", system) for system in SYSTEMS] + [("postgresql", "open-webui"), ("postgresql", "trl")]


def sample(system: str, folder: Path) -> Path:
    """The sample file of a system. That of chat-ui is a Parquet file, and is generated in `folder`."""
    if system != "chat-ui":
        (path,) = SAMPLES.glob(f"{system}.*")
        return path
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    messages = [
        {"from": "user", "content": "What is 5 + 3?", "score": None},
        {"from": "assistant", "content": "<think>\n5 and 3\n</think>\n\n8", "score": 1},
        {"from": "user", "content": "And 9 + 9?", "score": None},
        {"from": "assistant", "content": "19", "score": -1},
    ]
    created = datetime(2026, 4, 1, tzinfo=UTC)
    rows = [
        {"title": "Sums", "created_at": created, "updated_at": created, "messages": messages},
        {"title": "", "created_at": created, "updated_at": created, "messages": messages[1:]},
    ]
    path = folder / "chat-ui.parquet"
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    return path


def everything(store: FeedbackStore) -> list[Any]:
    """All feedback and conversations in the store, to compare it before and after an import."""
    raters = {rating.rater for rating, _ in store.ratings()}
    raters |= {correction.rater for correction, _ in store.corrections()}
    return [
        list(store.ratings()),
        list(store.corrections()),
        list(store.comparisons()),
        [store.conversations(rater) for rater in sorted(raters)],
        store.counts(),
    ]

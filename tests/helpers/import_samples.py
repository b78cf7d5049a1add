"""Files of other systems, for tests of the importers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from helpers.paths import DATA

from feedback_store import FeedbackStore

SAMPLES = DATA / "imports"


def sample(system: str, folder: Path) -> Path:
    """The system's sample file; chat-ui's is Parquet, and made here."""
    if system != "chat-ui":
        (found,) = SAMPLES.glob(f"{system}.*")
        return found
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    said = [
        {"from": "user", "content": "What is 5 + 3?", "score": None},
        {"from": "assistant", "content": "<think>\n5 and 3\n</think>\n\n8", "score": 1},
        {"from": "user", "content": "And 9 + 9?", "score": None},
        {"from": "assistant", "content": "19", "score": -1},
    ]
    when = datetime(2026, 4, 1, tzinfo=UTC)
    rows = [
        {"title": "Sums", "created_at": when, "updated_at": when, "messages": said},
        {"title": "", "created_at": when, "updated_at": when, "messages": said[1:]},
    ]
    path = folder / "chat-ui.parquet"
    parquet.write_table(arrow.Table.from_pylist(rows), path)
    return path


def everything(store: FeedbackStore) -> list[Any]:
    raters = {rating.rater for rating, _ in store.ratings()} | {said.rater for said, _ in store.corrections()}
    return [
        list(store.ratings()),
        list(store.corrections()),
        list(store.comparisons()),
        [store.conversations(rater) for rater in sorted(raters)],
        store.counts(),
    ]

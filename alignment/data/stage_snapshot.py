"""The snapshot that a stage learns from: the store's rows as they are when it begins.

Its version's manifest names it, and the store records which versions learned from it: so it can name them when somebody
in it is forgotten.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from alignment.data.feedback_rows import RowKind
from alignment.training.flags import RunOptions, StageLocation, source_given
from alignment.training.processes import from_main_process
from feedback_store import FeedbackStore
from feedback_store.database.store_location import has_store
from feedback_store.rows import snapshot


def with_snapshot(location: StageLocation, run: RunOptions, recipe: Any, *kinds: RowKind) -> StageLocation:
    """`location` with a snapshot of the store's rows of these `kinds`, in HOME/snapshots.

    It stays as it is if it names a snapshot, if the recipe names a file, if there is no store, or in a dry run.
    """
    if location.snapshot or source_given(recipe) or run.dry_run or not has_store(location.home):
        return location

    def take() -> Path:
        with FeedbackStore.open_home(location.home, create=False) as store:
            return snapshot.take_by_id(store, location.home / "snapshots", kinds=kinds).folder

    return replace(location, snapshot=from_main_process(take))

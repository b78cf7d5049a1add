"""Provenance: which rows of the store a version learned from.

A stage that reads the store takes a snapshot of the rows first, learns from that, and its manifest names it. The store
records which versions learned from which snapshot, directly, through a parent, or through a reward model: so it can
name them when somebody in it is forgotten.
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


def record_use(location: StageLocation, version: str, parent: str, recipe: Any) -> None:
    """Record in the home's store that `version` learned from the snapshot of `location`, and what its teachers did.

    Its teachers are its parent and the reward models that the recipe names. A snapshot of another store is passed over.
    """
    if not has_store(location.home):
        return
    teachers = {parent, getattr(recipe, "reward", None), getattr(recipe, "watch_reward", None)}
    with FeedbackStore.open_home(location.home, create=False) as store:
        known = store.snapshots()
        learned = {record.id for record in known if teachers & set(record.versions)}
        if location.snapshot is not None:
            learned.add(snapshot.load(location.snapshot).id)
        for name in sorted(learned & {record.id for record in known}):
            store.record_use(version, name, parent)

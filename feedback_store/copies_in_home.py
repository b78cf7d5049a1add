"""Copies of people's words in a home, beside its store, and their removal once the words are deleted.

    cycles/N/answers-VERSION.json   answers to people's prompts, kept so that a version answers once; made again if gone
    cycles/N/probes-VERSION.json    corrections that a cycle asked again, and the answers: a record to read
    evaluations/NAME.json           likewise, in "probes"
    training/STAGE/FINGERPRINT      checkpoints of an unfinished run, and the liked replies that `correct` trains with

Nothing here raises an OSError: the words in the store are deleted already, and what cannot be removed is named.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from feedback_store.atomic_files import write_atomically
from feedback_store.store.open_store import FeedbackStore


@dataclass
class RemovedCopies:
    """What was removed from a home, and what could not be."""

    removed: list[Path] = field(default_factory=list)
    """Files and folders that are gone, and files that lost the records of deleted corrections."""
    left: list[str] = field(default_factory=list)
    """A sentence for each that may still hold deleted words."""

    @contextlib.contextmanager
    def removing(self, path: Path) -> Iterator[None]:
        """Note that `path` was removed, or why it could not be."""
        try:
            yield
        except OSError as error:
            self.left.append(f"delete this, it may still hold deleted words: {path} ({error})")
        else:
            self.removed.append(path)


def remove_records(store: FeedbackStore, home: Path) -> RemovedCopies:
    """Remove the answers that cycles keep, and the records of corrections that the store no longer has.

    A record stays if its question and correction are both still in the store, whoever's they are. Raises StoreError.
    """
    copies = RemovedCopies()
    for path in sorted(home.glob("cycles/*/answers-*.json")):
        with copies.removing(path):
            path.unlink(missing_ok=True)
    records = [*sorted(home.glob("cycles/*/probes-*.json")), *sorted(home.glob("evaluations/*.json"))]
    standing = _standing_corrections(store) if records else set()
    for path in records:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            kept = _with_standing_rows(content, standing)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            copies.left.append(f"delete this, it cannot be read and may still hold deleted words: {path}")
            continue
        if kept != content:
            with copies.removing(path):
                write_atomically(path, json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
    return copies


def remove_work_folders(home: Path) -> RemovedCopies:
    """Remove the checkpoints of unfinished training runs, which then begin anew. A run under way keeps its own."""
    copies = RemovedCopies()
    for folder in sorted(path for path in home.glob("training/*/*") if path.is_dir()):
        if _in_use(folder):
            copies.left.append(
                f"end the training that is using this folder, and delete it, or train its version anew: {folder}"
            )
            continue
        with copies.removing(folder):
            shutil.rmtree(folder)
    return copies


def _standing_corrections(store: FeedbackStore) -> set[tuple[str, str]]:
    """(question, correction) of every correction in the store."""
    given = store.with_transcripts(store.corrections(), lambda pair: pair[1].parent_id)
    return {(messages[-1]["content"], correction.text) for (correction, _), messages in given}


def _with_standing_rows(content: Any, standing: set[tuple[str, str]]) -> Any:
    """A file's content without the rows of corrections that are not standing: a cycle's probes, or an evaluation."""
    if isinstance(content, dict):
        if "probes" not in content:
            return content
        return {**content, "probes": _with_standing_rows(content["probes"], standing)}
    return [row for row in content if (row["asked"], row["correction"]) in standing]


def _in_use(folder: Path) -> bool:
    """Whether another process trains in a work folder: it then holds the lock in it."""
    if fcntl is None:
        return False  # Windows refuses to delete what is open
    try:
        with (folder / "lock").open("r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False

"""Snapshots: folders of rows that never change, so that it stays known what a version was trained on.

A snapshot holds one Parquet file for each kind of row and a `manifest.json` with the query, the rules, the counts, the
ids of all replies and votes that the rows were made from, and the SHA-256 of every file. Its id is the hash of its
content: the same feedback and the same rules give the same id on every machine. The store records whose feedback is in
a snapshot.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from feedback_store.errors import SnapshotDamaged, SnapshotError
from feedback_store.hashing import sha256_file
from feedback_store.progress_bars import ShowProgress, no_progress
from feedback_store.rows import parquet
from feedback_store.rows.demonstrations import iter_demonstrations, iter_prompts
from feedback_store.rows.pairs import iter_preferences
from feedback_store.rows.prompt_matching import digest
from feedback_store.rows.rules import DEFAULT_RULES, CountedVote, RowWithVotes, Rules
from feedback_store.rows.thumbs import class_balance, iter_unpaired
from feedback_store.store.open_store import FeedbackStore
from feedback_store.store.snapshot_files import MANIFEST, damages

FORMAT = 1  # of the manifest; raised when its meaning changes
ROW_ITERATORS: dict[str, Callable[..., Iterator[RowWithVotes[Any]]]] = {
    "unpaired": iter_unpaired,
    "preference": iter_preferences,
    "demonstration": iter_demonstrations,
    "prompt": iter_prompts,
}
KINDS = tuple(ROW_ITERATORS)


@dataclass(frozen=True)
class Snapshot:
    """An opened snapshot. `id` is the hash of its content."""

    id: str
    folder: Path
    manifest: dict[str, Any]

    @property
    def counts(self) -> dict[str, int]:
        """Number of rows by kind."""
        return dict(self.manifest["counts"])

    def rows(self, kind: str) -> Iterator[Any]:
        """Yield the rows of one of KINDS: UnpairedRow, PreferenceRow, DemonstrationRow or PromptRow.

        Raises SnapshotError if the snapshot has no rows of this kind, MissingDependency.
        """
        if kind not in self.manifest["counts"]:
            raise SnapshotError(
                f"Snapshot {self.id[:12]} has no {kind!r} rows, only {', '.join(self.manifest['counts'])}. "
                "Take one with that kind."
            )
        yield from parquet.read(self.folder / f"{kind}.parquet", kind)


def take(
    store: FeedbackStore,
    folder: Path,
    rules: Rules = DEFAULT_RULES,
    *,
    version: str | None = None,
    kinds: Sequence[str] = KINDS,
    progress: ShowProgress = no_progress,
) -> Snapshot:
    """Write the store's rows to the new folder `folder`, and record in the store whose feedback they hold.

    `version` keeps feedback on this version's replies. A folder that already holds the same snapshot is left as it
    is. A failure leaves nothing behind. Raises SnapshotError if the folder holds something else, if it cannot be
    written, or if a person in the snapshot was forgotten meanwhile; MissingDependency without pyarrow.
    """
    target = folder.absolute()
    return _take(store, target.parent, lambda _: target, rules, version, kinds, progress)


def take_by_id(
    store: FeedbackStore, parent: Path, rules: Rules = DEFAULT_RULES, *, kinds: Sequence[str] = KINDS
) -> Snapshot:
    """As `take`, into a folder of `parent` that bears the beginning of the snapshot's id.

    So the same feedback is written once.
    """
    parent = parent.absolute()
    return _take(store, parent, lambda name: parent / name[:16], rules, None, kinds, no_progress)


def _take(
    store: FeedbackStore,
    parent: Path,
    folder_of: Callable[[str], Path],
    rules: Rules,
    version: str | None,
    kinds: Sequence[str],
    progress: ShowProgress,
) -> Snapshot:
    """Write a snapshot aside in `parent`, and move it to the folder that `folder_of` makes of its id."""
    wanted = [kind for kind in KINDS if kind in kinds]
    if len(wanted) != len(set(kinds)) or not wanted:
        raise SnapshotError(f"Kinds of rows are {', '.join(KINDS)}, not {', '.join(kinds) or 'none'}.")
    parquet.check_installed()  # before any work
    aside, folder = None, parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".snapshot.", dir=parent))
        people = _write(store, aside, rules, version, wanted, progress)
        folder = folder_of(json.loads((aside / MANIFEST).read_text(encoding="utf-8"))["id"])
        placed = _place(aside, folder)
        snapshot = load(folder)
    except OSError as error:
        raise SnapshotError(
            f"The snapshot cannot be written to {folder}: {error.strerror or error}. "
            "Name a new folder in a place that you can write."
        ) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)
    try:
        store.record_snapshot(
            snapshot.id,
            folder,
            sha256_file(folder / MANIFEST),
            snapshot.counts,
            people.raters,
            people.conversations,
        )
    except BaseException:
        if placed:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return snapshot


def load(folder: Path) -> Snapshot:
    """Open a snapshot and check the SHA-256 of every file.

    Raises SnapshotError if the folder holds no snapshot, SnapshotDamaged if a file is not as it was written.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SnapshotError(f"There is no snapshot in {folder}: it has no {MANIFEST}. Take one.") from error
    except (OSError, ValueError) as error:
        raise SnapshotDamaged(
            f"The manifest of {folder} cannot be read: {error}. Take the snapshot again."
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise SnapshotDamaged(
            f"{folder} holds a manifest that this release does not know. Take the snapshot again."
        )
    for problem in damages(folder, manifest):
        raise SnapshotDamaged(f"{problem} Take the snapshot again.")
    return Snapshot(id=manifest["id"], folder=folder, manifest=manifest)


def content_hash(snapshot: Snapshot) -> str:
    """Compute the hash from the rows that the folder holds; it equals `id` unless something was changed."""
    manifest = snapshot.manifest
    hashed = _begun_hash(manifest["query"], manifest["rules"])
    for kind in manifest["counts"]:
        hashed.update(f"{kind}\n".encode())
        for row in snapshot.rows(kind):
            hashed.update(_line(parquet.plain(row)))
    hashed.update(_line([manifest["replies"], manifest["ratings"]]))
    return str(hashed.hexdigest())


@dataclass
class _People:
    """The people, conversations, replies and votes that the rows are made from."""

    raters: set[str]
    conversations: set[str]
    replies: set[str]
    votes: set[str]

    def add(self, votes: Sequence[CountedVote]) -> None:
        for vote in votes:
            self.raters.add(vote.rater)
            self.conversations.add(vote.conversation)
            self.replies.update(vote.replies)
            if vote.kind != "prompt":
                self.votes.add(vote_id(vote.kind, vote.rater, vote.replies))


def vote_id(kind: str, rater: str, replies: Sequence[str]) -> str:
    """The name of a "rating", "correction" or "comparison" in manifests: 32 hexadecimal digits.

    It can be computed from the rater's and the replies' ids, but these cannot be read from it.
    """
    return digest(kind, rater, *sorted(replies)).hex()


def _write(
    store: FeedbackStore,
    folder: Path,
    rules: Rules,
    version: str | None,
    kinds: Sequence[str],
    progress: ShowProgress,
) -> _People:
    query = {"version": version, "kinds": list(kinds), "consented": True}
    hashed = _begun_hash(query, asdict(rules))
    people = _People(set(), set(), set(), set())
    counts: dict[str, int] = {}
    left_out: dict[str, dict[str, int]] = {}
    labels: Counter[bool] = Counter()
    for kind in kinds:
        reasons: Counter[str] = Counter()
        hashed.update(f"{kind}\n".encode())

        def plain_rows(kind: str = kind, reasons: Counter[str] = reasons) -> Iterator[dict[str, Any]]:
            for item in progress(
                ROW_ITERATORS[kind](store, version, rules, reasons, progress), f"{kind} rows"
            ):
                people.add(item.votes)
                if kind == "unpaired":
                    labels[item.row.label] += 1
                values = parquet.plain(item.row)
                hashed.update(_line(values))
                yield values

        counts[kind] = parquet.write(folder / f"{kind}.parquet", kind, plain_rows())
        left_out[kind] = dict(sorted(reasons.items()))
    replies, ratings = sorted(people.replies), sorted(people.votes)
    hashed.update(_line([replies, ratings]))
    manifest = {
        "format": FORMAT,
        "id": hashed.hexdigest(),
        "query": query,
        "rules": asdict(rules),
        "counts": counts,
        "left_out": left_out,
        "balance": class_balance(labels.elements()),
        "files": {f"{kind}.parquet": sha256_file(folder / f"{kind}.parquet") for kind in kinds},
        "replies": replies,
        "ratings": ratings,
    }
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump(manifest, file, ensure_ascii=False, indent=1)
        file.flush()
        os.fsync(file.fileno())
    return people


def _place(aside: Path, folder: Path) -> bool:
    """Move a written snapshot to its folder. Returns false if the same snapshot is there already."""
    written = json.loads((aside / MANIFEST).read_text(encoding="utf-8"))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if folder.is_dir() and (folder / MANIFEST).exists() and load(folder).id == written["id"]:
            return False
        raise SnapshotError(
            f"{folder} already holds something else. Name a new folder: snapshots never change."
        )
    aside.chmod(0o755)
    aside.replace(folder)
    return True


def _begun_hash(query: dict[str, Any], rules: dict[str, Any]) -> Any:
    return hashlib.sha256(_line([FORMAT, query, rules]))


def _line(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)

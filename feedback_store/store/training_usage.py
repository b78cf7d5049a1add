"""Records of training: snapshots, the people in them, and the versions trained on them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from feedback_store.database.sessions import ROWS_AT_ONCE, Sessions, in_batches
from feedback_store.database.store_location import folder_at, recorded_path
from feedback_store.database.tables import (
    ConversationRow,
    RaterRow,
    SnapshotConversationRow,
    SnapshotFolderRow,
    SnapshotRaterRow,
    SnapshotRow,
    VersionSnapshotRow,
)
from feedback_store.errors import SnapshotError, UnknownSnapshot
from feedback_store.records import SnapshotRecord
from feedback_store.validation import check_version


class TrainingUsage(Sessions):
    """The methods of `FeedbackStore` that record whose feedback is in which snapshots and versions."""

    def record_snapshot(
        self,
        snapshot_id: str,
        folder: Path,
        manifest_sha256: str,
        counts: dict[str, int],
        raters: Iterable[str],
        conversations: Iterable[str],
    ) -> SnapshotRecord:
        """Record a snapshot in `folder`: its row counts by kind, its raters and its conversations.

        Recording the same snapshot again adds its folder. Raises SnapshotError if a person in it was
        forgotten while it was taken; it must be taken again.
        """
        recorded = recorded_path(self._engine.url, folder)
        voters, used = sorted(set(raters)), sorted(set(conversations))
        with self._write() as session:
            holders = _holders(session, used)
            people = sorted({*voters, *holders.values()})
            if len(holders) < len(used) or not _all_known(session, people):
                raise SnapshotError(
                    "A person whose messages or feedback are in this snapshot was forgotten while it was taken. "
                    "Take it again."
                )
            row = session.get(SnapshotRow, snapshot_id)
            if row is None:
                row = SnapshotRow(id=snapshot_id, created_at=datetime.now(UTC), forgotten_at=None)
                session.add(row)
                row.folder, row.manifest_sha256, row.counts = recorded, manifest_sha256, counts
                session.flush()
                if people:
                    session.execute(
                        insert(SnapshotRaterRow),
                        [{"snapshot_id": snapshot_id, "rater_id": rater} for rater in people],
                    )
                if used:
                    session.execute(
                        insert(SnapshotConversationRow),
                        [{"snapshot_id": snapshot_id, "conversation_id": name} for name in used],
                    )
            else:
                row.folder, row.manifest_sha256 = recorded, manifest_sha256
            session.merge(
                SnapshotFolderRow(snapshot_id=snapshot_id, folder=recorded, manifest_sha256=manifest_sha256)
            )
            session.flush()
            return self._as_record(session, row)

    def record_use(self, version: str, snapshot_id: str, parent: str | None = None) -> None:
        """Record that `version`, which continues `parent`, was trained on a snapshot.

        Recording it again is no change. Raises UnknownSnapshot, InvalidMessage (an invalid version id).
        """
        for name in (version,) if parent is None else (version, parent):
            check_version(name)
        with self._write() as session:
            _find(session, snapshot_id)
            if session.get(VersionSnapshotRow, (version, snapshot_id)) is None:
                session.add(
                    VersionSnapshotRow(
                        version=version,
                        snapshot_id=snapshot_id,
                        parent=parent,
                        created_at=datetime.now(UTC),
                    )
                )

    def snapshot(self, snapshot_id: str) -> SnapshotRecord:
        """The record of one snapshot. Raises UnknownSnapshot."""
        with self._read() as session:
            return self._as_record(session, _find(session, snapshot_id))

    def snapshots(self) -> list[SnapshotRecord]:
        """All recorded snapshots, the oldest first."""
        query = select(SnapshotRow).order_by(SnapshotRow.created_at, SnapshotRow.id)
        with self._read() as session:
            return [self._as_record(session, row) for row in session.scalars(query)]

    def versions_to_retrain(self) -> list[str]:
        """The versions trained on data of a person forgotten since, directly or through a parent; sorted.

        A child continues its parent's weights, so it also contains what the parent learned.
        """
        marked = (
            select(VersionSnapshotRow.version)
            .join(SnapshotRow, VersionSnapshotRow.snapshot_id == SnapshotRow.id)
            .where(SnapshotRow.forgotten_at.is_not(None))
        )
        with self._read() as session:
            versions = set(session.scalars(marked))
            parents = session.execute(select(VersionSnapshotRow.version, VersionSnapshotRow.parent)).all()
        while children := {version for version, parent in parents if parent in versions} - versions:
            versions |= children
        return sorted(versions)

    def _as_record(self, session: Session, row: SnapshotRow) -> SnapshotRecord:
        used = select(VersionSnapshotRow.version).where(VersionSnapshotRow.snapshot_id == row.id)
        folders = select(SnapshotFolderRow.folder).where(SnapshotFolderRow.snapshot_id == row.id)
        return SnapshotRecord(
            id=row.id,
            folder=folder_at(self._engine.url, row.folder),
            folders=tuple(
                folder_at(self._engine.url, folder)
                for folder in session.scalars(folders.order_by(SnapshotFolderRow.folder))
            ),
            counts=row.counts,
            versions=tuple(session.scalars(used.order_by(VersionSnapshotRow.version))),
            created_at=row.created_at,
            forgotten_at=row.forgotten_at,
        )


def _find(session: Session, snapshot_id: str) -> SnapshotRow:
    row = session.get(SnapshotRow, snapshot_id)
    if row is None:
        raise UnknownSnapshot(f"There is no snapshot {snapshot_id!r} in this store. Take one first.")
    return row


def _holders(session: Session, conversations: list[str]) -> dict[str, str]:
    """The holder of each conversation; deleted conversations are left out."""
    holders: dict[str, str] = {}
    for batch in in_batches(conversations, ROWS_AT_ONCE):
        query = select(ConversationRow.id, ConversationRow.rater_id).where(ConversationRow.id.in_(batch))
        holders.update(session.execute(query).all())
    return holders


def _all_known(session: Session, raters: list[str]) -> bool:
    known = 0
    for batch in in_batches(raters, ROWS_AT_ONCE):
        known += len(session.scalars(select(RaterRow.id).where(RaterRow.id.in_(batch))).all())
    return known == len(raters)

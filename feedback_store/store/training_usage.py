"""What was trained on what: snapshots, the people in them, and the versions that used them."""

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
    SnapshotRaterRow,
    SnapshotRow,
    VersionSnapshotRow,
)
from feedback_store.errors import SnapshotError, UnknownSnapshot
from feedback_store.records import SnapshotRecord
from feedback_store.validation import check_version


class TrainingUsage(Sessions):
    """The part of `FeedbackStore` that knows which snapshots and versions used whose words."""

    def record_snapshot(
        self,
        snapshot_id: str,
        folder: Path,
        manifest_sha256: str,
        counts: dict[str, int],
        raters: Iterable[str],
        conversations: Iterable[str],
    ) -> SnapshotRecord:
        """Write down a snapshot that lies in `folder`: rows by kind, who voted, and which conversations.

        The same snapshot again only moves it. Raises: SnapshotError where somebody in it was forgotten while
        it was taken: it must be taken again.
        """
        recorded = recorded_path(self._engine.url, folder)
        voters, used = sorted(set(raters)), sorted(set(conversations))
        with self._write() as session:
            holders = _holders(session, used)
            people = sorted({*voters, *holders.values()})
            if len(holders) < len(used) or not _all_known(session, people):
                raise SnapshotError(
                    "Somebody whose words are in this snapshot was forgotten while it was taken. Take it again."
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
                        [{"snapshot_id": snapshot_id, "conversation_id": one} for one in used],
                    )
            else:
                row.folder, row.manifest_sha256 = recorded, manifest_sha256
            return self._as_record(session, row)

    def record_use(self, version: str, snapshot_id: str, parent: str | None = None) -> None:
        """Write down that `version`, which continues `parent`, was trained on a snapshot.

        Saying it again is no change. Raises: UnknownSnapshot, InvalidMessage (a text that can name no version).
        """
        for one in (version,) if parent is None else (version, parent):
            check_version(one)
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
        """Raises: UnknownSnapshot."""
        with self._read() as session:
            return self._as_record(session, _find(session, snapshot_id))

    def snapshots(self) -> list[SnapshotRecord]:
        """All snapshots ever recorded, the oldest first."""
        query = select(SnapshotRow).order_by(SnapshotRow.created_at, SnapshotRow.id)
        with self._read() as session:
            return [self._as_record(session, row) for row in session.scalars(query)]

    def versions_to_retrain(self) -> list[str]:
        """The versions that learned from somebody forgotten since, themselves or through a parent; sorted.

        A child continues its parent's weights, so what the parent learned is in it too.
        """
        marked = (
            select(VersionSnapshotRow.version)
            .join(SnapshotRow, VersionSnapshotRow.snapshot_id == SnapshotRow.id)
            .where(SnapshotRow.forgotten_at.is_not(None))
        )
        with self._read() as session:
            found = set(session.scalars(marked))
            parents = session.execute(select(VersionSnapshotRow.version, VersionSnapshotRow.parent)).all()
        while grown := {version for version, parent in parents if parent in found} - found:
            found |= grown
        return sorted(found)

    def _as_record(self, session: Session, row: SnapshotRow) -> SnapshotRecord:
        used = select(VersionSnapshotRow.version).where(VersionSnapshotRow.snapshot_id == row.id)
        return SnapshotRecord(
            id=row.id,
            folder=folder_at(self._engine.url, row.folder),
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
    """Who holds each conversation; those that are gone are left out."""
    found: dict[str, str] = {}
    for some in in_batches(conversations, ROWS_AT_ONCE):
        query = select(ConversationRow.id, ConversationRow.rater_id).where(ConversationRow.id.in_(some))
        found.update(session.execute(query).all())
    return found


def _all_known(session: Session, raters: list[str]) -> bool:
    found = 0
    for some in in_batches(raters, ROWS_AT_ONCE):
        found += len(session.scalars(select(RaterRow.id).where(RaterRow.id.in_(some))).all())
    return found == len(raters)

"""Check that a store agrees with itself: references, trees, replies, histories of feedback, and snapshot files.

All values are read as plain SQL values, so that a damaged row becomes a reported problem and not an exception.
"""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Text, and_, cast, or_, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import aliased

from feedback_store.database.store_location import folder_at
from feedback_store.database.tables import (
    ConversationRow,
    MessageRow,
    ReplyRow,
    SnapshotFolderRow,
    SnapshotRow,
    TableBase,
)
from feedback_store.hashing import sha256_file
from feedback_store.progress_bars import ShowProgress, no_progress
from feedback_store.records import FINISH_REASONS, ROLES
from feedback_store.store.snapshot_files import MANIFEST, damages
from feedback_store.store.verify_feedback import comparisons, corrections, ratings
from feedback_store.validation import are_token_ids

MOST_PAGE_PROBLEMS = 20


def problems(connection: Connection, progress: ShowProgress = no_progress) -> list[str]:
    """One sentence for each contradiction; an empty list means none. Only reads."""
    problems_so_far: list[str] = []
    try:
        for check in progress(CHECKS, "verifying"):
            problems_so_far.extend(check(connection))
    except DatabaseError as error:  # what could still be read from damaged pages means nothing
        problems_so_far.append(f"The database is damaged: {error.orig}.")
    return problems_so_far


def _pages(connection: Connection) -> Iterator[str]:
    if connection.dialect.name == "sqlite":
        for (line,) in connection.exec_driver_sql(f"PRAGMA integrity_check({MOST_PAGE_PROBLEMS})"):
            if line != "ok":
                yield f"The database is damaged: {line}."


def _references(connection: Connection) -> Iterator[str]:
    # Queried on every engine: PostgreSQL also holds broken references if a restore turned its checks off.
    for table in TableBase.metadata.sorted_tables:
        for constraint in sorted(table.foreign_key_constraints, key=lambda constraint: str(constraint.name)):
            target = constraint.referred_table.alias("target")
            pairs = [(key.parent, target.c[key.column.name]) for key in constraint.elements]
            query = (
                select(*table.primary_key.columns)
                .outerjoin_from(table, target, and_(*(source == referred for source, referred in pairs)))
                .where(*(source.is_not(None) for source, _ in pairs), pairs[0][1].is_(None))
            )
            for row in connection.execute(query):
                name = ", ".join(map(str, row))
                missing = f"a row of {constraint.referred_table.name} that does not exist"
                yield f"Row {name} of {table.name} refers to {missing}."


def _tree(connection: Connection) -> Iterator[str]:
    parent = aliased(MessageRow)
    query = (
        select(MessageRow.id, MessageRow.parent_id, parent.id, _differs(MessageRow, parent))
        .outerjoin(parent, MessageRow.parent_id == parent.id)
        .where(
            MessageRow.parent_id.is_not(None),
            or_(
                parent.id.is_(None),
                _differs(MessageRow, parent),
                # Parents are written first, so every circle contains such a step.
                parent.number >= MessageRow.number,
            ),
        )
        .order_by(MessageRow.number)
    )
    for message, parent_id, parent_found, elsewhere in connection.execute(query):
        if parent_found is None:
            yield f"Message {message} has a parent {parent_id} that does not exist."
        elif elsewhere:
            yield f"Message {message} has a parent {parent_id} in another conversation."
        else:
            yield f"Message {message} was written before its parent {parent_id}: the tree has a circle."


def _differs(message: Any, parent: Any) -> Any:
    return message.conversation_id != parent.conversation_id


def _heads(connection: Connection) -> Iterator[str]:
    query = (
        select(ConversationRow.id, ConversationRow.head_id)
        .outerjoin(
            MessageRow,
            and_(MessageRow.id == ConversationRow.head_id, MessageRow.conversation_id == ConversationRow.id),
        )
        .where(ConversationRow.head_id.is_not(None), MessageRow.id.is_(None))
    )
    for conversation, head in connection.execute(query):
        yield f"Conversation {conversation} ends at {head}, which is no message of it."


def _replies(connection: Connection) -> Iterator[str]:
    parent = aliased(MessageRow)
    query = (
        select(
            MessageRow.id,
            MessageRow.role,
            parent.role,
            ReplyRow.id,
            ReplyRow.finish_reason,
            ReplyRow.version,
            cast(ReplyRow.prompt_ids, Text),
            cast(ReplyRow.completion_ids, Text),
            cast(ReplyRow.sampling, Text),
        )
        .outerjoin(ReplyRow, ReplyRow.id == MessageRow.id)
        .outerjoin(parent, MessageRow.parent_id == parent.id)
        .where(or_(MessageRow.role.not_in(["system", "user"]), ReplyRow.id.is_not(None)))
        .order_by(MessageRow.number)
    )
    for message, role, parent_role, reply, finish, version, *texts in connection.execute(query):
        if role not in ROLES:
            yield f"Message {message} has an unknown role {role!r}."
        elif reply is None:
            yield f"Reply {message} has its text, but nothing of how it was made."
            continue
        elif role != "assistant":
            yield f"Message {message} is of role {role!r}, and yet a reply."
        if parent_role != "user":
            yield f"Reply {message} does not answer a user's message."
        if reply is None:
            continue
        if finish not in FINISH_REASONS:
            yield f"Reply {message} has an unknown finish reason {finish!r}."
        if not version:
            yield f"Reply {message} names no version."
        prompt_ids, completion_ids, sampling = (_parsed(value) for value in texts)
        if not are_token_ids(prompt_ids):
            yield f"Reply {message} has prompt_ids that are no list of token ids."
        if not are_token_ids(completion_ids):
            yield f"Reply {message} has completion_ids that are no list of token ids."
        if not isinstance(sampling, dict):
            yield f"Reply {message} has sampling settings that cannot be read."


def _snapshots(connection: Connection) -> Iterator[str]:
    snapshots, folders = SnapshotRow.__table__.c, SnapshotFolderRow.__table__.c
    query = (
        select(snapshots.id, snapshots.folder, folders.folder, folders.manifest_sha256)
        .outerjoin_from(SnapshotRow, SnapshotFolderRow)
        .order_by(snapshots.id, folders.folder)
    )
    for snapshot, last_place, place, expected in connection.execute(query):
        if place is None:
            last_folder = folder_at(connection.engine.url, last_place)
            yield f"The snapshot in {last_folder} is none of the folders of {snapshot}."
            continue
        folder = folder_at(connection.engine.url, place)
        # A missing folder was moved or deleted by its owner, as it should be after a person in it was forgotten.
        if not folder.is_dir():
            continue
        try:
            if sha256_file(folder / MANIFEST) != expected:
                yield f"The snapshot in {folder} has another {MANIFEST} than was written."
                continue
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            if manifest["id"] != snapshot:
                yield f"The snapshot in {folder} is {manifest['id']}, not {snapshot}."
            yield from damages(folder, manifest)
        except OSError as error:
            yield f"The snapshot in {folder} cannot be read: {error.strerror or error}."


CHECKS = (_pages, _references, _tree, _heads, _replies, ratings, corrections, comparisons, _snapshots)


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None

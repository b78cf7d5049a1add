"""The one way in and out of the database.

A rating is worth a training step only if it is certain what was rated. So a reply is written once, whole,
before anyone can rate it, and is never changed; an edit or a retry adds a sibling to the conversation's tree.
A method that returns has committed: what was acknowledged survives a crash. Every method may be called from
any thread, and several processes may hold the same store open.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from uuid import uuid4

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import Session

from feedback_store import checks
from feedback_store.database import explained, open_engine
from feedback_store.errors import InvalidMessage, UnknownMessage
from feedback_store.lookup import (
    as_conversation,
    as_message,
    as_rating,
    as_reply,
    find_conversation,
    find_message,
    find_rater,
    make_known,
    title_of,
    unknown_reply,
)
from feedback_store.queries import belongings, path_to, ratings_after, totals, transcripts_to
from feedback_store.records import Conversation, Message, NewReply, Rating, Reply
from feedback_store.tables import ConversationRow, MessageRow, RaterRow, RatingHistoryRow, RatingRow, ReplyRow
from feedback_store.verify import problems

RATINGS_AT_ONCE = 500  # read in one short transaction, so that a slow reader never holds the database


class FeedbackStore:
    """Conversations, replies and ratings in one database. Open it with `FeedbackStore.open`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        on_sqlite = engine.dialect.name == "sqlite"
        # SQLite has one writer at a time: threads of this process queue here instead of polling the file.
        self._turn: AbstractContextManager[object] = threading.Lock() if on_sqlite else nullcontext()
        self._writer = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")

    @classmethod
    def open(cls, path_or_url: Path | str, *, create: bool = True) -> Self:
        """Open a SQLite file (Path) or any SQLAlchemy URL (str), making and migrating its tables.

        Raises: NotAStore, NewerSchema, StoreUnwritable, StoreDamaged, StoreUnavailable; StoreMissing where
        nothing is there and `create` is false.
        """
        return cls(open_engine(path_or_url, create))

    def close(self) -> None:
        """Let go of the database's connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Conversations

    def new_conversation(self, rater: str) -> str:
        """Begin an empty conversation of `rater` (a pseudonymous id, made known when new). Returns its id.

        Raises: InvalidRating (an id that can name nobody).
        """
        checks.check_rater(rater)
        now = datetime.now(UTC)
        row = ConversationRow(
            id=uuid4().hex, rater_id=rater, title="", head_id=None, created_at=now, updated_at=now
        )
        with self._write() as session:
            make_known(session, rater, now)
            session.add(row)
        return row.id

    def conversation(self, conversation_id: str) -> Conversation:
        """Raises: UnknownConversation."""
        with self._read() as session:
            return as_conversation(find_conversation(session, conversation_id))

    def conversations(self, rater: str) -> list[Conversation]:
        """The rater's conversations, the last touched first; none for someone unknown."""
        query = (
            select(ConversationRow)
            .where(ConversationRow.rater_id == rater)
            .order_by(ConversationRow.updated_at.desc(), ConversationRow.created_at.desc())
        )
        with self._read() as session:
            return [as_conversation(row) for row in session.scalars(query)]

    def head(self, conversation_id: str) -> str | None:
        """The message that the conversation now ends at. Raises: UnknownConversation."""
        return self.conversation(conversation_id).head

    def set_head(self, conversation_id: str, message_id: str | None) -> None:
        """Show another branch. Raises: UnknownConversation, UnknownMessage."""
        with self._write() as session:
            conversation = find_conversation(session, conversation_id)
            if message_id is not None:
                find_message(session, conversation_id, message_id)
            conversation.head_id = message_id

    # Messages and replies

    def add_message(
        self, conversation_id: str, parent_id: str | None, role: Literal["system", "user"], content: str
    ) -> Message:
        """Add a message under `parent_id` (None: a root) and move the head to it.

        Raises: InvalidMessage, UnknownConversation, UnknownMessage (no such parent in this conversation).
        """
        checks.check_message(role, content)
        now = datetime.now(UTC)
        row = MessageRow(
            id=uuid4().hex,
            conversation_id=conversation_id,
            parent_id=parent_id,
            role=role,
            content=content,
            created_at=now,
        )
        with self._write() as session:
            conversation = find_conversation(session, conversation_id)
            if parent_id is not None:
                find_message(session, conversation_id, parent_id)
            session.add(row)
            if role == "user" and not conversation.title:
                conversation.title = title_of(content)
            conversation.head_id, conversation.updated_at = row.id, now
        return as_message(row, None)

    def add_reply(self, new: NewReply) -> Reply:
        """Write a finished reply under the user message that it answers, and move the head to it.

        Raises: InvalidMessage (a field that cannot be kept, a parent that is no user message, an id already
        taken), UnknownConversation, UnknownMessage.
        """
        checks.check_reply(new)
        now = datetime.now(UTC)
        message = MessageRow(
            id=new.id,
            conversation_id=new.conversation_id,
            parent_id=new.parent_id,
            role="assistant",
            content=new.answer,
            created_at=now,
        )
        reply = ReplyRow(
            id=new.id,
            thought=new.thought,
            think=new.think,
            sampling=dict(new.sampling),
            seed=new.seed,
            version=new.version,
            prompt_ids=list(new.prompt_ids),
            completion_ids=list(new.completion_ids),
            finish_reason=new.finish_reason,
            first_token_seconds=new.first_token_seconds,
            thought_seconds=new.thought_seconds,
            seconds=new.seconds,
        )
        with self._write() as session:
            conversation = find_conversation(session, new.conversation_id)
            parent = find_message(session, new.conversation_id, new.parent_id)
            if parent.role != "user":
                raise InvalidMessage(
                    f"Reply {new.id} answers a {parent.role} message; it must answer a user's."
                )
            if session.scalar(select(MessageRow.id).where(MessageRow.id == new.id)):
                raise InvalidMessage(f"Reply {new.id} is already stored and never changes. Make a new id.")
            session.add(message)
            session.flush()
            session.add(reply)
            conversation.head_id, conversation.updated_at = new.id, now
        return as_reply(message, reply)

    def reply(self, reply_id: str) -> Reply:
        """Raises: UnknownReply."""
        query = select(MessageRow, ReplyRow).join(ReplyRow).where(ReplyRow.id == reply_id)
        with self._read() as session:
            found = session.execute(query).first()
            if found is None:
                raise unknown_reply(reply_id)
            return as_reply(found[0], found[1])

    def path(self, message_id: str) -> list[Message]:
        """The messages from the root down to `message_id`. Raises: UnknownMessage."""
        with self._read() as session:
            found = [as_message(message, reply) for message, reply in session.execute(path_to(message_id))]
        if not found:
            raise UnknownMessage(f"There is no message {message_id!r}. It may have been forgotten.")
        return found

    def transcripts(self, message_ids: Sequence[str]) -> dict[str, list[dict[str, str]]]:
        """The `role` and `content` of the messages from the root down to each id. Unknown ids are left out.

        One question to the database for all of them: ask for some hundreds at once.
        """
        found: dict[str, list[dict[str, str]]] = {}
        with self._read() as session:
            for message_id, role, content in session.execute(transcripts_to(message_ids)):
                found.setdefault(message_id, []).append({"role": role, "content": content})
        return found

    def messages(self, conversation_id: str) -> list[Message]:
        """The whole tree in the order it was made. Raises: UnknownConversation."""
        query = (
            select(MessageRow, ReplyRow)
            .outerjoin(ReplyRow)
            .where(MessageRow.conversation_id == conversation_id)
            .order_by(MessageRow.number)
        )
        with self._read() as session:
            find_conversation(session, conversation_id)
            return [as_message(message, reply) for message, reply in session.execute(query)]

    # Ratings

    def rate(
        self, reply_id: str, rater: str, value: int, reasons: Sequence[str] = (), comment: str = ""
    ) -> Rating:
        """Record that `rater` thinks a reply good (1) or bad (-1), or takes the vote back (0).

        The last vote of a rater on a reply counts. Every change is kept in the history; saying the same
        again is no change. Raises: InvalidRating, UnknownReply.
        """
        checks.check_rater(rater)
        checks.check_rating(value, reasons, comment)
        now = datetime.now(UTC)
        given = list(dict.fromkeys(reasons))
        with self._write() as session:
            # The lock makes two votes on one reply queue on PostgreSQL; on SQLite they already do.
            if session.get(ReplyRow, reply_id, with_for_update=True) is None:
                raise unknown_reply(reply_id)
            make_known(session, rater, now)
            row = session.get(RatingRow, (reply_id, rater))
            if row is None:
                row = RatingRow(reply_id=reply_id, rater_id=rater, created_at=now)
                session.add(row)
            elif (row.value, row.reasons, row.comment) == (value, given, comment):
                return as_rating(row)
            row.value, row.reasons, row.comment, row.updated_at = value, given, comment, now
            session.add(
                RatingHistoryRow(
                    reply_id=reply_id,
                    rater_id=rater,
                    value=value,
                    reasons=given,
                    comment=comment,
                    created_at=now,
                )
            )
        return as_rating(row)

    def rating(self, reply_id: str, rater: str) -> Rating | None:
        """The rater's standing vote on a reply, also a withdrawn one; None where there never was one."""
        with self._read() as session:
            row = session.get(RatingRow, (reply_id, rater))
            return as_rating(row) if row else None

    def ratings(
        self, version: str | None = None, *, consented: bool = False
    ) -> Iterator[tuple[Rating, Reply]]:
        """Every standing vote with its reply: replies in order of creation, all votes on one together.

        `version` keeps the replies of one version. `consented` keeps what may be trained on: votes of
        consenting raters on replies in conversations of consenting raters. Withdrawn votes are included.
        """
        last: tuple[int, str] = (-1, "")
        while True:
            query = ratings_after(last, version, consented).limit(RATINGS_AT_ONCE)
            with self._read() as session:
                batch = session.execute(query).all()
                found = [(as_rating(rating), as_reply(message, reply)) for rating, reply, message in batch]
            yield from found
            if len(batch) < RATINGS_AT_ONCE:
                return
            last = (batch[-1][2].number, batch[-1][0].rater_id)

    # People

    def consent(self, rater: str) -> bool:
        """Whether the rater's words and votes may be trained on. Raises: UnknownRater."""
        with self._read() as session:
            return find_rater(session, rater).consent

    def set_consent(self, rater: str, consent: bool) -> None:
        """Allow or forbid training on the rater's words and votes. Makes the rater known when new.

        Raises: InvalidRating (an id that can name nobody).
        """
        checks.check_rater(rater)
        with self._write() as session:
            make_known(session, rater, datetime.now(UTC))
            find_rater(session, rater).consent = bool(consent)

    def forget(self, rater: str) -> dict[str, int]:
        """Delete a person: conversations with all their replies and ratings, and the person's own ratings.

        Returns how many rows went, by kind: conversations, messages, replies, ratings, rating_history.
        Raises: UnknownRater.
        """
        with self._write() as session:
            find_rater(session, rater)
            counts = belongings(session, rater)
            session.execute(delete(RaterRow).where(RaterRow.id == rater))
        self._clear_log()
        return counts

    # The whole

    def verify(self) -> list[str]:
        """Every way in which the store contradicts itself, in words. Empty means clean."""
        with explained(self._engine.url), self._engine.connect() as connection:
            return problems(connection)

    def counts(self) -> dict[str, Any]:
        """Figures for `stats`.

        `raters`, `conversations`, `messages`, `replies`: numbers of rows. `ratings`: up, down, withdrawn.
        `versions`: for each version replies, up, down, withdrawn. `reasons`: how often each stands, the most
        frequent first.
        """
        with self._read() as session:
            return totals(session)

    @contextmanager
    def _read(self) -> Iterator[Session]:
        with explained(self._engine.url), Session(self._engine) as session:
            yield session

    @contextmanager
    def _write(self) -> Iterator[Session]:
        with (
            explained(self._engine.url),
            self._turn,
            Session(self._writer, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    def _clear_log(self) -> None:
        # SQLite's log still holds pages from before a deletion: move it into the file and empty it.
        if self._engine.dialect.name != "sqlite":
            return
        with explained(self._engine.url), self._turn:
            connection = self._engine.raw_connection()
            try:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            finally:
                connection.close()

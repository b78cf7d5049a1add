"""Write imported conversations into the store: many in one transaction, and each at most once.

The ids in the store are hashes of the other system's name and ids. Rows that were imported before are thus found
again without a table of imports, and an interrupted import continues when it is run again. The names of people
are replaced by pseudonyms in the same way. Original times are kept. `FeedbackStore.verify` applies to imported
rows like to any others.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from feedback_store.database.tables import (
    ComparisonHistoryRow,
    ComparisonRow,
    ConversationRow,
    CorrectionHistoryRow,
    CorrectionRow,
    ImportedConversationRow,
    ImportRow,
    MessageRow,
    RatingHistoryRow,
    RatingRow,
    ReplyRow,
)
from feedback_store.importers.parsing.items import (
    ImportedConversation,
    ImportedCorrection,
    ImportedMessage,
    ImportedRating,
    Signal,
    Unusable,
    content_key,
)
from feedback_store.records import CONTEXT_VERSION
from feedback_store.store.lookup import make_known, title_of

IDS_AT_ONCE = 500  # looked up in one database query
DAY = timedelta(days=1)


def our_id(system: str, *names: str) -> str:
    """The id in the store, 32 hexadecimal digits, of the thing with the ids `names` in another system."""
    return content_key(system, *names)


def rater_id(system: str, name: str) -> str:
    """The pseudonym of a person of another system."""
    return f"imported:{system}:{our_id(system, 'rater', name)}"


def version(system: str, model: str) -> str:
    """The version id of replies that another system generated."""
    return f"imported:{system}:{model}"[:200] if model else f"imported:{system}"


@dataclass(frozen=True)
class ImportRun:
    """One run of an import: its id, the system, and the name of the file."""

    id: str
    system: str
    file: str


def write(
    session: Session, run: ImportRun, items: Sequence[ImportedConversation]
) -> tuple[list[Unusable | bool], Counter[str]]:
    """Write the new parts of checked conversations, in order, and record which conversations the run added.

    Returns (outcomes, added): for each conversation whether it contained anything new, or why it could not be
    written; and the number of added rows by kind.
    """
    writer = _Writer(session, run.system)
    outcomes: list[Unusable | bool] = []
    for conversation, outcome in zip(items, writer.conversations(items), strict=True):
        if isinstance(outcome, Unusable):
            outcomes.append(outcome)
        else:
            new_signals = sum(writer.signal(conversation, signal) for signal in conversation.signals)
            outcomes.append(outcome or new_signals > 0)
    if writer.new_conversations:
        if session.get(ImportRow, run.id) is None:
            session.add(ImportRow(id=run.id, system=run.system, file=run.file, created_at=datetime.now(UTC)))
            session.flush()
        added = [{"import_id": run.id, "conversation_id": name} for name in writer.new_conversations]
        session.execute(insert(ImportedConversationRow), added)
    return outcomes, writer.added


class _Writer:
    """Writes in one transaction. Each method writes only what the store does not have yet, and counts it."""

    def __init__(self, session: Session, system: str) -> None:
        self._session = session
        self._system = system
        self._now = datetime.now(UTC)
        self._raters: set[str] = set()
        self.added: Counter[str] = Counter()
        self.new_conversations: list[str] = []

    def conversations(self, items: Sequence[ImportedConversation]) -> list[Unusable | bool]:
        """Write conversations with their messages; for each, return whether it is new, or why it is unusable."""
        roles = self._known_roles(items)
        known: set[str] = set()
        for ids in _chunks([self._id(conversation) for conversation in items]):
            known.update(self._session.scalars(select(ConversationRow.id).where(ConversationRow.id.in_(ids))))
        messages: list[dict[str, Any]] = []
        replies: list[dict[str, Any]] = []
        outcomes: list[Unusable | bool] = []
        for conversation in items:
            if reason := self._missing_parent(conversation, roles):
                outcomes.append(reason)
                continue
            last = self._id(conversation, conversation.turns[-1].key)
            if conversation.only_if_known and last not in roles:
                outcomes.append(Unusable("a flag that is neither Like nor Dislike"))
                continue
            new = [
                message for message in conversation.turns if self._id(conversation, message.key) not in roles
            ]
            outcomes.append(bool(new))
            if self._id(conversation) not in known:
                self._add_conversation(conversation)
                known.add(self._id(conversation))
            elif new:
                self._extend_conversation(conversation, new)
            for message in new:
                if self._id(conversation, message.key) not in roles:  # a conversation may repeat a message
                    roles[self._id(conversation, message.key)] = message.role
                    messages.append(self._message(conversation, message))
                    replies.extend(
                        [self._reply(conversation, message)] if message.role == "assistant" else []
                    )
        self._session.flush()
        # Insert in this order: rows are numbered as they are written, and a parent must have a smaller number.
        if messages:
            self._session.execute(insert(MessageRow), messages)
        if replies:
            self._session.execute(insert(ReplyRow), replies)
        self.added["messages"] += len(messages)
        self.added["replies"] += len(replies)
        return outcomes

    def signal(self, conversation: ImportedConversation, signal: Signal) -> bool:
        """Write feedback, and return whether it is new: neither stored already nor older than the stored feedback."""
        rater, dated = self._rater(signal.rater, signal.at), self._past(signal.at)
        at = dated or self._past(conversation.at) or self._now
        if isinstance(signal, ImportedRating):
            keys = {"reply_id": self._id(conversation, signal.reply), "rater_id": rater}
            if not signal.value and self._session.get(RatingRow, tuple(keys.values())) is None:
                return False
            values: dict[str, Any] = {
                "value": signal.value,
                "reasons": list(signal.reasons),
                "comment": signal.comment,
            }
            return self._write_feedback(RatingRow, RatingHistoryRow, keys, values, at, dated)
        if isinstance(signal, ImportedCorrection):
            keys = {"reply_id": self._id(conversation, signal.reply), "rater_id": rater}
            return self._write_feedback(
                CorrectionRow, CorrectionHistoryRow, keys, {"text": signal.text}, at, signal.at
            )
        left, right = self._id(conversation, signal.chosen), self._id(conversation, signal.rejected)
        order = select(MessageRow.id).where(MessageRow.id.in_([left, right])).order_by(MessageRow.number)
        first_id, second_id = self._session.scalars(order)
        models = {
            message.model for message in conversation.turns if message.key in (signal.chosen, signal.rejected)
        }
        keys = {"first_id": first_id, "second_id": second_id, "rater_id": rater}
        values = {
            "left_id": left,
            "choice": signal.tie or "left",
            "blind": signal.blind,
            "how": "versions" if len(models) > 1 else "resample",
        }
        return self._write_feedback(ComparisonRow, ComparisonHistoryRow, keys, values, at, dated)

    def _write_feedback(
        self,
        table: Any,
        history: Any,
        keys: dict[str, str],
        values: dict[str, Any],
        at: datetime,
        dated: datetime | None,
    ) -> bool:
        row = self._session.get(table, tuple(keys.values()))
        if row is None:
            row = table(**keys, created_at=at)
            self._session.add(row)
        else:
            same = all(getattr(row, name) == value for name, value in values.items())
            if same or dated is None or dated <= (self._past(row.updated_at) or dated - DAY):
                return False
        for name, value in values.items():
            setattr(row, name, value)
        row.updated_at = at
        self._session.add(history(**keys, **values, created_at=at))
        self._session.flush()  # rows of the history are numbered in the order in which they are written
        self.added[table.__tablename__] += 1
        return True

    def _past(self, at: datetime | None) -> datetime | None:
        """A time, unless it is in the future and so no time at which something happened.

        A vote from the future would count as later than all that people do from now on. A day is allowed for, because
        a time without a zone may be that of another zone.
        """
        return at if at is not None and at <= self._now + DAY else None

    def _add_conversation(self, conversation: ImportedConversation) -> None:
        times = [at for message in conversation.turns if (at := self._past(message.at))]
        began = self._past(conversation.at)
        question = next((message.content for message in conversation.turns if message.role == "user"), "")
        self._session.add(
            ConversationRow(
                id=self._id(conversation),
                rater_id=self._rater(conversation.rater, conversation.at),
                title=title_of(conversation.title or question),
                head_id=self._id(conversation, conversation.turns[-1].key),
                created_at=began or min(times, default=self._now),
                updated_at=max(times, default=began or self._now),
            )
        )
        self._session.flush()
        self.added["conversations"] += 1
        self.new_conversations.append(self._id(conversation))

    def _extend_conversation(
        self, conversation: ImportedConversation, new: Sequence[ImportedMessage]
    ) -> None:
        row = self._session.get_one(ConversationRow, self._id(conversation))
        row.head_id = self._id(conversation, new[-1].key)
        row.updated_at = max([row.updated_at, *(at for message in new if (at := self._past(message.at)))])

    def _message(self, conversation: ImportedConversation, message: ImportedMessage) -> dict[str, Any]:
        return {
            "id": self._id(conversation, message.key),
            "conversation_id": self._id(conversation),
            "parent_id": None if message.parent is None else self._id(conversation, message.parent),
            "role": message.role,
            "content": message.content,
            "created_at": self._past(message.at) or self._past(conversation.at) or self._now,
        }

    def _reply(self, conversation: ImportedConversation, message: ImportedMessage) -> dict[str, Any]:
        return {
            "id": self._id(conversation, message.key),
            "thought": message.thought,
            "think": message.think,
            "sampling": {},
            "seed": 0,
            "version": CONTEXT_VERSION.format(self._system)
            if message.context
            else version(self._system, message.model),
            # The token ids of another system are unknown: training renders the messages.
            "prompt_ids": [],
            "completion_ids": [],
            "finish_reason": "end" if message.answered else "error",
            "first_token_seconds": None,
            "thought_seconds": None,
            "seconds": 0.0,
        }

    def _missing_parent(self, conversation: ImportedConversation, roles: dict[str, str]) -> Unusable | None:
        own_roles = {message.key: message.role for message in conversation.turns}
        for message in conversation.turns:
            if message.parent is None:
                continue
            role = own_roles.get(message.parent) or roles.get(self._id(conversation, message.parent))
            if role is None:
                return Unusable("a message whose parent is missing")
            if message.role == "assistant" and role != "user":
                return Unusable("a reply that does not follow a user message")
        return None

    def _known_roles(self, items: Iterable[ImportedConversation]) -> dict[str, str]:
        """The roles of those messages named in `items` that are in the store, by their id in the store."""
        needed = {
            self._id(conversation, key): None
            for conversation in items
            for message in conversation.turns
            for key in (message.key, message.parent)
            if key is not None
        }
        roles: dict[str, str] = {}
        for ids in _chunks(list(needed)):
            rows = self._session.execute(select(MessageRow.id, MessageRow.role).where(MessageRow.id.in_(ids)))
            roles.update((message_id, role) for message_id, role in rows)
        return roles

    def _rater(self, name: str, at: datetime | None) -> str:
        rater = rater_id(self._system, name)
        if rater not in self._raters:
            make_known(self._session, rater, self._past(at) or self._now)
            self._raters.add(rater)
        return rater

    def _id(self, conversation: ImportedConversation, *names: str) -> str:
        return our_id(self._system, "conversation" if not names else "message", conversation.key, *names)


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))

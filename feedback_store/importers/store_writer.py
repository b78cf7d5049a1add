"""Imported conversations into the store: many in one transaction, each at most once.

Our ids are hashes of the other system's name and ids, so that what was imported before is found again without a
table to remember it: an import that was cut off goes on by being run again. People become pseudonyms likewise.
Original times are kept. `FeedbackStore.verify` holds for imported rows as for any others.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from feedback_store import validation
from feedback_store.database.tables import (
    ComparisonHistoryRow,
    ComparisonRow,
    ConversationRow,
    CorrectionHistoryRow,
    CorrectionRow,
    MessageRow,
    RatingHistoryRow,
    RatingRow,
    ReplyRow,
)
from feedback_store.errors import StoreError
from feedback_store.importers.parsing.items import (
    ImportedComparison,
    ImportedConversation,
    ImportedCorrection,
    ImportedMessage,
    ImportedRating,
    Signal,
    Unusable,
    content_key,
)
from feedback_store.store.lookup import make_known, title_of

IDS_AT_ONCE = 500  # asked for in one question to the database


def our_id(system: str, *names: str) -> str:
    """The id, 32 hex digits, of what another system calls by `names`."""
    return content_key(system, *names)


def rater_id(system: str, name: str) -> str:
    """The pseudonym of a person of another system."""
    return f"imported:{system}:{our_id(system, 'rater', name)}"


def version(system: str, model: str) -> str:
    """What stands as the version of replies that were not made here."""
    return f"imported:{system}:{model}"[:200] if model else f"imported:{system}"


def check(one: ImportedConversation) -> None:
    """Raises: Unusable unless all of it can be stored, as far as that is known without the store."""
    keys = {turn.key for turn in one.turns}
    roles = {turn.key: turn.role for turn in one.turns}
    if not one.turns:
        raise Unusable("no messages")
    for turn in one.turns:
        if turn.role == "assistant" and (
            turn.parent is None or (turn.parent in keys and roles[turn.parent] != "user")
        ):
            raise Unusable("a reply that answers no user's message")
        if turn.role == "assistant" and turn.answered and not turn.content.strip() and not turn.thought:
            raise Unusable("an empty reply")
    parents = {turn.key: turn.parent for turn in one.turns}
    for signal in one.signals:
        pair = (signal.chosen, signal.rejected) if isinstance(signal, ImportedComparison) else (signal.reply,)
        if any(roles.get(key) != "assistant" for key in pair) or len(set(pair)) < len(pair):
            raise Unusable("a judgement of something that is no reply")
        if len({parents[key] for key in pair}) > 1:
            raise Unusable("a choice between replies to different messages")
        try:
            if isinstance(signal, ImportedCorrection):
                validation.check_correction(signal.text)
            if isinstance(signal, ImportedRating):
                validation.check_rating(signal.value, signal.reasons, signal.comment)
        except StoreError as error:
            raise Unusable(f"a {type(error).__name__}") from error


def write(
    session: Session, system: str, items: Sequence[ImportedConversation]
) -> tuple[list[Unusable | bool], Counter[str]]:
    """Write what is new of checked items, in order.

    Returns for each item whether it brought anything new, or why it could not be written; and how many rows
    were added, by kind.
    """
    writer = _Writer(session, system)
    outcomes: list[Unusable | bool] = []
    for one, outcome in zip(items, writer.conversations(items), strict=True):
        if isinstance(outcome, Unusable):
            outcomes.append(outcome)
        else:
            news = sum(writer.signal(one, signal) for signal in one.signals)
            outcomes.append(outcome or news > 0)
    return outcomes, writer.added


class _Writer:
    """One transaction. Each method writes only what is not there yet, and counts it."""

    def __init__(self, session: Session, system: str) -> None:
        self._session = session
        self._system = system
        self._now = datetime.now(UTC)
        self._raters: set[str] = set()
        self.added: Counter[str] = Counter()

    def conversations(self, items: Sequence[ImportedConversation]) -> list[Unusable | bool]:
        """All conversations with their messages and replies; for each whether it is new, or why it is refused."""
        roles = self._known_roles(items)
        known: set[str] = set()
        for some in _pieces([self._id(one) for one in items]):
            known.update(
                self._session.scalars(select(ConversationRow.id).where(ConversationRow.id.in_(some)))
            )
        messages: list[dict[str, Any]] = []
        replies: list[dict[str, Any]] = []
        outcomes: list[Unusable | bool] = []
        for one in items:
            if reason := self._missing_parent(one, roles):
                outcomes.append(reason)
                continue
            new = [turn for turn in one.turns if self._id(one, turn.key) not in roles]
            outcomes.append(bool(new))
            if self._id(one) not in known:
                self._begin(one)
                known.add(self._id(one))
            elif new:
                self._grow(one, new)
            for turn in new:
                if self._id(one, turn.key) not in roles:  # not the same turn twice
                    roles[self._id(one, turn.key)] = turn.role
                    messages.append(self._message(one, turn))
                    replies.extend([self._reply(one, turn)] if turn.role == "assistant" else [])
        self._session.flush()
        # In this order: rows are numbered as they are written, and a parent's number is the smaller one.
        if messages:
            self._session.execute(insert(MessageRow), messages)
        if replies:
            self._session.execute(insert(ReplyRow), replies)
        self.added["messages"] += len(messages)
        self.added["replies"] += len(replies)
        return outcomes

    def signal(self, one: ImportedConversation, signal: Signal) -> bool:
        """Whether it is news: what was said before, and what is older than what was said since, is none."""
        rater, at = self._rater(signal.rater, signal.at), signal.at or one.at or self._now
        if isinstance(signal, ImportedRating):
            names = {"reply_id": self._id(one, signal.reply), "rater_id": rater}
            said: dict[str, Any] = {
                "value": signal.value,
                "reasons": list(signal.reasons),
                "comment": signal.comment,
            }
            return self._say(RatingRow, RatingHistoryRow, names, said, at, signal.at)
        if isinstance(signal, ImportedCorrection):
            names = {"reply_id": self._id(one, signal.reply), "rater_id": rater}
            return self._say(CorrectionRow, CorrectionHistoryRow, names, {"text": signal.text}, at, signal.at)
        left, right = self._id(one, signal.chosen), self._id(one, signal.rejected)
        order = select(MessageRow.id).where(MessageRow.id.in_([left, right])).order_by(MessageRow.number)
        first, second = self._session.scalars(order)
        models = {turn.model for turn in one.turns if turn.key in (signal.chosen, signal.rejected)}
        names = {"first_id": first, "second_id": second, "rater_id": rater}
        said = {
            "left_id": left,
            "choice": signal.tie or "left",
            "blind": signal.blind,
            "how": "versions" if len(models) > 1 else "resample",
        }
        return self._say(ComparisonRow, ComparisonHistoryRow, names, said, at, signal.at)

    def _say(
        self,
        table: Any,
        history: Any,
        names: dict[str, str],
        said: dict[str, Any],
        at: datetime,
        dated: datetime | None,
    ) -> bool:
        row = self._session.get(table, tuple(names.values()))
        if row is None:
            row = table(**names, created_at=at)
            self._session.add(row)
        else:
            same = all(getattr(row, name) == value for name, value in said.items())
            if same or dated is None or dated <= row.updated_at:
                return False
        for name, value in said.items():
            setattr(row, name, value)
        row.updated_at = at
        self._session.add(history(**names, **said, created_at=at))
        self._session.flush()  # histories are numbered in the order in which they were said
        self.added[table.__tablename__] += 1
        return True

    def _begin(self, one: ImportedConversation) -> None:
        times = [turn.at for turn in one.turns if turn.at]
        asked = next((turn.content for turn in one.turns if turn.role == "user"), "")
        self._session.add(
            ConversationRow(
                id=self._id(one),
                rater_id=self._rater(one.rater, one.at),
                title=title_of(one.title or asked),
                head_id=self._id(one, one.turns[-1].key),
                created_at=one.at or min(times, default=self._now),
                updated_at=max(times, default=one.at or self._now),
            )
        )
        self._session.flush()
        self.added["conversations"] += 1

    def _grow(self, one: ImportedConversation, new: Sequence[ImportedMessage]) -> None:
        row = self._session.get_one(ConversationRow, self._id(one))
        row.head_id = self._id(one, new[-1].key)
        row.updated_at = max([row.updated_at, *(turn.at for turn in new if turn.at)])

    def _message(self, one: ImportedConversation, turn: ImportedMessage) -> dict[str, Any]:
        return {
            "id": self._id(one, turn.key),
            "conversation_id": self._id(one),
            "parent_id": None if turn.parent is None else self._id(one, turn.parent),
            "role": turn.role,
            "content": turn.content,
            "created_at": turn.at or one.at or self._now,
        }

    def _reply(self, one: ImportedConversation, turn: ImportedMessage) -> dict[str, Any]:
        return {
            "id": self._id(one, turn.key),
            "thought": turn.thought,
            "think": turn.think,
            "sampling": {},
            "seed": 0,
            "version": version(self._system, turn.model),
            # Nobody knows which tokens another system read and wrote: training renders the messages.
            "prompt_ids": [],
            "completion_ids": [],
            "finish_reason": "end" if turn.answered else "error",
            "first_token_seconds": None,
            "thought_seconds": None,
            "seconds": 0.0,
        }

    def _missing_parent(self, one: ImportedConversation, roles: dict[str, str]) -> Unusable | None:
        own = {turn.key: turn.role for turn in one.turns}
        for turn in one.turns:
            if turn.parent is None:
                continue
            role = own.get(turn.parent) or roles.get(self._id(one, turn.parent))
            if role is None:
                return Unusable("a message whose parent is missing")
            if turn.role == "assistant" and role != "user":
                return Unusable("a reply that answers no user's message")
        return None

    def _known_roles(self, items: Iterable[ImportedConversation]) -> dict[str, str]:
        """The roles of all messages that the items name and the store has, by our ids."""
        ids = {
            self._id(one, key): None
            for one in items
            for turn in one.turns
            for key in (turn.key, turn.parent)
            if key is not None
        }
        found: dict[str, str] = {}
        for some in _pieces(list(ids)):
            rows = self._session.execute(
                select(MessageRow.id, MessageRow.role).where(MessageRow.id.in_(some))
            )
            found.update((name, role) for name, role in rows)
        return found

    def _rater(self, name: str, at: datetime | None) -> str:
        rater = rater_id(self._system, name)
        if rater not in self._raters:
            make_known(self._session, rater, at or self._now)
            self._raters.add(rater)
        return rater

    def _id(self, one: ImportedConversation, *names: str) -> str:
        return our_id(self._system, "conversation" if not names else "message", one.key, *names)


def _pieces(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))

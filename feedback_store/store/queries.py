"""The longer SQL queries of the store. Each docstring names the columns of the result."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, tuple_
from sqlalchemy.orm import aliased

from feedback_store.database.tables import (
    ComparisonRow,
    ConversationRow,
    CorrectionRow,
    MessageRow,
    RaterRow,
    RatingRow,
    ReplyRow,
)
from feedback_store.records import CONTEXT_VERSION


def fields_of_reply(message: Any = MessageRow, reply: Any = ReplyRow) -> tuple[Any, ...]:
    """The columns that make a `Reply`, in the order of its fields.

    Plain columns, because for very many rows the session's objects would take longer than the database.
    """
    return (
        reply.id,
        message.conversation_id,
        func.coalesce(message.parent_id, ""),
        reply.thought,
        message.content,
        reply.think,
        reply.sampling,
        reply.seed,
        reply.version,
        reply.prompt_ids,
        reply.completion_ids,
        reply.finish_reason,
        reply.first_token_seconds,
        reply.seconds,
        reply.thought_seconds,
        message.created_at,
    )


def replies_with(reply_ids: Sequence[str]) -> Select[*tuple[Any, ...]]:
    """The fields of the replies with these ids, in no order."""
    return select(*fields_of_reply()).join(ReplyRow).where(ReplyRow.id.in_(reply_ids))


def path_to(message_id: str) -> Select[MessageRow, ReplyRow]:
    """The messages from the root down to `message_id`, each with its reply or None."""
    step = (
        select(MessageRow.id, MessageRow.parent_id)
        .where(MessageRow.id == message_id)
        .cte("step", recursive=True)
    )
    parent = aliased(MessageRow)
    # A union drops repeated rows, so that the query ends even for a damaged, circular tree.
    step = step.union(select(parent.id, parent.parent_id).join(step, parent.id == step.c.parent_id))
    return (
        select(MessageRow, ReplyRow)
        .join(step, MessageRow.id == step.c.id)
        .outerjoin(ReplyRow)
        .order_by(MessageRow.number)
    )


def above(message_ids: Sequence[str]) -> Select[str, str | None, str, str]:
    """(id, parent, role, content) of `message_ids` and all messages above them, each once and after its parent."""
    leaves = (
        select(MessageRow.number, MessageRow.parent_id)
        .where(MessageRow.id.in_(message_ids))
        .cte("step", recursive=True)
    )
    parent = aliased(MessageRow)
    # A union, as in `path_to`; messages that several leaves have in common come once.
    step = leaves.union(select(parent.number, parent.parent_id).join(leaves, parent.id == leaves.c.parent_id))
    return (
        select(MessageRow.id, MessageRow.parent_id, MessageRow.role, MessageRow.content)
        .join(step, MessageRow.number == step.c.number)
        .order_by(MessageRow.number)
    )


def first_words(conversation_id: str) -> Select[str]:
    """The content of the first user message of a conversation."""
    return (
        select(MessageRow.content)
        .where(MessageRow.conversation_id == conversation_id, MessageRow.role == "user")
        .order_by(MessageRow.number)
        .limit(1)
    )


def conversations_with(rater: str, text: str) -> Select[ConversationRow]:
    """The rater's conversations with `text` in title or messages, ignoring case; the most recently changed first."""
    matches = select(MessageRow.id).where(
        MessageRow.conversation_id == ConversationRow.id, MessageRow.content.icontains(text, autoescape=True)
    )
    return (
        select(ConversationRow)
        .where(
            ConversationRow.rater_id == rater,
            or_(ConversationRow.title.icontains(text, autoescape=True), matches.exists()),
        )
        .order_by(ConversationRow.updated_at.desc(), ConversationRow.created_at.desc())
    )


def recent_messages(rater: str, role: str, contents: Sequence[str], conversations: int) -> Select[str]:
    """The ids of messages of this role with one of these contents, the newest first.

    Only in the `conversations` of the rater that changed last: contents have no index.
    """
    latest = (
        select(ConversationRow.id)
        .where(ConversationRow.rater_id == rater)
        .order_by(ConversationRow.updated_at.desc())
        .limit(conversations)
    )
    return (
        select(MessageRow.id)
        .where(
            MessageRow.conversation_id.in_(latest),
            MessageRow.role == role,
            MessageRow.content.in_(contents),
        )
        .order_by(MessageRow.number.desc())
    )


def siblings_of(message_id: str) -> Select[str]:
    """The ids of a message and of all others under its parent, in order; of a root, all roots."""
    message = aliased(MessageRow)
    return (
        select(MessageRow.id)
        .join(
            message,
            and_(
                message.conversation_id == MessageRow.conversation_id,
                or_(
                    message.parent_id == MessageRow.parent_id,
                    and_(message.parent_id.is_(None), MessageRow.parent_id.is_(None)),
                ),
            ),
        )
        .where(message.id == message_id)
        .order_by(MessageRow.number)
    )


def answered_prompts_after(
    last: int, version: str | None, consented: bool
) -> Select[int, str | None, str, str, bool, list[int]]:
    """(number of the reply, message id, conversation, holder, think, prompt ids) of replies beyond `last`.

    Without replies that are only the context of an imported prompt.
    """
    query = (
        select(
            MessageRow.number,
            MessageRow.parent_id,
            MessageRow.conversation_id,
            ConversationRow.rater_id,
            ReplyRow.think,
            ReplyRow.prompt_ids,
        )
        .join(ReplyRow, ReplyRow.id == MessageRow.id)
        .join(ConversationRow, MessageRow.conversation_id == ConversationRow.id)
        .where(MessageRow.number > last, ReplyRow.version.not_like(CONTEXT_VERSION.format("%")))
        .order_by(MessageRow.number)
    )
    if version is not None:
        query = query.where(ReplyRow.version == version)
    if consented:
        query = query.join(RaterRow, RaterRow.id == ConversationRow.rater_id).where(RaterRow.consent)
    return query


def ratings_after(last: tuple[int, str], version: str | None, consented: bool) -> Select[*tuple[Any, ...]]:
    """(number, rating, the reply's fields) of ratings beyond `last` (message number, rater), in that order.

    `consented` asks for the consent of the rater and of the conversation's holder.
    """
    return _after(RatingRow, last, version, consented)


def thumbs_after(
    last: tuple[int, str], version: str | None, consented: bool
) -> Select[int, str, str, int, str, str | None, str, bool, str | None, str]:
    """(number, and the fields of a Thumb) of thumbs beyond `last` (message number, rater), in that order."""
    query = (
        select(
            MessageRow.number,
            RatingRow.reply_id,
            RatingRow.rater_id,
            RatingRow.value,
            MessageRow.conversation_id,
            MessageRow.parent_id,
            ReplyRow.version,
            ReplyRow.think,
            ReplyRow.thought,
            MessageRow.content,
        )
        .join(ReplyRow, RatingRow.reply_id == ReplyRow.id)
        .join(MessageRow, ReplyRow.id == MessageRow.id)
        .where(RatingRow.value != 0)
    )
    return _beyond(query, RatingRow, last, version, consented)


def corrections_after(
    last: tuple[int, str], version: str | None, consented: bool
) -> Select[*tuple[Any, ...]]:
    """(number, correction, the reply's fields) of corrections beyond `last` (message number, rater), in that order."""
    return _after(CorrectionRow, last, version, consented)


def _after(
    vote: Any, last: tuple[int, str], version: str | None, consented: bool
) -> Select[*tuple[Any, ...]]:
    query = (
        select(MessageRow.number, vote, *fields_of_reply())
        .join(ReplyRow, vote.reply_id == ReplyRow.id)
        .join(MessageRow, ReplyRow.id == MessageRow.id)
    )
    return _beyond(query, vote, last, version, consented)


def _beyond(
    query: Select[*tuple[Any, ...]], vote: Any, last: tuple[int, str], version: str | None, consented: bool
) -> Select[*tuple[Any, ...]]:
    query = query.where(
        # The first condition follows from the second, but it can use an index.
        MessageRow.number >= last[0],
        tuple_(MessageRow.number, vote.rater_id) > last,
    ).order_by(MessageRow.number, vote.rater_id)
    if version is not None:
        query = query.where(ReplyRow.version == version)
    return query.where(may_be_used(vote, MessageRow)) if consented else query


def comparisons_after(
    last: tuple[int, int, str], version: str | None, consented: bool
) -> Select[*tuple[Any, ...]]:
    """(first number, second number, comparison, the fields of its two replies) beyond `last`, in its order.

    `last` is (first number, second number, rater).
    """
    first, second = aliased(ReplyRow), aliased(ReplyRow)
    first_message, second_message = aliased(MessageRow), aliased(MessageRow)
    key = tuple_(first_message.number, second_message.number, ComparisonRow.rater_id)
    query = (
        select(
            first_message.number,
            second_message.number,
            ComparisonRow,
            *fields_of_reply(first_message, first),
            *fields_of_reply(second_message, second),
        )
        .join(first, ComparisonRow.first_id == first.id)
        .join(first_message, first.id == first_message.id)
        .join(second, ComparisonRow.second_id == second.id)
        .join(second_message, second.id == second_message.id)
        .where(first_message.number >= last[0], key > last)
        .order_by(first_message.number, second_message.number, ComparisonRow.rater_id)
    )
    if version is not None:
        query = query.where(or_(first.version == version, second.version == version))
    return query.where(may_be_used(ComparisonRow, first_message)) if consented else query


def contested_messages(consented: bool) -> Select[str]:
    """The ids of user messages with one reply that was rated up and another that was rated down."""
    user_message = aliased(MessageRow)
    query = (
        select(user_message.id)
        .join(MessageRow, MessageRow.parent_id == user_message.id)
        .join(RatingRow, RatingRow.reply_id == MessageRow.id)
        .where(RatingRow.value != 0)
        .group_by(user_message.id, user_message.number)
        .having(
            and_(
                func.min(RatingRow.value) < 0,
                func.max(RatingRow.value) > 0,
                func.count(RatingRow.reply_id.distinct()) > 1,
            )
        )
        .order_by(user_message.number)
    )
    return query.where(may_be_used(RatingRow, MessageRow)) if consented else query


def ratings_under(message_ids: Sequence[str], consented: bool) -> Select[*tuple[Any, ...]]:
    """(rating, the reply's fields) of all ratings of the replies to these messages.

    Messages in order of creation, the replies of a message likewise.
    """
    user_message = aliased(MessageRow)
    # The conversation follows from the parent, but the index on parents begins with it.
    below = and_(
        MessageRow.conversation_id == user_message.conversation_id, MessageRow.parent_id == user_message.id
    )
    query = (
        select(RatingRow, *fields_of_reply())
        .join(ReplyRow, RatingRow.reply_id == ReplyRow.id)
        .join(MessageRow, ReplyRow.id == MessageRow.id)
        .join(user_message, below)
        .where(user_message.id.in_(message_ids))
        .order_by(user_message.number, MessageRow.number, RatingRow.rater_id)
    )
    return query.where(may_be_used(RatingRow, MessageRow)) if consented else query


def may_be_used(vote: Any, message: Any) -> ColumnElement[bool]:
    """Whether both the rater and the holder of the conversation consent to training.

    Checked for each row by key: a list of all who consent would be computed again for each page of a large store. One
    subquery for both, because SQLite would otherwise check the holder of every message, and few messages are rated.
    """
    voter, holder = aliased(RaterRow), aliased(RaterRow)
    both = (
        select(ConversationRow.id)
        .join(holder, holder.id == ConversationRow.rater_id)
        .join(voter, voter.id == vote.rater_id)
        .where(ConversationRow.id == message.conversation_id, holder.consent, voter.consent)
    )
    return both.exists()

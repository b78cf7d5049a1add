"""Conversations as trees: messages and replies are added, never changed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal, TypeVar
from uuid import uuid4

from sqlalchemy import select

from feedback_store import validation
from feedback_store.database.sessions import Sessions
from feedback_store.database.tables import ConversationRow, MessageRow, ReplyRow
from feedback_store.errors import InvalidMessage, UnknownMessage
from feedback_store.records import AnsweredPrompt, Conversation, Message, NewReply, Reply
from feedback_store.store.lookup import (
    as_conversation,
    as_message,
    as_reply,
    as_transcripts,
    find_conversation,
    find_message,
    make_known,
    title_of,
    unknown_reply,
)
from feedback_store.store.queries import (
    above,
    answered_prompts_after,
    conversations_with,
    first_words,
    path_to,
    replies_with,
    siblings_of,
)

TRANSCRIPTS_AT_ONCE = 500  # read by one query
Item = TypeVar("Item")


class Conversations(Sessions):
    """The part of `FeedbackStore` that keeps conversations, their messages and replies."""

    def new_conversation(self, rater: str, conversation_id: str | None = None) -> str:
        """Begin an empty conversation of `rater` (a pseudonymous id, made known when new). Returns its id.

        `conversation_id`: where the caller has drawn one already; else it is drawn here.
        Raises: InvalidRating (an id that can name nobody), InvalidMessage (an id of a conversation that is
        already taken, or can be none).
        """
        validation.check_rater(rater)
        if conversation_id is not None:
            validation.check_conversation(conversation_id)
        now = datetime.now(UTC)
        row = ConversationRow(
            id=conversation_id or uuid4().hex,
            rater_id=rater,
            title="",
            head_id=None,
            created_at=now,
            updated_at=now,
        )
        with self._write() as session:
            if session.get(ConversationRow, row.id) is not None:
                raise InvalidMessage(f"Conversation {row.id} exists already. Draw a new id.")
            make_known(session, rater, now)
            session.add(row)
        return row.id

    def begin_conversation(
        self,
        rater: str,
        turns: Sequence[tuple[Literal["system", "user"], str]],
        conversation_id: str | None = None,
    ) -> Message:
        """A conversation with its first messages, each below the one before, in one transaction. Returns the last.

        As `new_conversation` and an `add_message` for each turn, and waits for the disk once instead of each time.
        Raises: InvalidRating, InvalidMessage (also without turns); nothing is kept then.
        """
        validation.check_rater(rater)
        if conversation_id is not None:
            validation.check_conversation(conversation_id)
        for role, content in turns:
            validation.check_message(role, content)
        if not turns:
            raise InvalidMessage("A conversation begins with a message. Give one.")
        now, talk = datetime.now(UTC), conversation_id or uuid4().hex
        title = title_of(next((content for role, content in turns if role == "user"), ""))
        row = ConversationRow(
            id=talk, rater_id=rater, title=title, head_id=None, created_at=now, updated_at=now
        )
        with self._write() as session:
            if session.get(ConversationRow, talk) is not None:
                raise InvalidMessage(f"Conversation {talk} exists already. Draw a new id.")
            make_known(session, rater, now)
            session.add(row)
            session.flush()
            above: str | None = None
            for role, content in turns:
                message = MessageRow(
                    id=uuid4().hex,
                    conversation_id=talk,
                    parent_id=above,
                    role=role,
                    content=content,
                    created_at=now,
                )
                session.add(message)
                session.flush()
                above = message.id
            row.head_id = above
        return as_message(message, None)

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

    def rename(self, conversation_id: str, title: str) -> Conversation:
        """Give a conversation a title that a person chose. An empty one gives the first message's back.

        Does not count as touching it: the conversation keeps its place among the rater's.
        Raises: InvalidMessage (no text, or longer than 200 characters), UnknownConversation.
        """
        validation.check_title(title)
        chosen = " ".join(title.split())
        with self._write() as session:
            row = find_conversation(session, conversation_id)
            row.title = chosen or title_of(session.scalar(first_words(conversation_id)) or "")
            row.renamed_at = datetime.now(UTC) if chosen else None
        return as_conversation(row)

    def search(self, rater: str, text: str) -> list[Conversation]:
        """The rater's conversations with `text` in their title or in a message of any branch.

        Upper and lower case are the same. The last touched come first; an empty `text` finds all.
        Raises: InvalidMessage (no text, or longer than 1,000 characters).
        """
        validation.check_search(text)
        with self._read() as session:
            found = session.scalars(conversations_with(rater, text.strip()))
            return [as_conversation(row) for row in found]

    def add_message(
        self, conversation_id: str, parent_id: str | None, role: Literal["system", "user"], content: str
    ) -> Message:
        """Add a message under `parent_id` (None: a root) and move the head to it.

        Raises: InvalidMessage, UnknownConversation, UnknownMessage (no such parent in this conversation).
        """
        validation.check_message(role, content)
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
        validation.check_reply(new)
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

    def replies(self, reply_ids: Sequence[str]) -> dict[str, Reply]:
        """The replies with these ids, in no order. Unknown ids are left out. Ask for some hundreds at once."""
        with self._read() as session:
            return {row[0]: Reply(*row) for row in session.execute(replies_with(reply_ids))}

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
        with self._read() as session:
            return as_transcripts(session.execute(above(message_ids)), message_ids)

    def with_transcripts(
        self, items: Iterable[Item], message_id: Callable[[Item], str]
    ) -> Iterator[tuple[Item, list[dict[str, str]]]]:
        """Each item with the transcript down to the message that `message_id` returns for it, in order.

        An item whose message was forgotten after the item was read is left out.
        """
        remaining = iter(items)
        while batch := list(islice(remaining, TRANSCRIPTS_AT_ONCE)):
            transcripts = self.transcripts([message_id(item) for item in batch])
            for item in batch:
                if message_id(item) in transcripts:
                    yield item, transcripts[message_id(item)]

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

    def answered_prompts(
        self, version: str | None = None, *, consented: bool = False
    ) -> Iterator[AnsweredPrompt]:
        """What every reply answered, in the order the replies were made; a message that has several, as often.

        `version` keeps what one version answered, `consented` the conversations of people who consent.
        """

        def read(row: Any) -> tuple[int, AnsweredPrompt]:
            number, message_id, conversation_id, rater, think, prompt_ids = row
            return number, AnsweredPrompt(message_id, conversation_id, rater, think, prompt_ids)

        return self._in_pages(lambda last: answered_prompts_after(last, version, consented), -1, read)

    def siblings(self, message_id: str) -> list[str]:
        """The ids of all messages under the same parent, `message_id` among them, in the order they were made.

        Of a root: all roots of its conversation. Raises: UnknownMessage.
        """
        with self._read() as session:
            found = list(session.scalars(siblings_of(message_id)))
        if not found:
            raise UnknownMessage(f"There is no message {message_id!r}. It may have been forgotten.")
        return found

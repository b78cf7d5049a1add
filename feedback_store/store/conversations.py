"""Conversations as trees of messages and replies, which are added and never changed."""

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
    recent_messages,
    replies_with,
    siblings_of,
)

TRANSCRIPTS_AT_ONCE = 500  # read by one query
RECENT_CONVERSATIONS = 200
"""Conversations of one rater in which a transcript is looked for: those that changed last."""
Item = TypeVar("Item")


class Conversations(Sessions):
    """The methods of `FeedbackStore` for conversations, messages and replies."""

    def new_conversation(self, rater: str, conversation_id: str | None = None) -> str:
        """Create an empty conversation of `rater`, a pseudonymous id that is added if it is new. Returns its id.

        `conversation_id` is drawn at random if it is None. Raises InvalidRating for an invalid rater id,
        InvalidMessage for a conversation id that is invalid or taken.
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
        messages: Sequence[tuple[Literal["system", "user"], str]],
        conversation_id: str | None = None,
    ) -> Message:
        """Create a conversation with its first messages, each below the previous one. Returns the last message.

        The same as `new_conversation` and an `add_message` for each message, but in one transaction. Raises
        InvalidRating, InvalidMessage (also if there are no messages); then nothing is stored.
        """
        validation.check_rater(rater)
        if conversation_id is not None:
            validation.check_conversation(conversation_id)
        for role, content in messages:
            validation.check_message(role, content)
        if not messages:
            raise InvalidMessage("A conversation begins with a message. Give one.")
        now, new_id = datetime.now(UTC), conversation_id or uuid4().hex
        title = title_of(next((content for role, content in messages if role == "user"), ""))
        row = ConversationRow(
            id=new_id, rater_id=rater, title=title, head_id=None, created_at=now, updated_at=now
        )
        with self._write() as session:
            if session.get(ConversationRow, new_id) is not None:
                raise InvalidMessage(f"Conversation {new_id} exists already. Draw a new id.")
            make_known(session, rater, now)
            session.add(row)
            session.flush()
            parent_id: str | None = None
            for role, content in messages:
                message = MessageRow(
                    id=uuid4().hex,
                    conversation_id=new_id,
                    parent_id=parent_id,
                    role=role,
                    content=content,
                    created_at=now,
                )
                session.add(message)
                session.flush()
                parent_id = message.id
            row.head_id = parent_id
        return as_message(message, None)

    def conversation(self, conversation_id: str) -> Conversation:
        """The conversation with this id. Raises UnknownConversation."""
        with self._read() as session:
            return as_conversation(find_conversation(session, conversation_id))

    def conversations(self, rater: str) -> list[Conversation]:
        """The rater's conversations, the most recently changed first; an empty list for an unknown rater."""
        query = (
            select(ConversationRow)
            .where(ConversationRow.rater_id == rater)
            .order_by(ConversationRow.updated_at.desc(), ConversationRow.created_at.desc())
        )
        with self._read() as session:
            return [as_conversation(row) for row in session.scalars(query)]

    def head(self, conversation_id: str) -> str | None:
        """Id of the message that the conversation is shown up to. Raises UnknownConversation."""
        return self.conversation(conversation_id).head

    def set_head(self, conversation_id: str, message_id: str | None) -> None:
        """Show the branch that ends at a message. Raises UnknownConversation, UnknownMessage."""
        with self._write() as session:
            conversation = find_conversation(session, conversation_id)
            if message_id is not None:
                find_message(session, conversation_id, message_id)
            conversation.head_id = message_id

    def rename(self, conversation_id: str, title: str) -> Conversation:
        """Set the title that a person chose. An empty one restores the title from the first message.

        This does not count as a change: the conversation keeps its position in the rater's list.
        Raises InvalidMessage (no text, or longer than 200 characters), UnknownConversation.
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

        Case is ignored. The most recently changed come first; an empty `text` finds all.
        Raises InvalidMessage (no text, or longer than 1,000 characters).
        """
        validation.check_search(text)
        with self._read() as session:
            rows = session.scalars(conversations_with(rater, text.strip()))
            return [as_conversation(row) for row in rows]

    def add_message(
        self, conversation_id: str, parent_id: str | None, role: Literal["system", "user"], content: str
    ) -> Message:
        """Add a message under `parent_id` (None: a root) and move the head to it.

        Raises InvalidMessage, UnknownConversation, UnknownMessage (no such parent in this conversation).
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
        """Store a finished reply under the user message that it answers, and move the head to it.

        Raises InvalidMessage (an invalid field, a parent that is no user message, an id that is taken),
        UnknownConversation, UnknownMessage.
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
        """The reply with this id. Raises UnknownReply."""
        query = select(MessageRow, ReplyRow).join(ReplyRow).where(ReplyRow.id == reply_id)
        with self._read() as session:
            row = session.execute(query).first()
            if row is None:
                raise unknown_reply(reply_id)
            return as_reply(row[0], row[1])

    def replies(self, reply_ids: Sequence[str]) -> dict[str, Reply]:
        """The replies with these ids. Unknown ids are left out. Pass at most some hundreds of ids."""
        with self._read() as session:
            return {row[0]: Reply(*row) for row in session.execute(replies_with(reply_ids))}

    def path(self, message_id: str) -> list[Message]:
        """The messages from the root down to `message_id`. Raises UnknownMessage."""
        with self._read() as session:
            messages = [as_message(message, reply) for message, reply in session.execute(path_to(message_id))]
        if not messages:
            raise UnknownMessage(f"There is no message {message_id!r}. It may have been forgotten.")
        return messages

    def transcripts(self, message_ids: Sequence[str]) -> dict[str, list[dict[str, str]]]:
        """The `role` and `content` of the messages from the root down to each id. Unknown ids are left out.

        One query reads all of them: pass at most some hundreds of ids.
        """
        with self._read() as session:
            return as_transcripts(session.execute(above(message_ids)), message_ids)

    def message_that_ends(self, transcript: Sequence[dict[str, str]], rater: str) -> str | None:
        """Id of the newest message to which exactly this transcript leads, in the rater's recent conversations.

        `transcript`: `role` and `content` of each message, the last one a user's or an answer; space around a content
        is ignored.
        """

        def words(messages: Sequence[dict[str, str]]) -> list[tuple[str, str]]:
            return [(message["role"], message["content"].strip()) for message in messages]

        role, content = transcript[-1]["role"], transcript[-1]["content"]
        if not validation.is_text(content):
            return None
        query = recent_messages(rater, role, [content, content.strip()], RECENT_CONVERSATIONS)
        with self._read() as session:
            ids = list(session.scalars(query.limit(TRANSCRIPTS_AT_ONCE)))
        known = self.transcripts(ids) if ids else {}
        return next((name for name in ids if words(known.get(name, [])) == words(transcript)), None)

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
        """All messages of the tree, in the order in which they were added. Raises UnknownConversation."""
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
        """For each reply, the user message that it answers, in the order in which the replies were made.

        A message with several replies comes several times. `version` keeps what one version answered, `consented`
        the conversations of people who consented to training.
        """

        def read(row: Any) -> tuple[int, AnsweredPrompt]:
            number, message_id, conversation_id, rater, think, prompt_ids = row
            return number, AnsweredPrompt(message_id, conversation_id, rater, think, prompt_ids)

        return self._in_pages(lambda last: answered_prompts_after(last, version, consented), -1, read)

    def siblings(self, message_id: str) -> list[str]:
        """The ids of all messages under the same parent, including `message_id`, in the order they were added.

        The siblings of a root are all roots of its conversation. Raises UnknownMessage.
        """
        with self._read() as session:
            siblings = list(session.scalars(siblings_of(message_id)))
        if not siblings:
            raise UnknownMessage(f"There is no message {message_id!r}. It may have been forgotten.")
        return siblings

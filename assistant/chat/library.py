"""What a person has said here: their conversations, the branches in each, and their judgements on the replies.

Nothing here needs a model. Every method takes the person's pseudonym and refuses what is somebody else's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from assistant.errors import NotHere, NothingToUndo, NotYours
from feedback_store import (
    Choice,
    Conversation,
    FeedbackStore,
    How,
    Message,
    Reply,
    UnknownConversation,
    UnknownMessage,
    UnknownReply,
)


@dataclass(frozen=True)
class Turn:
    """One message on the shown path of a conversation, with this rater's judgements on it."""

    id: str
    parent_id: str | None
    role: str
    content: str
    thought: str | None
    version: str | None
    finish_reason: str | None
    thought_seconds: float | None
    rating: int
    reasons: tuple[str, ...]
    comment: str
    siblings: tuple[str, ...] = ()
    """Ids of all messages at this place, itself included, oldest first."""
    think: bool = False
    dropped: int = 0
    """How many of the oldest messages this reply's model did not read, because the conversation is too long."""
    correction: str | None = None
    """The better answer that this rater wrote."""


class Library:
    """A person's conversations in the store."""

    def __init__(self, store: FeedbackStore) -> None:
        self._store = store

    # The list

    def conversations(self, rater: str, search: str = "") -> list[Conversation]:
        """The rater's conversations that have a message, the last touched first; with `search`, those it is in."""
        found = self._store.search(rater, search) if search.strip() else self._store.conversations(rater)
        return [conversation for conversation in found if conversation.title]

    def rename(self, conversation: str, title: str, rater: str) -> None:
        """Raises ConversationError if it is not this rater's, StoreError if the title cannot be one."""
        self.owned(conversation, rater)
        self._store.rename(conversation, title)

    def delete(self, conversation: str, rater: str) -> None:
        """Delete it with all its replies and votes; nothing will be trained on it. Raises ConversationError."""
        self.owned(conversation, rater)
        self._store.forget_conversation(conversation)

    # One conversation

    def owned(self, conversation: str, rater: str) -> Conversation:
        """Raises ConversationError if it is unknown or somebody else's."""
        try:
            found = self._store.conversation(conversation)
        except UnknownConversation as error:
            raise NotHere("This conversation is not here any more. Start a new one.") from error
        if found.rater != rater:
            raise NotYours("This conversation belongs to somebody else. Start one of your own.")
        return found

    def tree(self, conversation: str, rater: str) -> list[Message]:
        """Every message, in the order they were made. Raises ConversationError."""
        self.owned(conversation, rater)
        return self._store.messages(conversation)

    def history(self, conversation: str, rater: str) -> list[Turn]:
        """The shown path, first message first. Raises ConversationError if it is not this rater's."""
        head = self.owned(conversation, rater).head
        messages = {message.id: message for message in self._store.messages(conversation)}
        places: dict[str | None, list[str]] = {}
        for message in messages.values():
            places.setdefault(message.parent_id, []).append(message.id)
        path: list[Turn] = []
        while head is not None:
            message = messages[head]
            siblings = tuple(
                other for other in places[message.parent_id] if messages[other].role == message.role
            )
            path.append(replace(self._turn(message, rater), siblings=siblings))
            head = message.parent_id
        return path[::-1]

    def turn(self, reply_id: str, rater: str) -> Turn:
        """One reply, wherever in its conversation. Raises ConversationError."""
        reply = self.reply(reply_id, rater)
        return self._turn(self._store.path(reply.id)[-1], rater)

    def reply(self, reply_id: str, rater: str) -> Reply:
        """Raises ConversationError if there is no such reply in this rater's conversations."""
        try:
            reply = self._store.reply(reply_id)
        except UnknownReply as error:
            raise NotHere("This reply is not here any more. Reload the page.") from error
        self.owned(reply.conversation_id, rater)
        return reply

    def show(self, message_id: str, rater: str) -> None:
        """Show the branch that goes through this message, to its newest end. Raises ConversationError."""
        try:
            conversation = self._store.path(message_id)[-1].conversation_id
        except UnknownMessage as error:
            raise NotHere("This message is not here any more. Reload the page.") from error
        below = {message_id}
        newest = message_id
        for message in self.tree(conversation, rater):
            # Children are made after their parents, so the newest message below has none itself.
            if message.parent_id in below:
                below.add(message.id)
                newest = message.id
        self._store.set_head(conversation, newest)

    def undo(self, conversation: str, rater: str) -> str:
        """Take the last message and its answer off the path; the message's text. They stay in the store.

        Raises ConversationError if there is nothing to undo.
        """
        head = self.owned(conversation, rater).head
        asked = [message for message in (self._store.path(head) if head else []) if message.role == "user"]
        if not asked:
            raise NothingToUndo("There is nothing to undo: the conversation is empty.")
        self._store.set_head(conversation, asked[-1].parent_id)
        return asked[-1].content

    # Judgements

    def rate(self, reply_id: str, value: int, reasons: Sequence[str], comment: str, rater: str) -> None:
        """Store a vote: 1, -1, or 0 to withdraw it. The last vote of a rater on a reply counts.

        Raises StoreError if the reply is unknown or a value out of range.
        """
        self._store.rate(reply_id, rater, value, reasons, comment)

    def correct(self, reply_id: str, text: str, rater: str) -> None:
        """Keep a better answer than this one; an empty text takes it back.

        Raises ConversationError, or StoreError if it cannot be stored.
        """
        self.reply(reply_id, rater)
        self._store.correct(reply_id, rater, text)

    def choose(self, left: str, right: str, choice: Choice, how: How, rater: str) -> None:
        """Keep which of two replies to one message is better, and show the better one (the left if equal).

        `choice`: left, right, both_good or both_bad. Raises ConversationError, StoreError.
        """
        self.reply(left, rater)
        self.reply(right, rater)
        self._store.compare(left, right, rater, choice, blind=True, how=how)
        self.show(right if choice == "right" else left, rater)

    def _turn(self, message: Message, rater: str) -> Turn:
        reply = message.reply
        rating = self._store.rating(message.id, rater) if reply else None
        correction = self._store.correction(message.id, rater) if reply else None
        return Turn(
            id=message.id,
            parent_id=message.parent_id,
            role=message.role,
            content=message.content,
            thought=message.thought,
            version=reply.version if reply else None,
            finish_reason=reply.finish_reason if reply else None,
            thought_seconds=reply.thought_seconds if reply else None,
            rating=rating.value if rating else 0,
            reasons=rating.reasons if rating else (),
            comment=rating.comment if rating else "",
            think=reply.think if reply else False,
            dropped=int(reply.sampling.get("dropped", 0)) if reply else 0,
            correction=(correction.text or None) if correction else None,
        )

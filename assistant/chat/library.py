"""A rater's conversations, the branches in each, and the rater's feedback on replies. Needs no model.

Every method takes the rater's pseudonym. A conversation belongs to the rater who began it: methods that read or change
one refuse another's. Only a rating may be given by whoever knows a reply's id, because the API and `/rate` promise it;
it counts as the rating of the one who gives it, and reveals nothing of the conversation.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assistant.errors import NotHere, NothingToUndo, NotYours, UnknownReason
from feedback_store import (
    Choice,
    Conversation,
    FeedbackStore,
    GivenFeedback,
    How,
    Message,
    Reply,
    UnknownConversation,
    UnknownMessage,
    UnknownRater,
    UnknownReply,
)
from feedback_store.copies_in_home import remove_records

log = logging.getLogger(__name__)

REASONS: dict[int, tuple[str, ...]] = {
    1: ("correct", "clear", "helpful", "other"),
    0: (),
    -1: ("wrong", "unclear", "off_topic", "too_long", "too_short", "other"),
}
"""The reasons that a rating may have, by its value. What else somebody has to say is a comment."""


def check_reasons(value: int, reasons: Sequence[str]) -> None:
    """Raises UnknownReason for a reason that a rating of this value may not have."""
    for reason in reasons:
        if reason not in REASONS.get(value, ()):
            known = ", ".join(REASONS.get(value, ())) or "none, because it withdraws the rating"
            raise UnknownReason(
                f"{reason[:100]!r} is no reason of the value {value}. It may have: {known}. "
                "Write anything else as the comment."
            )


@dataclass(frozen=True)
class ConversationTurn:
    """One message on the shown path of a conversation, with this rater's feedback on it."""

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
    """Ids of all messages with this parent and role, itself included, oldest first."""
    think: bool = False
    dropped: int = 0
    """How many of the oldest messages this reply's model did not read, because the conversation is too long."""
    correction: str | None = None
    """The better answer that this rater wrote."""


class Library:
    """The conversations in a store, for one rater at a time."""

    def __init__(self, store: FeedbackStore, home: Path | None = None) -> None:
        """`home`: where cycles keep what they asked again; None if there is none."""
        self._store = store
        self._home = home

    # All conversations

    def conversations(self, rater: str, search: str = "") -> list[Conversation]:
        """The rater's conversations that have a message, the last changed first; those that contain `search`."""
        store = self._store
        conversations = store.search(rater, search) if search.strip() else store.conversations(rater)
        return [conversation for conversation in conversations if conversation.title]

    def rename(self, conversation: str, title: str, rater: str) -> None:
        """Raises ConversationError if it is not this rater's, StoreError if the title is not valid."""
        self.owned(conversation, rater)
        self._store.rename(conversation, title)

    def delete(self, conversation: str, rater: str) -> None:
        """Delete it with all its replies and ratings, and what cycles kept of them; no later snapshot has them.

        Raises ConversationError.
        """
        self.owned(conversation, rater)
        self._store.forget_conversation(conversation)
        if self._home is not None:
            for sentence in remove_records(self._store, self._home).left:
                log.warning("%s", sentence)

    # One conversation

    def owned(self, conversation: str, rater: str) -> Conversation:
        """The conversation. Raises ConversationError if it is unknown or another rater's."""
        try:
            record = self._store.conversation(conversation)
        except UnknownConversation as error:
            raise NotHere("This conversation is not here any more. Start a new one.") from error
        if record.rater != rater:
            raise NotYours("This conversation belongs to somebody else. Start one of your own.")
        return record

    def tree(self, conversation: str, rater: str) -> list[Message]:
        """Every message, in the order in which they were added. Raises ConversationError."""
        self.owned(conversation, rater)
        return self._store.messages(conversation)

    def history(self, conversation: str, rater: str) -> list[ConversationTurn]:
        """The shown path, first message first. Raises ConversationError if it is not this rater's."""
        head = self.owned(conversation, rater).head
        messages = {message.id: message for message in self._store.messages(conversation)}
        children: dict[str | None, list[str]] = {}
        for message in messages.values():
            children.setdefault(message.parent_id, []).append(message.id)
        path: list[ConversationTurn] = []
        while head is not None:
            message = messages[head]
            siblings = tuple(
                sibling for sibling in children[message.parent_id] if messages[sibling].role == message.role
            )
            path.append(replace(self._turn(message, rater), siblings=siblings))
            head = message.parent_id
        return path[::-1]

    def turn(self, reply_id: str, rater: str) -> ConversationTurn:
        """One reply, on the shown path or not. Raises ConversationError."""
        reply = self.reply(reply_id, rater)
        return self._turn(self._store.path(reply.id)[-1], rater)

    def transcript(self, reply_id: str, rater: str) -> list[dict[str, str]]:
        """Role and content of each message down to a reply of this rater's. Raises what `reply` raises."""
        self.reply(reply_id, rater)
        return self._store.transcripts([reply_id])[reply_id]

    def reply(self, reply_id: str, rater: str) -> Reply:
        """Raises ConversationError if this rater's conversations have no such reply."""
        try:
            reply = self._store.reply(reply_id)
        except UnknownReply as error:
            raise NotHere("This reply is not here any more. Reload the page.") from error
        self.owned(reply.conversation_id, rater)
        return reply

    def show(self, message_id: str, rater: str) -> None:
        """Show the branch that goes through this message, down to its newest message. Raises ConversationError."""
        try:
            conversation = self._store.path(message_id)[-1].conversation_id
        except UnknownMessage as error:
            raise NotHere("This message is not here any more. Reload the page.") from error
        below = {message_id}
        newest = message_id
        for message in self.tree(conversation, rater):
            # Children are added after their parents, so that the newest message below has none itself.
            if message.parent_id in below:
                below.add(message.id)
                newest = message.id
        self._store.set_head(conversation, newest)

    def undo(self, conversation: str, rater: str) -> str:
        """Take the last message and its answer off the shown path; the message's text. Both stay in the store.

        Raises ConversationError if there is nothing to undo.
        """
        head = self.owned(conversation, rater).head
        path = self._store.path(head) if head else []
        messages = [message for message in path if message.role == "user"]
        if not messages:
            raise NothingToUndo("There is nothing to undo: the conversation is empty.")
        self._store.set_head(conversation, messages[-1].parent_id)
        return messages[-1].content

    # Feedback

    def rate(self, reply_id: str, value: int, reasons: Sequence[str], comment: str, rater: str) -> None:
        """Store a rating: 1, -1, or 0 to withdraw it. A rater's last rating of a reply counts.

        Any rater may rate any reply whose id they know. Raises UnknownReason for one that is not in `REASONS`, and
        StoreError if the reply is unknown or a value is out of range.
        """
        check_reasons(value, reasons)
        self._store.rate(reply_id, rater, value, reasons, comment)

    def correct(self, reply_id: str, text: str, rater: str) -> None:
        """Store a better answer than this one; an empty text withdraws it.

        Raises ConversationError, or StoreError if it cannot be stored.
        """
        self.reply(reply_id, rater)
        self._store.correct(reply_id, rater, text)

    def choose(self, left: str, right: str, choice: Choice, how: How, rater: str) -> None:
        """Store which of two replies to one message is better, and show the better one (the left if they are equal).

        `choice`: left, right, both_good or both_bad. Raises ConversationError, StoreError.
        """
        self.reply(left, rater)
        self.reply(right, rater)
        self._store.compare(left, right, rater, choice, blind=True, how=how)
        self.show(right if choice == "right" else left, rater)

    def given_feedback(self, rater: str) -> list[GivenFeedback]:
        """The rater's standing thumbs and corrections, the latest first, with the versions that learned from each."""
        return self._store.given_feedback(rater)

    def consents(self, rater: str) -> bool:
        """Whether versions may be trained on the rater's messages and feedback. New people consent."""
        try:
            return self._store.consent(rater)
        except UnknownRater:
            return True

    def set_consent(self, rater: str, consent: bool) -> None:
        """Allow or forbid training on the rater's messages and feedback, from the next snapshot on."""
        self._store.set_consent(rater, consent)

    def _turn(self, message: Message, rater: str) -> ConversationTurn:
        reply = message.reply
        rating = self._store.rating(message.id, rater) if reply else None
        correction = self._store.correction(message.id, rater) if reply else None
        return ConversationTurn(
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

"""Paths in a conversation's tree of messages: the path that a new message continues, and adding the message to it."""

from collections.abc import Sequence
from typing import Literal

from assistant.chat.library import Library
from assistant.errors import NotHere
from feedback_store import FeedbackStore, Message, UnknownMessage

Path = Sequence[Message | dict[str, str]]
"""Messages from a root down. A dictionary stands for a system message that is not stored yet."""


class MessageTree:
    """Finds paths in the trees of the store, and adds messages to them."""

    def __init__(self, store: FeedbackStore, library: Library) -> None:
        self._store = store
        self._library = library

    def path_to(self, conversation: str | None, parent: str | None, rater: str, system: str) -> Path:
        """The path that a new message continues, down to `parent`: None is the head, "" the start of the tree.

        `system` begins the path unless it does already. A message that never got its answer is left out at the end:
        the new message becomes its sibling. Raises ConversationError if conversation or parent are not there, or
        belong to another rater.
        """
        opening: list[Message | dict[str, str]] = (
            [{"role": "system", "content": system}] if system.strip() else []
        )
        if conversation is None:
            return opening
        head = self._library.owned(conversation, rater).head
        end = head if parent is None else parent
        try:
            path = self._store.path(end) if end else []
        except UnknownMessage as error:
            raise NotHere("The message to answer is not here any more. Reload the page.") from error
        if path and path[-1].conversation_id != conversation:
            raise NotHere("The message to answer is not in this conversation. Reload the page.")
        if path and path[-1].role == "user":
            path = path[:-1]
        if not path or (path[-1].role == "system" and path[-1].content != system):
            return opening
        return [*path]

    def add(self, conversation: str, new: bool, path: Path, message: str, rater: str) -> Message:
        """Store a user's message at the end of `path`, in a conversation that is begun if it is `new`."""
        if new:
            opening: list[tuple[Literal["system", "user"], str]] = [
                ("system", earlier["content"]) for earlier in path if not isinstance(earlier, Message)
            ]
            return self._store.begin_conversation(rater, [*opening, ("user", message)], conversation)
        parent: str | None = None
        for earlier in path:
            if isinstance(earlier, Message):
                parent = earlier.id
            else:
                parent = self._store.add_message(conversation, parent, "system", earlier["content"]).id
        return self._store.add_message(conversation, parent, "user", message)

    def path_to_question(self, message_id: str, rater: str) -> list[Message]:
        """The path to the message that a reply answers, by the reply's id; or to a user's message, by its own id.

        Raises ConversationError if it is not there, or belongs to another rater.
        """
        try:
            path = self._store.path(message_id)
        except UnknownMessage as error:
            raise NotHere("This reply is not here any more. Reload the page.") from error
        if path[-1].role == "user":
            self._library.owned(path[-1].conversation_id, rater)
            return path
        return self._store.path(self._library.reply(message_id, rater).parent_id)


def texts(path: Path) -> list[dict[str, str]]:
    """Role and content of each message, as `prompt.render` takes them."""
    return [
        {"role": message.role, "content": message.content} if isinstance(message, Message) else message
        for message in path
    ]

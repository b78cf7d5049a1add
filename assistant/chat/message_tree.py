"""Where a message stands in its conversation's tree: the path that it continues, and itself under that path's end."""

from collections.abc import Sequence
from typing import Literal

from assistant.chat.library import Library
from assistant.errors import NotHere
from feedback_store import FeedbackStore, Message, UnknownMessage

Path = Sequence[Message | dict[str, str]]
"""Messages from a root down. A dictionary stands for a system message that is not stored yet."""


class Places:
    """Finds and fills the places of messages in the store."""

    def __init__(self, store: FeedbackStore, library: Library) -> None:
        self._store = store
        self._library = library

    def before(self, conversation: str | None, parent: str | None, rater: str, system: str) -> Path:
        """The path that a new message continues, below `parent`: None is the head, "" the start of the tree.

        `system` begins it where it does not begin so already. Raises ConversationError if conversation or
        parent are not there, or are somebody else's.
        """
        first: list[Message | dict[str, str]] = (
            [{"role": "system", "content": system}] if system.strip() else []
        )
        if conversation is None:
            return first
        head = self._library.owned(conversation, rater).head
        at = head if parent is None else parent
        try:
            path = self._store.path(at) if at else []
        except UnknownMessage as error:
            raise NotHere("The message to answer is not here any more. Reload the page.") from error
        if path and path[-1].conversation_id != conversation:
            raise NotHere("The message to answer is not in this conversation. Reload the page.")
        # A question that never got its answer is passed over: the new one becomes its sibling.
        if path and path[-1].role == "user":
            path = path[:-1]
        if not path or (path[-1].role == "system" and path[-1].content != system):
            return first
        return [*path]

    def say(self, conversation: str, new: bool, before: Path, message: str, rater: str) -> Message:
        """Store a person's message under `before`, in a conversation that is begun if it is `new`."""
        if new:
            turns: list[tuple[Literal["system", "user"], str]] = [
                ("system", turn["content"]) for turn in before if not isinstance(turn, Message)
            ]
            return self._store.begin(rater, [*turns, ("user", message)], conversation)
        parent: str | None = None
        for earlier in before:
            if isinstance(earlier, Message):
                parent = earlier.id
            else:
                parent = self._store.add_message(conversation, parent, "system", earlier["content"]).id
        return self._store.add_message(conversation, parent, "user", message)

    def path_to_question(self, turn_id: str, rater: str) -> list[Message]:
        """The path to the message that a reply answers, or to a message that has no reply, by its own id.

        Raises ConversationError if it is not there, or somebody else's.
        """
        try:
            path = self._store.path(turn_id)
        except UnknownMessage as error:
            raise NotHere("This reply is not here any more. Reload the page.") from error
        if path[-1].role == "user":
            self._library.owned(path[-1].conversation_id, rater)
            return path
        return self._store.path(self._library.reply(turn_id, rater).parent_id)


def texts(path: Path) -> list[dict[str, str]]:
    """Role and content of each, as `prompt.render` takes them."""
    return [
        {"role": turn.role, "content": turn.content} if isinstance(turn, Message) else turn for turn in path
    ]

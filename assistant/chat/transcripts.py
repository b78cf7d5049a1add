"""Transcripts of stateless clients, which send the whole conversation with each message, and where each is stored.

A transcript that continues a stored reply word for word is added to that reply's conversation. Any other begins one;
assistant messages in it that no version here has written are stored as replies of `CLIENT`, without tokens.
"""

import hashlib
import json
import threading
import uuid
from collections import OrderedDict
from collections.abc import Sequence
from itertools import takewhile
from typing import Literal

from feedback_store import FeedbackStore, Message, NewReply, StoreError

CLIENT = "client"
"""Stands for the version of an assistant message that the client sent along."""
MAX_REMEMBERED = 10_000
"""Messages whose transcripts are recognised without asking the store."""

LOOKED_UP = 8
"""Ends of a transcript that the store is asked for: its last message, and the answers before it, the newest first."""


class Transcripts:
    """Recognises transcripts, and stores the messages of new ones. Any thread may call it."""

    def __init__(self, store: FeedbackStore) -> None:
        self._store = store
        self._known: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def conversation(self, messages: Sequence[dict[str, str]], rater: str) -> str | None:
        """Id of the conversation that `messages` continue; None if they begin one. Raises StoreError."""
        known, _ = self._longest_known(messages, _keys(messages, rater), rater)
        return known.conversation_id if known else None

    def add(self, messages: Sequence[dict[str, str]], rater: str, new_id: str | None = None) -> Message:
        """Store those of `messages` that are not stored yet; the stored user message that they end with.

        `new_id`: the id of the conversation, if they begin one; None draws it. Raises StoreError.
        """
        keys = _keys(messages, rater)
        parent, known = self._longest_known(messages, keys, rater)
        if parent is not None and known == len(messages):
            return parent
        message = parent
        if parent is None and (opening := _opening(messages)):
            message, known = self._store.begin_conversation(rater, opening, new_id), len(opening)
        conversation = message.conversation_id if message else self._store.new_conversation(rater, new_id)
        for added in messages[known:]:
            above = message.id if message else None
            if added["role"] != "assistant":
                role: Literal["system", "user"] = "system" if added["role"] == "system" else "user"
                message = self._store.add_message(conversation, above, role, added["content"])
                continue
            if message is None or message.role != "user":
                # A reply answers something: a greeting, or the second of two, gets an empty question.
                message = self._store.add_message(conversation, above, "user", "")
            reply = self._store.add_reply(_client_reply(conversation, message.id, added["content"]))
            message = self._store.path(reply.id)[-1]
        assert message is not None, "a transcript has at least one message"
        self._remember(keys[-1], message.id)
        return message

    def remember(self, messages: Sequence[dict[str, str]], answer: str, rater: str, reply_id: str) -> None:
        """Recognise a transcript that begins with `messages` and `answer` as continuing this reply."""
        self._remember(_keys([*messages, {"role": "assistant", "content": answer}], rater)[-1], reply_id)

    def _remember(self, key: str, message_id: str) -> None:
        with self._lock:
            self._known[key] = message_id
            while len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)

    def _longest_known(
        self, messages: Sequence[dict[str, str]], keys: Sequence[str], rater: str
    ) -> tuple[Message | None, int]:
        """The stored message that the longest known beginning ends with, and the length of that beginning.

        The whole transcript is known if a client asks for the same answer again: the reply becomes a sibling.
        """
        ends = [
            end for end in range(len(messages), 0, -1) if end == len(messages) or _is_answer(messages, end)
        ]
        for place, end in enumerate(ends):
            with self._lock:
                message_id = self._known.get(keys[end - 1])
            if message_id is None and place < LOOKED_UP:
                # Another process on the same store may have written it, or this one before it was started again.
                message_id = self._store.message_that_ends(messages[:end], rater)
            if message_id is not None:
                try:
                    return self._store.path(message_id)[-1], end
                except StoreError:
                    # It was deleted meanwhile.
                    continue
        return None, 0


def _is_answer(messages: Sequence[dict[str, str]], end: int) -> bool:
    return messages[end - 1]["role"] == "assistant"


def _keys(messages: Sequence[dict[str, str]], rater: str) -> list[str]:
    """For each message, a hash of the transcript up to it."""
    digest = hashlib.sha256(json.dumps(rater).encode())
    keys = []
    for message in messages:
        digest.update(json.dumps([message["role"], message["content"].strip()]).encode())
        keys.append(digest.hexdigest())
    return keys


def _opening(messages: Sequence[dict[str, str]]) -> list[tuple[Literal["system", "user"], str]]:
    """Role and text of each message before the first assistant message."""
    before = takewhile(lambda message: message["role"] != "assistant", messages)
    return [("system" if message["role"] == "system" else "user", message["content"]) for message in before]


def _client_reply(conversation: str, question: str, answer: str) -> NewReply:
    return NewReply(
        id=uuid.uuid4().hex,
        conversation_id=conversation,
        parent_id=question,
        thought=None,
        answer=answer,
        think=False,
        sampling={},
        seed=0,
        version=CLIENT,
        prompt_ids=[],
        completion_ids=[],
        finish_reason="end",
        first_token_seconds=None,
        seconds=0.0,
        thought_seconds=None,
    )

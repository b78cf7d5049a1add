"""Where a transcript belongs in the store: a stateless client sends the whole conversation with each turn.

A transcript that goes on from a reply made here, word for word, continues that reply's conversation. Any other
begins one; assistant messages in it that no version here has written are kept as replies of `CLIENT`, without tokens.
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
"""Stands for the version of an assistant message that the client brought along."""
REMEMBERED = 10_000
"""Messages whose transcripts are known again; the oldest are forgotten, and continued as new conversations."""


class Transcripts:
    """Finds and makes the place of a transcript. Any thread may call it."""

    def __init__(self, store: FeedbackStore) -> None:
        self._store = store
        self._known: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def conversation(self, messages: Sequence[dict[str, str]], rater: str) -> str | None:
        """The conversation that `messages` go on with; None where they begin one. Raises StoreError."""
        known, _ = self._longest_known(messages, _keys(messages, rater))
        return known.conversation_id if known else None

    def place(self, messages: Sequence[dict[str, str]], rater: str, new: str | None = None) -> Message:
        """The stored user message that `messages` ends with, all before it stored too. Raises StoreError.

        `new`: the id of a conversation that they begin, where it is drawn already.
        """
        keys = _keys(messages, rater)
        parent, begin = self._longest_known(messages, keys)
        if parent is not None and begin == len(messages):
            return parent
        message = parent
        if parent is None and (opening := _opening(messages)):
            message, begin = self._store.begin(rater, opening, new), len(opening)
        conversation = message.conversation_id if message else self._store.new_conversation(rater, new)
        for turn in messages[begin:]:
            above = message.id if message else None
            if turn["role"] != "assistant":
                role: Literal["system", "user"] = "system" if turn["role"] == "system" else "user"
                message = self._store.add_message(conversation, above, role, turn["content"])
                continue
            if message is None or message.role != "user":
                # A reply answers something: a greeting, or the second of two, gets an empty question.
                message = self._store.add_message(conversation, above, "user", "")
            reply = self._store.add_reply(_brought(conversation, message.id, turn["content"]))
            message = self._store.path(reply.id)[-1]
        assert message is not None, "a transcript has at least one message"
        self._keep(keys[-1], message.id)
        return message

    def remember(self, messages: Sequence[dict[str, str]], answer: str, rater: str, reply_id: str) -> None:
        """From now on, a transcript that begins with `messages` and `answer` continues this reply."""
        self._keep(_keys([*messages, {"role": "assistant", "content": answer}], rater)[-1], reply_id)

    def _keep(self, key: str, message_id: str) -> None:
        with self._lock:
            self._known[key] = message_id
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def _longest_known(
        self, messages: Sequence[dict[str, str]], keys: Sequence[str]
    ) -> tuple[Message | None, int]:
        """The stored message that the longest known beginning ends with, and that beginning's length.

        The whole transcript is known where an answer is asked for again: the reply becomes a sibling.
        """
        for end in range(len(messages), 0, -1):
            with self._lock:
                message_id = self._known.get(keys[end - 1])
            if message_id is not None and (end == len(messages) or messages[end - 1]["role"] == "assistant"):
                try:
                    return self._store.path(message_id)[-1], end
                except StoreError:
                    # It was forgotten meanwhile.
                    continue
        return None, 0


def _keys(messages: Sequence[dict[str, str]], rater: str) -> list[str]:
    """For each message, a name of the transcript up to it."""
    digest = hashlib.sha256(json.dumps(rater).encode())
    keys = []
    for turn in messages:
        digest.update(json.dumps([turn["role"], turn["content"].strip()]).encode())
        keys.append(digest.hexdigest())
    return keys


def _opening(messages: Sequence[dict[str, str]]) -> list[tuple[Literal["system", "user"], str]]:
    """What is said before the first assistant message."""
    before = takewhile(lambda turn: turn["role"] != "assistant", messages)
    return [("system" if turn["role"] == "system" else "user", turn["content"]) for turn in before]


def _brought(conversation: str, question: str, answer: str) -> NewReply:
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

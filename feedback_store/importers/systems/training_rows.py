"""Conversations made from rows of training data: a prompt, replies to it, and feedback on the replies.

Such rows name no people. Each row becomes a conversation with a rater of its own, so that limits for each rater do
not apply to a dataset as a whole. Importing an equal row again adds nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from feedback_store.importers.parsing.fields import branch, content, split_thought, text
from feedback_store.importers.parsing.items import (
    ImportedComparison,
    ImportedConversation,
    ImportedCorrection,
    ImportedMessage,
    ImportedRating,
    Signal,
    Unusable,
    content_key,
    turn,
)

# These names are part of the ids of stored rows, so they must not change: a repeated import has to find the rows.
KEY_NAMES = {ImportedRating: "Vote", ImportedCorrection: "Correction", ImportedComparison: "Choice"}


def demonstration(prompt: Sequence[ImportedMessage], reply: ImportedMessage) -> ImportedConversation:
    """A reply to be learned as it is, stored as a correction of itself with the same text."""
    return _row(prompt, [reply], lambda key: [ImportedCorrection(reply.key, key, reply.content)])


def preference(
    prompt: Sequence[ImportedMessage], chosen: ImportedMessage, rejected: ImportedMessage
) -> ImportedConversation:
    """A comparison of two replies to one prompt, in the same mode. Raises: Unusable if they are equal."""
    if chosen.key == rejected.key:
        raise Unusable("chosen and rejected are the same")
    think = chosen.think or rejected.think
    chosen, rejected = replace(chosen, think=think), replace(rejected, think=think)
    return _row(prompt, [chosen, rejected], lambda key: [ImportedComparison(chosen.key, rejected.key, key)])


def unpaired(
    prompt: Sequence[ImportedMessage], reply: ImportedMessage, label: object
) -> ImportedConversation:
    """A reply with a thumb: `label` true is up, false is down. Raises: Unusable for any other label."""
    if not isinstance(label, bool):
        raise Unusable("a label that is neither true nor false")
    return _row(prompt, [reply], lambda key: [ImportedRating(reply.key, key, 1 if label else -1)])


def prompt_only(prompt: Sequence[ImportedMessage], *, think: bool | None = None) -> ImportedConversation:
    """A prompt without a reply, to be answered in training; stored with an unanswered placeholder reply."""
    reply = turn(prompt[-1], "assistant", "", name=_mode(think), think=think)
    return _row(prompt, [replace(reply, answered=False)], lambda key: [])


def reply_to(
    prompt: Sequence[ImportedMessage], value: object, *, think: bool | None = None
) -> ImportedMessage:
    """Convert a field to a reply: from a text, a message, or a list of one message. Raises: Unusable."""
    if not prompt or prompt[-1].role != "user":
        raise Unusable("a prompt that does not end with a user message")
    if isinstance(value, list):
        if len(value) != 1:
            raise Unusable("a reply of more than one message")
        value = value[0]
    if isinstance(value, dict):
        thought, body = value.get("reasoning_content"), value.get("content", value.get("value"))
    else:
        thought, body = None, value
    embedded_thought, answer = split_thought(content(body, "a reply"))
    thought = text(thought, "a thought") if thought else embedded_thought
    if not answer.strip() and thought is None:
        raise Unusable("a reply is empty")
    return turn(prompt[-1], "assistant", answer, name=_mode(think), thought=thought, think=think)


def prompt_of(value: object) -> list[ImportedMessage]:
    """Convert a field to a prompt: from a text, which is one user message, or a list of messages. Raises: Unusable."""
    turns = [turn(None, "user", text(value, "prompt"))] if isinstance(value, str) else branch(value, "prompt")
    if turns[-1].role != "user":
        raise Unusable("a prompt that does not end with a user message")
    return turns


def conversation_of(
    value: object, name: str = "messages", *, think: bool | None = None
) -> tuple[list[ImportedMessage], ImportedMessage]:
    """Split a list of messages that ends with a reply into (prompt, reply). Raises: Unusable."""
    *prompt, reply = branch(value, name)
    if reply.role != "assistant":
        raise Unusable(f"{name} does not end with a reply")
    return prompt, turn(
        prompt[-1], "assistant", reply.content, name=_mode(think), thought=reply.thought, think=think
    )


def _row(
    prompt: Sequence[ImportedMessage],
    replies: Sequence[ImportedMessage],
    signals: Callable[[str], Sequence[Signal]],
) -> ImportedConversation:
    # The feedback is part of the key: equal texts with opposite ratings are two rows, not a rating that changed.
    kinds = [f"{KEY_NAMES[type(signal)]} {getattr(signal, 'value', '')}" for signal in signals("")]
    key = content_key(*(reply.key for reply in replies), *kinds)
    return ImportedConversation(key, key, (*prompt, *replies), tuple(signals(key)))


def _mode(think: bool | None) -> str:
    return "" if think is None else f"think {think}"

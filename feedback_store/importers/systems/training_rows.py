"""Rows of training data, whatever names they carry: a prompt, and what is said of the replies to it.

Nobody is named in such rows. Each row is a conversation of its own with a rater of its own, so that no rule for
people lumps a whole dataset together; the same row again is the same conversation.
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

# Part of the ids of rows that are stored already: an import that is run again must find them under the same names.
KEY_NAMES = {ImportedRating: "Vote", ImportedCorrection: "Correction", ImportedComparison: "Choice"}


def demonstration(prompt: Sequence[ImportedMessage], reply: ImportedMessage) -> ImportedConversation:
    """A reply to learn from as it stands: what its writer would rather have read than any other."""
    return _row(prompt, [reply], lambda key: [ImportedCorrection(reply.key, key, reply.content)])


def preference(
    prompt: Sequence[ImportedMessage], chosen: ImportedMessage, rejected: ImportedMessage
) -> ImportedConversation:
    """Both answered one prompt, in one mode. Raises: Unusable where both are the same."""
    if chosen.key == rejected.key:
        raise Unusable("chosen and rejected are the same")
    think = chosen.think or rejected.think
    chosen, rejected = replace(chosen, think=think), replace(rejected, think=think)
    return _row(prompt, [chosen, rejected], lambda key: [ImportedComparison(chosen.key, rejected.key, key)])


def unpaired(
    prompt: Sequence[ImportedMessage], reply: ImportedMessage, label: object
) -> ImportedConversation:
    """Raises: Unusable unless `label` is true or false."""
    if not isinstance(label, bool):
        raise Unusable("a label that is neither true nor false")
    return _row(prompt, [reply], lambda key: [ImportedRating(reply.key, key, 1 if label else -1)])


def prompt_only(prompt: Sequence[ImportedMessage], *, think: bool | None = None) -> ImportedConversation:
    """A prompt to answer in training, kept with a reply that was never made."""
    reply = turn(prompt[-1], "assistant", "", name=_mode(think), think=think)
    return _row(prompt, [replace(reply, answered=False)], lambda key: [])


def reply_to(
    prompt: Sequence[ImportedMessage], said: object, *, think: bool | None = None
) -> ImportedMessage:
    """The reply that a field holds: a text, a message, or a list of one message. Raises: Unusable."""
    if not prompt or prompt[-1].role != "user":
        raise Unusable("a prompt that does not end with a user's message")
    if isinstance(said, list):
        if len(said) != 1:
            raise Unusable("a reply of more than one message")
        said = said[0]
    if isinstance(said, dict):
        thought, body = said.get("reasoning_content"), said.get("content", said.get("value"))
    else:
        thought, body = None, said
    within, answer = split_thought(content(body, "a reply"))
    thought = text(thought, "a thought") if thought else within
    if not answer.strip() and thought is None:
        raise Unusable("a reply is empty")
    return turn(prompt[-1], "assistant", answer, name=_mode(think), thought=thought, think=think)


def prompt_of(said: object) -> list[ImportedMessage]:
    """The prompt that a field holds: a text (a user's message) or a chat list. Raises: Unusable."""
    turns = [turn(None, "user", text(said, "prompt"))] if isinstance(said, str) else branch(said, "prompt")
    if turns[-1].role != "user":
        raise Unusable("a prompt that does not end with a user's message")
    return turns


def conversation_of(
    said: object, name: str = "messages", *, think: bool | None = None
) -> tuple[list[ImportedMessage], ImportedMessage]:
    """(prompt, reply) of a chat list that ends with a reply. Raises: Unusable."""
    *prompt, reply = branch(said, name)
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
    # The feedback is part of the key: one text that was rated both ways is two rows, not one rating that changed.
    kinds = [f"{KEY_NAMES[type(signal)]} {getattr(signal, 'value', '')}" for signal in signals("")]
    key = content_key(*(reply.key for reply in replies), *kinds)
    return ImportedConversation(key, key, (*prompt, *replies), tuple(signals(key)))


def _mode(think: bool | None) -> str:
    return "" if think is None else f"think {think}"

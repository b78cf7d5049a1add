"""Conversations made from rows of training data: a prompt, replies to it, and feedback on the replies.

Such rows name no people. Each row becomes a conversation with a rater of its own, so that limits for each rater do
not apply to a dataset as a whole. Importing an equal row again adds nothing.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Literal

from feedback_store.importers.parsing.fields import (
    branch,
    content,
    filled,
    listing,
    split_thought,
    text,
    whole,
)
from feedback_store.importers.parsing.items import (
    ImportedComparison,
    ImportedConversation,
    ImportedCorrection,
    ImportedMessage,
    ImportedRating,
    Signal,
    Unusable,
    as_context,
    content_key,
    turn,
)
from feedback_store.importers.parsing.text_only import check_text_only

# These names are part of the ids of stored rows, so they must not change: a repeated import has to find the rows.
KEY_NAMES = {ImportedRating: "Vote", ImportedCorrection: "Correction", ImportedComparison: "Choice"}
# Columns that hold a judgement in some dataset. A row with one that its importer does not read is no demonstration.
JUDGEMENTS = frozenset(
    """annotation annotations chosen coherence completions complexity correctness feedback helpfulness kto_tag label
    labels non_preferred_output overall_preference preference preferred_output rating ratings rejected
    rejected_response reward score scores thumb verbosity vote winner""".split()  # noqa: SIM905, a list is unreadable
)
# Columns that hold replies in some dataset. A row with one that its importer does not read is no mere prompt.
REPLIES = frozenset(
    """answer answers completion generation generations output output_1 output_2 outputs response response1 response2
    response_a response_b responses""".split()  # noqa: SIM905
)
LABELS: dict[object, bool] = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
# How datasets say that a reply of a conversation is not to be learned.
UNTAUGHT: tuple[tuple[str, object], ...] = (
    ("weight", 0),
    ("loss_weight", 0),
    ("loss", False),
    ("train", False),
)

Tie = Literal["both_good", "both_bad"]


def demonstration(
    prompt: Sequence[ImportedMessage],
    reply: ImportedMessage,
    *,
    earlier: Collection[str] = (),
    left_out: Sequence[str] = (),
) -> ImportedConversation:
    """A reply to be learned as it is, stored as a correction of itself with the same text.

    `earlier` has the keys of the replies in the prompt that are to be learned too.
    """
    row = _row(prompt, [reply], lambda key: [ImportedCorrection(reply.key, key, reply.content)], earlier)
    taught = [
        ImportedCorrection(message.key, row.key, message.content)
        for message in prompt
        if message.key in earlier
    ]
    return replace(row, signals=(*taught, *row.signals), left_out=tuple(left_out))


def demonstrations(
    value: object, name: str = "messages", *, think: bool | None = None
) -> ImportedConversation:
    """Every reply of a list of messages, but those that are marked as not to be learned. Raises: Unusable."""
    left_out: list[str] = []
    turns = branch(value, name, left_out=left_out)
    messages = listing(value, name)
    last = len(turns) - 1
    while last >= 0 and not _is_taught(turns[last], messages[last]):
        if turns[last].role == "user" and last == len(messages) - 1 and last:
            left_out.append("a last message without a reply")
        last -= 1
    if last < 0:
        raise Unusable(left_out[0] if left_out else f"{name} without a reply to be learned")
    earlier = {
        message.key
        for message, item in zip(turns[:last], messages, strict=False)
        if _is_taught(message, item)
    }
    prompt = [
        replace(message, think=think) if think is not None and message.role == "assistant" else message
        for message in turns[:last]
    ]
    return demonstration(prompt, _in_mode(prompt, turns[last], think), earlier=earlier, left_out=left_out)


def preference(
    prompt: Sequence[ImportedMessage],
    chosen: ImportedMessage,
    rejected: ImportedMessage,
    tie: Tie | None = None,
) -> ImportedConversation:
    """A comparison of two replies to one prompt, in the same mode. Raises: Unusable if they are equal."""
    if chosen.key == rejected.key:
        raise Unusable("chosen and rejected are the same")
    think = chosen.think or rejected.think
    chosen, rejected = replace(chosen, think=think), replace(rejected, think=think)
    return _row(
        prompt, [chosen, rejected], lambda key: [ImportedComparison(chosen.key, rejected.key, key, tie=tie)]
    )


def preference_of(
    prompt: Sequence[ImportedMessage] | None,
    chosen: object,
    rejected: object,
    *,
    think: bool | None = None,
    tie: Tie | None = None,
) -> ImportedConversation:
    """A comparison of two fields, each a reply, or a conversation that ends with one. Raises: Unusable."""
    for name, value in (("chosen", chosen), ("rejected", rejected)):
        if value in (None, [], {}):
            raise Unusable(f"a pair without its second reply: no {name}")
    sides = []
    for name, value in (("chosen", chosen), ("rejected", rejected)):
        if prompt is None or (isinstance(value, list) and len(value) > 1):
            sides.append(conversation_of(value, name, think=think))
        else:
            sides.append((list(prompt), reply_to(prompt, value, think=think)))
    (own_prompt, chosen_reply), (other_prompt, rejected_reply) = sides
    if [message.key for message in own_prompt] != [message.key for message in other_prompt]:
        raise Unusable("chosen and rejected answer different prompts")
    return preference(own_prompt, chosen_reply, rejected_reply, tie)


def unpaired(
    prompt: Sequence[ImportedMessage], reply: ImportedMessage, label: object
) -> ImportedConversation:
    """A reply with a thumb: `label` true or 1 is up, false or 0 is down. Raises: Unusable for any other label."""
    if label is None:
        raise Unusable("a label that is null, which is no judgement")
    value = label if isinstance(label, bool) else LABELS.get(str(label).lower())
    if value is None:
        raise Unusable("a label that is neither true nor false")
    return _row(prompt, [reply], lambda key: [ImportedRating(reply.key, key, 1 if value else -1)])


def prompt_only(prompt: Sequence[ImportedMessage], *, think: bool | None = None) -> ImportedConversation:
    """A prompt without a reply, to be answered in training; stored with an unanswered placeholder reply."""
    reply = turn(prompt[-1], "assistant", "", name=_mode(think), think=think)
    return _row(prompt, [replace(reply, answered=False)], lambda key: [])


def check_unread(row: dict[str, Any], columns: Collection[str], read: Collection[str] = ()) -> None:
    """Raises: Unusable if one of `columns` that is not in `read` is filled: nobody would read what it says."""
    unread = [
        name
        for name, value in row.items()
        if name in columns and name not in read and value not in (None, "", [])
    ]
    if unread:
        raise Unusable(f"columns that are not read: {', '.join(sorted(unread))}")


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
        check_text_only(value, body)
    else:
        thought, body = None, value
    embedded_thought, answer = split_thought(content(body, "a reply"))
    thought = text(thought, "a thought") if thought else embedded_thought
    if not answer.strip() and thought is None:
        raise Unusable("a reply is empty")
    return turn(prompt[-1], "assistant", answer, name=_mode(think), thought=thought, think=think)


def prompt_of(value: object, system: object = None) -> list[ImportedMessage]:
    """Convert a field to a prompt: from a text, which is one user message, or a list of messages. Raises: Unusable.

    `system` is a system message before it; none if it is empty.
    """
    messages = [{"role": "user", "content": filled(value, "prompt")}] if isinstance(value, str) else value
    if system and isinstance(messages, list):
        messages = [{"role": "system", "content": text(system, "system")}, *messages]
    turns = branch(messages, "prompt")
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
    return prompt, _in_mode(prompt, reply, think)


def _in_mode(
    prompt: Sequence[ImportedMessage], reply: ImportedMessage, think: bool | None
) -> ImportedMessage:
    return turn(prompt[-1], "assistant", reply.content, name=_mode(think), thought=reply.thought, think=think)


def _is_taught(message: ImportedMessage, item: dict[str, Any]) -> bool:
    untaught = any(
        name in item and item[name] is not None and _equal(item[name], value) for name, value in UNTAUGHT
    )
    return message.role == "assistant" and bool(message.content.strip()) and not untaught


def _equal(value: object, expected: object) -> bool:
    return value is expected if isinstance(expected, bool) else whole(value) == expected


def _row(
    prompt: Sequence[ImportedMessage],
    replies: Sequence[ImportedMessage],
    signals: Callable[[str], Sequence[Signal]],
    asked: Collection[str] = (),
) -> ImportedConversation:
    # The feedback is part of the key: equal texts with opposite ratings are two rows, not a rating that changed.
    kinds = [
        f"{KEY_NAMES[type(signal)]} {getattr(signal, 'value', None) or getattr(signal, 'tie', None) or ''}"
        for signal in signals("")
    ]
    key = content_key(*(reply.key for reply in replies), *kinds)
    return ImportedConversation(key, key, (*as_context(prompt, asked), *replies), tuple(signals(key)))


def _mode(think: bool | None) -> str:
    return "" if think is None else f"think {think}"

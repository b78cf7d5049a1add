"""Conversations for a model's chat template: in the form in which it reads all of their texts.

Templates are programs that whoever made the model has written. One reads a message's content as a text, another as a
list of parts, and not every one accepts system messages everywhere, or two messages of one role in a row. Some raise
an error at what they do not accept, others leave it out silently. Each is tried once with short conversations, and
then gets its messages in a form that it reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2.exceptions import TemplateError

from assistant.errors import ModelError, PromptError
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer

REFUSALS = (
    TemplateError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What a template may raise: on purpose the first, and by mistake what any program does."""


@dataclass(frozen=True)
class TemplateForm:
    """What a template reads."""

    parts: bool
    """Contents are lists of parts rather than texts."""
    system: bool
    """A system message at the start."""
    systems: bool
    """Several of them at the start."""
    later_system: bool
    """System messages after the start."""
    repeated: bool
    """Two messages of one role in a row."""


def check_template(tokenizer: Tokenizer) -> None:
    """Try the model's chat template, if it has one. Raises ModelError if it reads no message."""
    if tokenizer.chat_template:
        _form_of(tokenizer, tokenizer.chat_template)


def knows_tools(tokenizer: Tokenizer) -> bool:
    """Whether the model's template has words for tools: if so, the model has been taught to read their results."""
    return "tool" in (tokenizer.chat_template or "")


def apply_template(tokenizer: Tokenizer, messages: Sequence[dict[str, str]], **switches: Any) -> list[int]:
    """Token ids of a conversation whose reply comes next. `switches` are variables of the template.

    Raises PromptError if the template refuses the conversation, ModelError if it reads no message at all.
    """
    form = _form_of(tokenizer, tokenizer.chat_template or "")
    try:
        return _apply(tokenizer, _accepted(messages, form), form.parts, **switches)
    except REFUSALS:
        try:
            return _apply(tokenizer, _alternating(messages), form.parts, **switches)
        except REFUSALS as error:
            raise PromptError(
                f"The model's chat template refuses this conversation: {error}. Let users and assistant take turns."
            ) from error


@lru_cache(maxsize=8)
def _form_of(tokenizer: Tokenizer, template: str) -> TemplateForm:
    parts = False
    if not _reads(tokenizer, ["user"], parts):
        parts = True
        if not _reads(tokenizer, ["user"], parts):
            raise ModelError(
                f"The model's chat template reads no message{_refusal(tokenizer)}. Correct its chat_template.jinja, or "
                "that entry in its tokenizer_config.json; without a template the model continues a labelled dialogue."
            )
    system = _reads(tokenizer, ["system", "user"], parts)
    return TemplateForm(
        parts,
        system,
        system and _reads(tokenizer, ["system", "system", "user"], parts),
        system and _reads(tokenizer, ["user", "assistant", "system", "user"], parts),
        _reads(tokenizer, ["user", "user"], parts),
    )


def _reads(tokenizer: Tokenizer, roles: Sequence[str], parts: bool) -> bool:
    """Whether the template accepts messages of these roles, and each of their texts changes the prompt."""

    def prompt_with(changed: int | None) -> list[int]:
        texts = ["three" if place == changed else "two" for place in range(len(roles))]
        messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
        return _apply(tokenizer, messages, parts)

    try:
        unchanged = prompt_with(None)
        return all(prompt_with(place) != unchanged for place in range(len(roles)))
    except REFUSALS:
        return False


def _refusal(tokenizer: Tokenizer) -> str:
    try:
        _apply(tokenizer, [{"role": "user", "content": "two"}], parts=False)
    except REFUSALS as error:
        return f": {error}"
    return ""


def _apply(
    tokenizer: Tokenizer, messages: Sequence[dict[str, str]], parts: bool, **switches: Any
) -> list[int]:
    conversation: list[dict[str, Any]] = [
        {**message, "content": [{"type": "text", "text": message["content"]}]} if parts else message
        for message in messages
    ]
    return list(
        tokenizer.apply_chat_template(
            conversation, add_generation_prompt=True, tokenize=True, return_dict=False, **switches
        )
    )


def _accepted(messages: Sequence[dict[str, str]], form: TemplateForm) -> list[dict[str, str]]:
    """The same texts in messages of a kind that the template reads."""
    roles = [message["role"] for message in messages]
    start = next((place for place, role in enumerate(roles) if role != "system"), len(roles))
    if start and not form.system:
        return _alternating(messages)
    accepted = _joined(messages[:start]) if not form.systems else list(messages[:start])
    rest = list(messages[start:])
    if not form.later_system:
        rest = [{**message, "role": _spoken(message["role"])} for message in rest]
    if not form.repeated:
        rest = _joined(rest)
    return [*accepted, *rest]


def _alternating(messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """The same texts, user and assistant in turn: system messages count as the user's, neighbours are joined.

    A greeting answers an empty message.
    """
    joined = _joined([{**message, "role": _spoken(message["role"])} for message in messages])
    return [{"role": "user", "content": ""}, *joined] if joined[0]["role"] == "assistant" else joined


def _spoken(role: str) -> str:
    return "assistant" if role == "assistant" else "user"


def _joined(messages: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    joined: list[dict[str, str]] = []
    for message in messages:
        if joined and joined[-1]["role"] == message["role"]:
            joined[-1]["content"] += f"\n\n{message['content']}"
        else:
            joined.append(dict(message))
    return joined

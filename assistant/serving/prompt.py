"""Messages and a think flag become token ids; a completion's ids become (thought, answer). Pure.

The only home of templates: what training and evaluation see is token for token what was served,
because all of them call `render`.

A model with a native thinking switch (Qwen3: `enable_thinking`) is asked through it. Any other is
asked by an instruction, and the same `<think>` tags. Where a template refuses a system message or two
messages of one role in a row, the same texts are put into turns that it takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from jinja2.exceptions import TemplateError

from assistant.errors import EmptyMessage, PromptError

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"

_INSTRUCTION = (
    f"Think step by step first, between {THINK_OPEN} and {THINK_CLOSE}. Then give the answer alone."
)


@dataclass(frozen=True)
class Parsed:
    """What a completion says so far."""

    thought: str
    answer: str
    thinking: bool
    """Whether the thought is still open."""


def render(tokenizer: Any, messages: Sequence[dict[str, str]], think: bool) -> list[int]:
    """Token ids of the prompt that asks for the next reply.

    `messages` are {"role", "content"}; thoughts of earlier replies are not part of their content, and
    so never reach a later prompt. Raises PromptError if the last message is empty, or if the model's template
    refuses the conversation.
    """
    if not messages or not messages[-1]["content"].strip():
        raise EmptyMessage("The message is empty. Write something to send it.")
    turns = [{"role": turn["role"], "content": neutral(tokenizer, turn["content"])} for turn in messages]
    if not tokenizer.chat_template:
        return list(tokenizer(_plain(turns, think)).input_ids)
    if has_thinking_switch(tokenizer):
        ids = _apply(tokenizer, turns, enable_thinking=think)
    elif think:
        last = turns[-1]
        ids = _apply(tokenizer, [*turns[:-1], {**last, "content": f"{last['content']}\n\n{_INSTRUCTION}"}])
    else:
        ids = _apply(tokenizer, turns)
    return ids


def completion(tokenizer: Any, thought: str, answer: str, think: bool) -> list[int]:
    """Token ids of a reply as the model would have generated it after `render`, END included."""
    text = f"{THINK_OPEN}\n{thought.strip()}\n{THINK_CLOSE}\n\n{answer.strip()}" if think else answer.strip()
    ids = tokenizer(text, add_special_tokens=False).input_ids
    return [*ids, *([] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id])]


def parse(text: str, think: bool) -> Parsed:
    """Split a completion's text (special tokens kept where they mark the thought, END left out).

    Works on unfinished text as it streams: a tag that has arrived only in part is not shown.
    """
    if think:
        head = text.lstrip()
        if THINK_OPEN.startswith(head):
            return Parsed("", "", thinking=True)
        if head.startswith(THINK_OPEN):
            thought, closed, answer = head[len(THINK_OPEN) :].partition(THINK_CLOSE)
            if not closed:
                return Parsed(_without_partial_tag(thought).strip(), "", thinking=True)
            return Parsed(thought.strip(), answer.strip(), thinking=False)
        # A template may open the thought itself, so that only its end is in the completion.
        thought, closed, answer = text.partition(THINK_CLOSE)
        if closed:
            return Parsed(thought.strip(), answer.strip(), thinking=False)
    return Parsed("", text.strip(), thinking=False)


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """Text of a completion: control tokens such as END and padding left out, thinking tags kept.

    A trailing part of a character that has not arrived whole is left out.
    """
    silent = _silent(tokenizer)
    text = tokenizer.decode([token for token in ids if token not in silent], skip_special_tokens=False)
    return text.rstrip("\ufffd")


def stops(tokenizer: Any) -> tuple[str, ...]:
    """Texts that end a reply by themselves: a model without a template would go on with the person's next line."""
    return () if tokenizer.chat_template else ("\nUser:",)


def has_thinking_switch(tokenizer: Any) -> bool:
    """Whether the model's own template knows `enable_thinking`."""
    return "enable_thinking" in (tokenizer.chat_template or "")


def neutral(tokenizer: Any, text: str) -> str:
    """`text` with the model's control tokens made harmless, so that nobody can type a turn's end.

    A zero-width space after the first character keeps the text readable and breaks the token.
    """
    for token in _control_tokens(tokenizer, tokenizer.chat_template):
        text = text.replace(token, f"{token[0]}\u200b{token[1:]}")
    return text


@lru_cache(maxsize=8)
def _control_tokens(tokenizer: Any, template: str | None) -> list[str]:
    # Not every added token is one: Gemma adds runs of spaces and line ends, which people do write.
    marks = (THINK_OPEN, THINK_CLOSE)
    return [
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if len(token.content) > 1
        and token.content.strip()
        and (token.special or token.content in marks or token.content in (template or ""))
    ]


@lru_cache(maxsize=8)
def _silent(tokenizer: Any) -> frozenset[int]:
    marks = (THINK_OPEN, THINK_CLOSE)
    added = tokenizer.added_tokens_decoder.items()
    special = {number for number, token in added if token.special and token.content not in marks}
    ends = {tokenizer.eos_token_id, tokenizer.pad_token_id} - {None}
    return frozenset(special | ends)


def _apply(tokenizer: Any, turns: list[dict[str, str]], **switches: Any) -> list[int]:
    def templated(taken: list[dict[str, str]]) -> list[int]:
        return list(
            tokenizer.apply_chat_template(
                taken, add_generation_prompt=True, tokenize=True, return_dict=False, **switches
            )
        )

    try:
        return templated(turns)
    except TemplateError:
        try:
            return templated(_alternating(turns))
        except TemplateError as error:
            raise PromptError(
                f"The model's chat template refuses this conversation: {error}. Begin with a user's message."
            ) from error


def _alternating(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    """The same texts with user and assistant in turn: system messages go to the user's, neighbours join."""
    joined: list[dict[str, str]] = []
    for turn in turns:
        role = "assistant" if turn["role"] == "assistant" else "user"
        if joined and joined[-1]["role"] == role:
            joined[-1]["content"] += f"\n\n{turn['content']}"
        else:
            joined.append({"role": role, "content": turn["content"]})
    return joined


def _plain(turns: list[dict[str, str]], think: bool) -> str:
    # A base model has no template: a labelled dialogue is the plainest text that it can continue.
    lines = [f"{turn['role'].capitalize()}: {turn['content']}" for turn in turns]
    return "\n".join([*lines, *([_INSTRUCTION] if think else []), "Assistant:"])


def _without_partial_tag(text: str) -> str:
    for length in range(len(THINK_CLOSE) - 1, 0, -1):
        if text.endswith(THINK_CLOSE[:length]):
            return text[:-length]
    return text

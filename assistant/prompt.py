"""Messages and a think flag become token ids; a completion's ids become (thought, answer). Pure.

The only home of templates: what training and evaluation see is token for token what was served,
because all of them call `render`.

A model with a native thinking switch (Qwen3: `enable_thinking`) is asked through it. Any other is
asked by an instruction, and the same `<think>` tags.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from assistant.errors import PromptError

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
    so never reach a later prompt. Raises PromptError if the last message is empty.
    """
    if not messages or not messages[-1]["content"].strip():
        raise PromptError("The message is empty. Write something to send it.")
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
    return [*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id]


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
    return Parsed("", text.strip(), thinking=False)


def decode(tokenizer: Any, ids: Sequence[int]) -> str:
    """Text of a completion, END and padding left out, thinking tags kept.

    A trailing part of a character that has not arrived whole is left out.
    """
    silent = {token for token in (tokenizer.eos_token_id, tokenizer.pad_token_id) if token is not None}
    text = tokenizer.decode([token for token in ids if token not in silent], skip_special_tokens=False)
    return text.rstrip("\ufffd")


def has_thinking_switch(tokenizer: Any) -> bool:
    """Whether the model's own template knows `enable_thinking`."""
    return "enable_thinking" in (tokenizer.chat_template or "")


def neutral(tokenizer: Any, text: str) -> str:
    """`text` with the model's control tokens made harmless, so that nobody can type a turn's end.

    A zero-width space after the first character keeps the text readable and breaks the token.
    """
    for token in _control_tokens(tokenizer):
        text = text.replace(token, f"{token[0]}\u200b{token[1:]}")
    return text


def _control_tokens(tokenizer: Any) -> list[str]:
    added = tokenizer.added_tokens_decoder.values()
    return [token.content for token in added if len(token.content) > 1]


def _apply(tokenizer: Any, turns: list[dict[str, str]], **switches: Any) -> list[int]:
    return list(
        tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, tokenize=True, return_dict=False, **switches
        )
    )


def _plain(turns: list[dict[str, str]], think: bool) -> str:
    # A base model has no template: a labelled dialogue is the plainest text that it can continue.
    lines = [f"{turn['role'].capitalize()}: {turn['content']}" for turn in turns]
    return "\n".join([*lines, *([_INSTRUCTION] if think else []), "Assistant:"])


def _without_partial_tag(text: str) -> str:
    for length in range(len(THINK_CLOSE) - 1, 0, -1):
        if text.endswith(THINK_CLOSE[:length]):
            return text[:-length]
    return text

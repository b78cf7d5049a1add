"""Messages and a think flag become token ids; a completion's ids become (thought, answer). Pure.

The only place where prompts are rendered: what training and evaluation see is token for token what was served,
because all of them call `render`.

A model with a native thinking switch (Qwen3: `enable_thinking`) is asked through it. A model whose template opens the
thought of every reply itself (the distilled DeepSeek-R1) thinks unless the prompt closes that thought. Any other is
asked by an instruction, and answers with the same `<think>` tags.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from assistant.bases.model_card import Thinking
from assistant.errors import EmptyMessage
from assistant.serving.tokenizing.chat_template import apply_template
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer, ids_of_beginning

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
_ENABLE = "enable_thinking"

_INSTRUCTION = (
    f"Think step by step first, between {THINK_OPEN} and {THINK_CLOSE}. Then give the answer alone."
)


@dataclass(frozen=True)
class Parsed:
    """Thought and answer of a completion so far."""

    thought: str
    answer: str
    thinking: bool
    """Whether the thought is still open."""


# Messages → prompt


def render(tokenizer: Tokenizer, messages: Sequence[dict[str, str]], think: bool) -> list[int]:
    """Token ids of the prompt for the next reply.

    `messages` are {"role", "content"}. Their content has no thoughts of earlier replies, so that these never reach a
    later prompt. Raises EmptyMessage if the last message is empty, PromptError if the model's template refuses the
    conversation.
    """
    if not messages or not messages[-1]["content"].strip():
        raise EmptyMessage("The message is empty. Write something to send it.")
    neutral_messages = [
        {"role": message["role"], "content": neutral(tokenizer, message["content"])} for message in messages
    ]
    if not tokenizer.chat_template:
        return ids_of_beginning(tokenizer, _plain(neutral_messages, think))
    if _ENABLE in tokenizer.chat_template:
        return apply_template(tokenizer, neutral_messages, enable_thinking=think)
    if _opens_thought(tokenizer, tokenizer.chat_template):
        ids = apply_template(tokenizer, neutral_messages)
        return ids if think else ids + tokenizer(f"\n{THINK_CLOSE}\n\n", add_special_tokens=False).input_ids
    if think:
        neutral_messages[-1]["content"] += f"\n\n{_INSTRUCTION}"
    return apply_template(tokenizer, neutral_messages)


def has_thinking_switch(tokenizer: Tokenizer) -> bool:
    """Whether the model's own template thinks or not as it is told, rather than by an instruction."""
    template = tokenizer.chat_template or ""
    return _ENABLE in template or _opens_thought(tokenizer, template)


def thinking(tokenizer: Tokenizer, declared: Thinking) -> Thinking:
    """How the model thinks, by its template; one without a switch that is `declared` unable to think does not."""
    if has_thinking_switch(tokenizer):
        return "native"
    return "none" if declared == "none" else "instructed"


def neutral(tokenizer: Tokenizer, text: str) -> str:
    """`text` with the model's control tokens made harmless, so that nobody can type the end of a message.

    A zero-width space after the first character keeps the text readable and breaks the token.
    """
    for token in _control_tokens(tokenizer, tokenizer.chat_template):
        text = text.replace(token, f"{token[0]}\u200b{token[1:]}")
    return text


# Thought and answer ↔ completion


def ends_in_open_thought(tokenizer: Tokenizer, prompt_ids: Sequence[int]) -> bool:
    """Whether the prompt itself opens the thought, so that the completion begins inside it."""
    return tokenizer.decode(list(prompt_ids[-12:])).rstrip().endswith(THINK_OPEN)


def beginning(tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids of a text that somebody wrote and the reply goes on from."""
    return list(tokenizer(neutral(tokenizer, text), add_special_tokens=False).input_ids) if text else []


def completion(tokenizer: Tokenizer, thought: str, answer: str, think: bool) -> list[int]:
    """Token ids of a reply as the model would have generated it after `render`, END included."""
    text = answer.strip()
    if think:
        opening = "" if _opens_thought(tokenizer, tokenizer.chat_template or "") else f"{THINK_OPEN}\n"
        text = f"{opening}{thought.strip()}\n{THINK_CLOSE}\n\n{text}"
    ids = tokenizer(text, add_special_tokens=False).input_ids
    return [*ids, *([] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id])]


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Text of a completion without control tokens such as END and padding, but with thinking tags.

    The bytes of a last character that has not arrived whole are left out.
    """
    return _decode_shown(tokenizer, ids).rstrip("\ufffd")


def tokens_within(tokenizer: Tokenizer, ids: Sequence[int], text: str) -> int:
    """How many of the first tokens say nothing beyond `text`, which is a beginning of what `decode` gives for `ids`.

    A token that only begins within `text` is not counted.
    """
    if _decode_shown(tokenizer, ids) == text:
        return len(ids)
    # More tokens are more text, but for a character that comes in parts: the search ends near, the walk exactly.
    count = bisect_right(
        range(len(ids)), len(text), key=lambda number: len(_decode_shown(tokenizer, ids[: number + 1]))
    )
    while count and not text.startswith(_decode_shown(tokenizer, ids[:count])):
        count -= 1
    return count


def parse(text: str, think: bool, opened: bool = False) -> Parsed:
    """Split the text that `decode` gives into thought and answer.

    Works on text that is still arriving: a tag that has arrived only in part is not shown. `opened`: the text begins
    inside the thought, because the prompt ends in an open one.
    """
    if think:
        head = text.lstrip()
        if THINK_OPEN.startswith(head):
            return Parsed("", "", thinking=True)
        if opened or head.startswith(THINK_OPEN):
            thought, closed, answer = head.removeprefix(THINK_OPEN).partition(THINK_CLOSE)
            if not closed:
                return Parsed(_without_partial_tag(thought).strip(), "", thinking=True)
            return Parsed(thought.strip(), answer.strip(), thinking=False)
        # Of a whole completion it need not be known that the prompt opened the thought: its end tells.
        thought, closed, answer = text.partition(THINK_CLOSE)
        if closed:
            return Parsed(thought.strip(), answer.strip(), thinking=False)
    return Parsed("", text.strip(), thinking=False)


def answer_at(text: str, think: bool, opened: bool = False) -> int | None:
    """Where the answer begins in the text of a completion that is still arriving; None while there is none.

    Arguments as in `parse`, which reads the answer from there on.
    """
    if not think:
        return 0
    closed = text.find(THINK_CLOSE)
    if closed >= 0:
        return closed + len(THINK_CLOSE)
    head = text.lstrip()
    return None if opened or head.startswith(THINK_OPEN) or THINK_OPEN.startswith(head) else 0


@lru_cache(maxsize=8)
def _opens_thought(tokenizer: Tokenizer, template: str) -> bool:
    if _ENABLE in template or THINK_OPEN not in template:
        return False
    ids = apply_template(tokenizer, [{"role": "user", "content": "?"}])
    return ends_in_open_thought(tokenizer, ids)


@lru_cache(maxsize=8)
def _control_tokens(tokenizer: Tokenizer, template: str | None) -> list[str]:
    # Not every added token is one: Gemma adds runs of spaces and line ends, which people do write.
    tags = (THINK_OPEN, THINK_CLOSE)
    return [
        token.content
        for token in tokenizer.added_tokens_decoder.values()
        if len(token.content) > 1
        and token.content.strip()
        and (token.special or token.content in tags or token.content in (template or ""))
    ]


@lru_cache(maxsize=8)
def _hidden_tokens(tokenizer: Tokenizer) -> frozenset[int]:
    tags = (THINK_OPEN, THINK_CLOSE)
    added = tokenizer.added_tokens_decoder.items()
    special = {number for number, token in added if token.special and token.content not in tags}
    ends = {end for end in (tokenizer.eos_token_id, tokenizer.pad_token_id) if end is not None}
    return frozenset(special | ends)


def _decode_shown(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    hidden = _hidden_tokens(tokenizer)
    return tokenizer.decode([token for token in ids if token not in hidden], skip_special_tokens=False)


def _plain(messages: list[dict[str, str]], think: bool) -> str:
    # A base model has no template: a labelled dialogue is the plainest text that it can continue.
    lines = [f"{message['role'].capitalize()}: {message['content']}" for message in messages]
    return "\n".join([*lines, *([_INSTRUCTION] if think else []), "Assistant:"])


def _without_partial_tag(text: str) -> str:
    for length in range(len(THINK_CLOSE) - 1, 0, -1):
        if text.endswith(THINK_CLOSE[:length]):
            return text[:-length]
    return text

"""Token ids of rated rows: those that were served; where nothing was served here, the text rendered.

A reply that was imported from another system, and what a person wrote, come as text alone.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from assistant.serving import prompt
from feedback_store.rows import UnpairedRow


def prompt_ids(said: Any, messages: list[dict[str, str]], tokenizer: Any) -> list[int]:
    """The tokens of what was said to. Raises PromptError where the model's template refuses imported messages."""
    return list(said.prompt_ids) or prompt.render(tokenizer, messages, said.think)


def completion_ids(said: Any, think: bool, tokenizer: Any) -> list[int]:
    """The tokens of what was said: a thumb's row, or one side of a pair. Empty where it is no text at all."""
    if said.completion_ids:
        return list(said.completion_ids)
    if not said.answer.strip() and not (said.thought or "").strip():
        return []
    return prompt.completion(tokenizer, said.thought or "", said.answer, think)


def reply_ids(reply: Any, messages: list[dict[str, str]], tokenizer: Any) -> list[int]:
    """The tokens of a stored reply to `messages`, prompt and completion. Empty where it says nothing.

    Raises PromptError as above.
    """
    said = completion_ids(reply, reply.think, tokenizer)
    return [*prompt_ids(reply, messages, tokenizer), *said] if said else []


def thumbs(rows: Iterable[UnpairedRow], tokenizer: Any) -> list[UnpairedRow]:
    """The rows, each with the tokens of its prompt and its completion. Raises PromptError as above."""
    return [
        replace(
            row,
            prompt_ids=prompt_ids(row, row.messages, tokenizer),
            completion_ids=completion_ids(row, row.think, tokenizer),
        )
        for row in rows
    ]

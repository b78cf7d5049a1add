"""Token ids of rated replies: those that were served, or the rendered text of a reply that was not served here.

A reply that was imported from another system, and a text that a person wrote, come without token ids. A reply that was
served on another base has ids of another vocabulary, and is rendered too.
"""

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from assistant.errors import PromptError
from assistant.serving import prompt
from feedback_store.rows import UnpairedRow

Row = TypeVar("Row")
Result = TypeVar("Result")


def are_ours(ids: Sequence[int], tokenizer: Any) -> bool:
    """Whether there are ids, and all are in the tokenizer's vocabulary: a home may hold replies of another base."""
    return bool(ids) and max(ids) < len(tokenizer)


def prompt_ids(reply: Any, messages: list[dict[str, str]], tokenizer: Any) -> list[int]:
    """Token ids of the prompt `messages` that `reply` answers, a row or a stored reply.

    Raises PromptError if the model's template refuses imported messages.
    """
    if are_ours(reply.prompt_ids, tokenizer):
        return list(reply.prompt_ids)
    return prompt.render(tokenizer, messages, reply.think)


def completion_ids(reply: Any, think: bool, tokenizer: Any) -> list[int]:
    """Token ids of the completion of `reply`: a row, a stored reply, or one side of a pair. Empty if it has no text."""
    if are_ours(reply.completion_ids, tokenizer):
        return list(reply.completion_ids)
    if not reply.answer.strip() and not (reply.thought or "").strip():
        return []
    return prompt.completion(tokenizer, reply.thought or "", reply.answer, think)


def reply_ids(reply: Any, messages: list[dict[str, str]], tokenizer: Any) -> list[int]:
    """Token ids of a stored reply to `messages`, prompt and completion. Empty if it has no text.

    Raises PromptError if the model's template refuses imported messages.
    """
    completion = completion_ids(reply, reply.think, tokenizer)
    return [*prompt_ids(reply, messages, tokenizer), *completion] if completion else []


def with_token_ids(rows: Iterable[UnpairedRow], tokenizer: Any) -> list[UnpairedRow]:
    """The rows, each with the token ids of its prompt and its completion, without those that the template refuses."""
    return readable(
        rows,
        lambda row: replace(
            row,
            prompt_ids=prompt_ids(row, row.messages, tokenizer),
            completion_ids=completion_ids(row, row.think, tokenizer),
        ),
    )


def readable(rows: Iterable[Row], tokenized: Callable[[Row], Result]) -> list[Result]:
    """What `tokenized` makes of each row. A row for which it raises PromptError is left out.

    Imported conversations have roles, or empty messages, that not every model's template accepts; one of them must not
    keep a model from learning from the others.
    """
    results = []
    for row in rows:
        with contextlib.suppress(PromptError):
            results.append(tokenized(row))
    return results

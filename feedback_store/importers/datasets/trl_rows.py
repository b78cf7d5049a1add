"""Rows for training, as lists of messages or as texts: those of TRL and of our own exports, and their relatives.

`chosen` and `rejected`, with or without `prompt`, are a comparison; `label` makes a rating of `messages`, or of
`prompt` and `completion`, which without any judgement are demonstrations. `prompt` alone is a prompt. Other names of
the same: ms-swift's `rejected_response` beside `messages`, Orca's `question`, the `input`, `preferred_output` and
`non_preferred_output` of OpenAI's fine-tuning, and the `score_chosen` and `score_rejected` of UltraFeedback, of which
equal ones are a tie. Columns that carry a judgement win over columns that only carry text.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from feedback_store.importers.datasets.training_rows import (
    JUDGEMENTS,
    REPLIES,
    Tie,
    check_unread,
    conversation_of,
    demonstration,
    demonstrations,
    preference_of,
    prompt_of,
    prompt_only,
    reply_to,
    unpaired,
)
from feedback_store.importers.parsing.fields import mapping
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import ImportedConversation, Unusable
from feedback_store.importers.parsing.text_only import check_row_is_text

CHOSEN = ("chosen", "chosen_messages", "preferred_output")
REJECTED = ("rejected", "rejected_messages", "rejected_response", "non_preferred_output")
LABEL = ("label", "kto_tag")
SCORES = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen-rating", "rejected-rating"),
    ("chosen_rating", "rejected_rating"),
)


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Convert one row. Raises: Unusable."""
    check_row_is_text(row)
    settings = row.get("chat_template_kwargs")
    enabled = settings.get("enable_thinking") if isinstance(settings, dict) else None
    think = enabled if isinstance(enabled, bool) else None
    messages, chosen, rejected = row.get("messages"), _first(row, CHOSEN), _first(row, REJECTED)
    prompt = prompt_of(_prompt(row), row.get("system")) if _prompt(row) is not None else None
    if chosen is not None or rejected is not None:
        if prompt is None and chosen is None and messages is not None:
            prompt, reply = conversation_of(messages, think=think)
            return preference_of(
                prompt, {"content": reply.content, "reasoning_content": reply.thought}, rejected, think=think
            )
        return preference_of(prompt, chosen, rejected, think=think, tie=tie_of(row))
    labelled = any(name in row for name in LABEL)
    if messages is not None:
        if labelled:
            return unpaired(*conversation_of(messages, think=think), _first(row, LABEL))
        check_unread(row, JUDGEMENTS)
        return demonstrations(messages, think=think)
    if prompt is None:
        raise Unusable("no messages, prompt, or chosen and rejected")
    if row.get("completion") is None:
        check_unread(row, JUDGEMENTS | REPLIES)
        return prompt_only(prompt, think=think)
    reply = reply_to(prompt, row["completion"], think=think)
    if labelled:
        return unpaired(prompt, reply, _first(row, LABEL))
    check_unread(row, JUDGEMENTS)
    return demonstration(prompt, reply)


def tie_of(row: dict[str, Any]) -> Tie | None:
    """Whether the scores of a pair are equal. Raises: Unusable if the rejected one has the higher score."""
    for names in SCORES:
        chosen, rejected = row.get(names[0]), row.get(names[1])
        if isinstance(chosen, int | float) and isinstance(rejected, int | float):
            if chosen < rejected:
                raise Unusable(f"{names[0]} is lower than {names[1]}")
            return "both_good" if chosen == rejected else None
    return None


def _prompt(row: dict[str, Any]) -> object:
    if isinstance(row.get("input"), dict):
        check_row_is_text(row["input"])
        return mapping(row["input"]).get("messages")
    return _first(row, ("prompt", "question"))


def _first(row: dict[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)

"""TRL: rows for training, as lists of messages or as texts; also the format of our own exports.

`messages`, or `prompt` and `completion`, are a demonstration; with `label`, a rating. `chosen` and `rejected`, with
or without `prompt`, are a comparison. `prompt` alone is a prompt.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import ImportedConversation, Unusable
from feedback_store.importers.systems.training_rows import (
    conversation_of,
    demonstration,
    preference,
    prompt_of,
    prompt_only,
    reply_to,
    unpaired,
)


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Convert one row. Raises: Unusable."""
    if row.get("tools"):
        raise Unusable("a row with tools")
    settings = row.get("chat_template_kwargs")
    enabled = settings.get("enable_thinking") if isinstance(settings, dict) else None
    think = enabled if isinstance(enabled, bool) else None
    if row.get("messages") is not None:
        return demonstration(*conversation_of(row["messages"], think=think))
    if row.get("chosen") is not None and row.get("prompt") is None:
        prompt, chosen = conversation_of(row["chosen"], "chosen", think=think)
        other_prompt, rejected = conversation_of(row.get("rejected"), "rejected", think=think)
        if [turn.key for turn in prompt] != [turn.key for turn in other_prompt]:
            raise Unusable("chosen and rejected answer different prompts")
        return preference(prompt, chosen, rejected)
    prompt = prompt_of(row.get("prompt"))
    if row.get("chosen") is not None:
        chosen, rejected = (reply_to(prompt, row.get(name), think=think) for name in ("chosen", "rejected"))
        return preference(prompt, chosen, rejected)
    if row.get("completion") is None:
        return prompt_only(prompt, think=think)
    reply = reply_to(prompt, row["completion"], think=think)
    if row.get("label") is not None:
        return unpaired(prompt, reply, row["label"])
    return demonstration(prompt, reply)

"""LLaMA-Factory: alpaca and sharegpt rows with demonstrations, preferences (`chosen`, `rejected`) or KTO labels.

Rows with `messages` or `chosen_messages`, as of its version 1, have the shape of TRL's. Every reply of a history or a
conversation is a demonstration, as LLaMA-Factory learns them all. If a `dataset_info.json` in the same folder
describes the file, its column names and tags replace the defaults.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.errors import ImportFailed
from feedback_store.importers.datasets import trl_rows
from feedback_store.importers.datasets.training_rows import (
    JUDGEMENTS,
    REPLIES,
    check_unread,
    demonstrations,
    preference_of,
    prompt_of,
    prompt_only,
    reply_to,
    unpaired,
)
from feedback_store.importers.parsing.fields import ROLES, filled, listing, mapping, text
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import ImportedConversation, Unusable
from feedback_store.importers.parsing.text_only import check_row_is_text

ALPACA = {
    "prompt": "instruction",
    "query": "input",
    "response": "output",
    "history": "history",
    "system": "system",
    "chosen": "chosen",
    "rejected": "rejected",
    "kto_tag": "kto_tag",
}
SHAREGPT = {
    "messages": "conversations",
    "system": "system",
    "tools": "tools",
    "chosen": "chosen",
    "rejected": "rejected",
    "kto_tag": "kto_tag",
}
TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "system_tag": "system",
}


def read(path: Path) -> Iterator[Item]:
    info = described(path)
    columns, tags = info.get("columns", {}), info.get("tags", {})

    def conversation(row: dict[str, Any]) -> ImportedConversation:
        if not info and ("messages" in row or "chosen_messages" in row):
            return trl_rows.conversation(row)
        if info.get("formatting", "sharegpt" if SHAREGPT["messages"] in row else "alpaca") == "sharegpt":
            return sharegpt(row, SHAREGPT | columns, TAGS | tags)
        return alpaca(row, ALPACA | columns)

    return each(rows(path), conversation)


def alpaca(row: dict[str, Any], columns: dict[str, Any] = ALPACA) -> ImportedConversation:
    """Convert a row in alpaca format. Raises: Unusable."""
    fields = _fields(row, columns)
    messages = _system(fields.get("system"))
    history = fields.get("history") or []
    if not isinstance(history, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in history):
        raise Unusable("a history that is not a list of pairs")
    for pair in history:
        messages += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    instruction = filled(fields.get("prompt"), columns["prompt"])
    query = text(fields.get("query") or "", columns["query"])
    messages.append({"role": "user", "content": f"{instruction}\n{query}" if query else instruction})
    return _with_feedback(messages, fields.get("response"), fields, row)


def sharegpt(
    row: dict[str, Any], columns: dict[str, Any] = SHAREGPT, tags: dict[str, Any] = TAGS
) -> ImportedConversation:
    """Convert a row in sharegpt format. Raises: Unusable."""
    fields = _fields(row, columns)
    check_row_is_text({"tools": fields.get("tools")})
    roles = {tags["user_tag"]: "user", tags["assistant_tag"]: "assistant", tags["system_tag"]: "system"}

    def message(item: object) -> dict[str, Any]:
        tagged = mapping(item, "a message")
        role = tagged.get(tags["role_tag"])
        if isinstance(role, str):  # a role that the tags do not name may have a common name
            role = roles.get(role) or ROLES.get(role.lower(), role)
        return tagged | {"role": role, "content": tagged.get(tags["content_tag"])}

    messages = [message(item) for item in listing(fields.get("messages"), columns["messages"])]
    response = None
    if fields.get("chosen") is None and messages[-1]["role"] == "assistant":
        response = messages.pop()
    for name in ("chosen", "rejected"):
        if isinstance(fields.get(name), dict):
            fields[name] = message(fields[name])
    return _with_feedback(_system(fields.get("system")) + messages, response, fields, row)


def _fields(row: dict[str, Any], columns: dict[str, Any]) -> dict[str, Any]:
    check_row_is_text(row)
    return {name: row[column] for name, column in columns.items() if column in row}


def _with_feedback(
    prompt: list[dict[str, Any]], response: object, fields: dict[str, Any], row: dict[str, Any]
) -> ImportedConversation:
    if fields.get("chosen") is not None or fields.get("rejected") is not None:
        return preference_of(
            prompt_of(prompt), fields.get("chosen"), fields.get("rejected"), tie=trl_rows.tie_of(row)
        )
    if response not in (None, ""):
        if "kto_tag" in fields or "label" in row:
            turns, tag = prompt_of(prompt), fields.get("kto_tag")
            label = row.get("label") if tag is None else tag
            return unpaired(turns, reply_to(turns, response), label)
        check_unread(row, JUDGEMENTS)
        if not isinstance(response, str | dict):
            raise Unusable("a reply that is neither a text nor a message")
        reply = response if isinstance(response, dict) else {"role": "assistant", "content": response}
        return demonstrations([*prompt, reply])
    check_unread(row, JUDGEMENTS | REPLIES)
    if any(message["role"] == "assistant" for message in prompt):
        return demonstrations(prompt)
    return prompt_only(prompt_of(prompt))


def _system(content: object) -> list[dict[str, Any]]:
    return [{"role": "system", "content": content}] if content else []


def described(path: Path) -> dict[str, Any]:
    """The entry for the file in a `dataset_info.json` in the same folder; empty if there is none."""
    info_path = path.parent / "dataset_info.json"
    if not info_path.exists():
        return {}
    try:
        entries = mapping(json.loads(info_path.read_text(encoding="utf-8")), "dataset_info.json")
        for name, entry in entries.items():
            for part in ("columns", "tags"):
                names = mapping(mapping(entry, name).get(part, {}), f"{name}.{part}")
                if not all(isinstance(value, str) for value in names.values()):
                    raise Unusable(f"{name}.{part} contains a value that is not text")
    except (OSError, ValueError, RecursionError, Unusable) as error:
        raise ImportFailed(
            f"{info_path} cannot be read: {error}. Correct it, or move the data to another folder."
        ) from error
    return next((entry for entry in entries.values() if entry.get("file_name") == path.name), {})

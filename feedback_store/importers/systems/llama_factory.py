"""LLaMA-Factory: alpaca and sharegpt rows with demonstrations, preferences (`chosen`, `rejected`) or KTO labels.

If a `dataset_info.json` in the same folder describes the file, its column names and tags replace the defaults.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.errors import ImportFailed
from feedback_store.importers.parsing.fields import filled, listing, mapping, text
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import ImportedConversation, ImportedMessage, Unusable
from feedback_store.importers.systems.training_rows import (
    demonstration,
    preference,
    prompt_of,
    prompt_only,
    reply_to,
    unpaired,
)

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
    info = _info(path)
    columns, tags = info.get("columns", {}), info.get("tags", {})

    def conversation(row: dict[str, Any]) -> ImportedConversation:
        if info.get("formatting", "sharegpt" if SHAREGPT["messages"] in row else "alpaca") == "sharegpt":
            return sharegpt(row, SHAREGPT | columns, TAGS | tags)
        return alpaca(row, ALPACA | columns)

    return each(rows(path), conversation)


def alpaca(row: dict[str, Any], columns: dict[str, Any] = ALPACA) -> ImportedConversation:
    """Convert a row in alpaca format. Raises: Unusable."""
    fields = {name: row.get(column) for name, column in columns.items()}
    messages = _system(fields.get("system"))
    history = fields.get("history") or []
    if not isinstance(history, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in history):
        raise Unusable("a history that is not a list of pairs")
    for pair in history:
        messages += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    instruction = filled(fields.get("prompt"), columns["prompt"])
    query = text(fields.get("query") or "", columns["query"])
    messages.append({"role": "user", "content": f"{instruction}\n{query}" if query else instruction})
    return _with_feedback(prompt_of(messages), fields.get("response"), fields)


def sharegpt(
    row: dict[str, Any], columns: dict[str, Any] = SHAREGPT, tags: dict[str, Any] = TAGS
) -> ImportedConversation:
    """Convert a row in sharegpt format. Raises: Unusable."""
    fields = {name: row.get(column) for name, column in columns.items()}
    if fields.get("tools"):
        raise Unusable("a row with tools")
    roles = {tags["user_tag"]: "user", tags["assistant_tag"]: "assistant", tags["system_tag"]: "system"}

    def message(item: object) -> dict[str, Any]:
        tagged = mapping(item, "a message")
        role = tagged.get(tags["role_tag"])
        if not isinstance(role, str) or role not in roles:
            raise Unusable("unknown role")
        return {"role": roles[role], "content": tagged.get(tags["content_tag"])}

    messages = [message(item) for item in listing(fields.get("messages"), columns["messages"])]
    response = None
    if fields.get("chosen") is None and messages[-1]["role"] == "assistant":
        response = messages.pop()
    for name in ("chosen", "rejected"):
        if isinstance(fields.get(name), dict):
            fields[name] = message(fields[name])
    return _with_feedback(prompt_of(_system(fields.get("system")) + messages), response, fields)


def _with_feedback(
    prompt: list[ImportedMessage], response: object, fields: dict[str, Any]
) -> ImportedConversation:
    if fields.get("chosen") is not None:
        chosen, rejected = (reply_to(prompt, fields.get(name)) for name in ("chosen", "rejected"))
        return preference(prompt, chosen, rejected)
    if response in (None, ""):
        return prompt_only(prompt)
    reply = reply_to(prompt, response)
    if fields.get("kto_tag") is not None:
        return unpaired(prompt, reply, fields["kto_tag"])
    return demonstration(prompt, reply)


def _system(content: object) -> list[dict[str, Any]]:
    return [{"role": "system", "content": content}] if content else []


def _info(path: Path) -> dict[str, Any]:
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

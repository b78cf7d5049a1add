"""LLaMA-Factory: alpaca and sharegpt rows, each as demonstrations, preferences (`chosen`, `rejected`) or KTO.

Where a `dataset_info.json` beside the file names it, its columns and tags are used in place of the usual ones.
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
    """Raises: Unusable."""
    found = {name: row.get(column) for name, column in columns.items()}
    messages = _system(found.get("system"))
    history = found.get("history") or []
    if not isinstance(history, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in history):
        raise Unusable("a history that is no list of pairs")
    for pair in history:
        messages += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    asked = filled(found.get("prompt"), columns["prompt"])
    query = text(found.get("query") or "", columns["query"])
    messages.append({"role": "user", "content": f"{asked}\n{query}" if query else asked})
    return _judged(prompt_of(messages), found.get("response"), found)


def sharegpt(
    row: dict[str, Any], columns: dict[str, Any] = SHAREGPT, tags: dict[str, Any] = TAGS
) -> ImportedConversation:
    """Raises: Unusable."""
    found = {name: row.get(column) for name, column in columns.items()}
    if found.get("tools"):
        raise Unusable("a row with tools")
    roles = {tags["user_tag"]: "user", tags["assistant_tag"]: "assistant", tags["system_tag"]: "system"}

    def message(said: object) -> dict[str, Any]:
        inner = mapping(said, "a message")
        who = inner.get(tags["role_tag"])
        if not isinstance(who, str) or who not in roles:
            raise Unusable("a role that the store does not know")
        return {"role": roles[who], "content": inner.get(tags["content_tag"])}

    messages = [message(said) for said in listing(found.get("messages"), columns["messages"])]
    response = None
    if found.get("chosen") is None and messages[-1]["role"] == "assistant":
        response = messages.pop()
    for name in ("chosen", "rejected"):
        if isinstance(found.get(name), dict):
            found[name] = message(found[name])
    return _judged(prompt_of(_system(found.get("system")) + messages), response, found)


def _judged(prompt: list[ImportedMessage], response: object, found: dict[str, Any]) -> ImportedConversation:
    if found.get("chosen") is not None:
        chosen, rejected = (reply_to(prompt, found.get(name)) for name in ("chosen", "rejected"))
        return preference(prompt, chosen, rejected)
    if response in (None, ""):
        return prompt_only(prompt)
    reply = reply_to(prompt, response)
    if found.get("kto_tag") is not None:
        return unpaired(prompt, reply, found["kto_tag"])
    return demonstration(prompt, reply)


def _system(said: object) -> list[dict[str, Any]]:
    return [{"role": "system", "content": said}] if said else []


def _info(path: Path) -> dict[str, Any]:
    """What `dataset_info.json` beside the file says of it; nothing where it says nothing."""
    beside = path.parent / "dataset_info.json"
    if not beside.exists():
        return {}
    try:
        entries = mapping(json.loads(beside.read_text(encoding="utf-8")), "dataset_info.json")
        for name, entry in entries.items():
            for part in ("columns", "tags"):
                names = mapping(mapping(entry, name).get(part, {}), f"{name}.{part}")
                if not all(isinstance(value, str) for value in names.values()):
                    raise Unusable(f"{name}.{part} holds what is no text")
    except (OSError, ValueError, RecursionError, Unusable) as error:
        raise ImportFailed(
            f"{beside} cannot be read: {error}. Mend it, or move the data elsewhere."
        ) from error
    return next((entry for entry in entries.values() if entry.get("file_name") == path.name), {})

"""Label Studio: tasks with a prompt and two replies, and pairwise annotations, as exported in JSON.

The left reply is the one that an annotation's `to_name` names first. Cancelled annotations do not count.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.importers.datasets.training_rows import prompt_of, reply_to
from feedback_store.importers.parsing.fields import label, listing, mapping, moment
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import (
    ImportedComparison,
    ImportedConversation,
    ImportedMessage,
    Unusable,
    as_context,
    content_key,
)
from feedback_store.importers.parsing.text_only import check_row_is_text

PROMPTS = ("prompt", "question", "instruction", "messages", "dialogue", "text")


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Convert one task. Raises: Unusable."""
    data = mapping(row.get("data"), "data")
    check_row_is_text(data)
    name = next((name for name in PROMPTS if data.get(name)), None)
    if name is None:
        raise Unusable("no field with a prompt")
    prompt = prompt_of(data[name])
    key = label(row.get("id")) or content_key(prompt[-1].key)
    replies: dict[str, ImportedMessage] = {}
    comparisons = []
    for annotation in listing(row.get("annotations"), "annotations"):
        fields = mapping(annotation, "an annotation")
        if fields.get("was_cancelled"):
            continue
        rater = label(_id(fields.get("completed_by"))) or key
        for result in listing(fields.get("result"), "result"):
            left, right = _sides(mapping(result, "a result"), data, name)
            for side in (left, right):
                replies.setdefault(side, reply_to(prompt, data[side]))
            comparisons.append(
                _comparison(result, replies[left], replies[right], rater, moment(fields.get("created_at")))
            )
    if not comparisons:
        raise Unusable("no annotation that chooses between two replies")
    return ImportedConversation(key, key, (*as_context(prompt), *replies.values()), tuple(comparisons))


def _sides(result: dict[str, Any], data: dict[str, Any], prompt: str) -> tuple[str, str]:
    """The names of the left and the right reply. Raises: Unusable."""
    if result.get("type") != "pairwise":
        raise Unusable("an annotation that is not pairwise")
    names = [name for name in str(result.get("to_name")).split(",") if name in data]
    others = [name for name, value in data.items() if name not in (prompt, *names) and isinstance(value, str)]
    left, *rest = [*names, *others] or [""]
    if not names or len(rest) != 1:
        raise Unusable("a task whose two replies are not clear")
    return left, rest[0]


def _comparison(
    result: dict[str, Any], left: ImportedMessage, right: ImportedMessage, rater: str, at: Any
) -> ImportedComparison:
    selected = mapping(result.get("value"), "value").get("selected")
    if selected not in ("left", "right"):
        raise Unusable("a choice that is neither left nor right")
    chosen, rejected = (left, right) if selected == "left" else (right, left)
    return ImportedComparison(chosen.key, rejected.key, rater, at=at)


def _id(value: object) -> object:
    return value.get("id") if isinstance(value, dict) else value

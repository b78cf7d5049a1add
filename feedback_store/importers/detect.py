"""Tell by the names of its fields which system a file comes from."""

from collections import Counter
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from feedback_store.errors import ImportFailed
from feedback_store.importers.datasets.llama_factory import described
from feedback_store.importers.parsing.files import archive_rows, csv_rows, is_csv, members, table_rows

# For each system, the fields that its rows have, in one shape or another. `a.b` is the field b of an object, or of
# objects in a list, in a; `*.responses` is any field that ends so, and `chosen.Human:` a text with that mark.
SHAPES: dict[str, tuple[set[str], ...]] = {
    "alpaca-eval": ({"instruction", "output_1", "output_2"},),
    "argilla": ({"fields", "responses"}, {"*.responses"}),
    "chat-ui": ({"messages.from", "created_at"},),
    "chatgpt": ({"mapping", "title"},),
    "claude": ({"chat_messages", "uuid"},),
    "feel": ({"conversation", "conversation_id"},),
    "gradio": ({"conversation", "index", "timestamp"},),
    "helpsteer3": ({"context", "response1", "response2", "overall_preference"},),
    "hh-rlhf": ({"chosen", "rejected", "chosen.Human:"},),
    "label-studio": ({"data", "annotations"},),
    "langfuse": ({"id", "input", "output", "timestamp"}, {"traceId", "value"}),
    "librechat": ({"conversationId", "messages"}, {"conversationId", "messageId"}),
    "llama-factory": (
        {"instruction"},
        {"instruction", "chosen", "rejected"},
        {"conversations"},
        {"conversations", "chosen", "rejected"},
        {"chosen_messages", "rejected_messages"},
    ),
    "lmarena": ({"conversation_a", "conversation_b", "winner"},),
    "open-assistant": ({"message_tree_id", "prompt"}, {"message_tree_id", "message_id"}),
    "open-webui": ({"data", "meta", "snapshot"}, {"chat.history"}),
    "openai": ({"preferred_output", "non_preferred_output"}, {"messages.role", "messages.weight"}),
    "phoenix": ({"attributes.input.value", "annotation.label"},),
    "trl": ({"messages.role"}, {"prompt"}, {"chosen", "rejected"}, {"messages", "rejected_response"}),
}
IN_CSV = ("gradio", "langfuse", "phoenix")  # the systems whose files may be CSV
CONVERSATIONS = r"conversations(-\d+)?\.json"  # in the archives of ChatGPT and Claude.ai
FIRST_ROWS = 20


def system_of(path: Path) -> str:
    """The system that a file comes from.

    Raises: ImportFailed, naming the likeliest, where that is not certain, or if the file has no rows.
    """
    if described(path):
        return "llama-factory"
    rows = _fields(path)
    if not any(rows):
        raise ImportFailed(
            f"{path} has no rows: there is nothing to import. Export it again, or name another file."
        )
    votes = Counter(system for fields in rows for system in _certain(fields))
    if not members(path, CONVERSATIONS) and is_csv(path):
        votes = Counter({system: number for system, number in votes.items() if system in IN_CSV})
    first = votes.most_common(2)
    if first and (len(first) == 1 or first[0][1] > first[1][1]):
        return first[0][0]
    fields = set().union(*rows)
    likely = [system for system, _ in first] or sorted(SHAPES, key=lambda system: -_share(system, fields))[:2]
    hint = f" It may come from {' or '.join(likely)}." if first or _share(likely[0], fields) else ""
    columns = ", ".join(sorted(field for field in fields if "." not in field)[:20]) or "none"
    raise ImportFailed(
        f"{path} does not say which system it comes from.{hint} Name it with --from, see --list, or say what its "
        f"columns mean with --map prompt=COLUMN,answer=COLUMN,rating=COLUMN (columns: {columns})."
    )


def _certain(fields: set[str]) -> list[str]:
    """The systems of which a row has all fields of the largest shape."""
    sizes = {
        system: max((len(shape) for shape in shapes if shape <= fields), default=0)
        for system, shapes in SHAPES.items()
    }
    most = max(sizes.values())
    return [system for system, size in sizes.items() if size == most and most]


def _share(system: str, fields: set[str]) -> float:
    return max(len(shape & fields) / len(shape) for shape in SHAPES[system])


def _fields(path: Path) -> list[set[str]]:
    """For each of the first rows, the names of its fields and of those in them. Raises: FileDamaged, ImportFailed."""
    is_archive = members(path, CONVERSATIONS)
    with closing(archive_rows(path, CONVERSATIONS) if is_archive else table_rows(path)) as rows:
        first = [row for _, row in islice(rows, FIRST_ROWS)]
    objects = [_names(row) for row in first if isinstance(row, dict)]
    if first and not objects:  # the rows of Gradio's log have another number of columns than its header
        with closing(csv_rows(path, header=True)) as lines:
            return [set(next(lines, (0, []))[1])]
    return objects


def _names(row: dict[str, Any]) -> set[str]:
    names = set()
    for name, value in row.items():
        if value is None:
            continue
        names.add(name)
        if name.endswith(".responses"):
            names.add("*.responses")
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                names |= {f"{name}.{key}" for key in inner}
            elif isinstance(inner, str) and "Human:" in inner:
                names.add(f"{name}.Human:")
    return names

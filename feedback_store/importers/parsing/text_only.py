"""One rule for all importers: only text is imported.

A reply to a picture, or one that a tool, a search or a failure had a part in, makes no sense without them: training
would not see what was answered. Systems mark such messages in fields of their own, which are all known here.
"""

import re
from typing import Any

from feedback_store.importers.parsing.items import Unusable

FILE = "a picture, a sound or a file"
TOOL = "a tool"
SOURCES = "sources of a search"
ERROR = "an error in place of a reply"
# The fields of a message or a row that are filled only if something else than text belongs to it.
MARKS = {
    FILE: (
        "image", "images", "image_url", "image_urls", "video", "videos", "audio", "audios", "file", "files",
        "files_v2", "attachments",
    ),
    TOOL: ("tools", "tool_calls", "tool_call", "tool_call_id", "function_call", "function", "toolCalls", "functions"),
    SOURCES: ("sources", "citations", "webSearch", "search_results", "search_result_groups"),
    ERROR: ("error",),
}  # fmt: skip
ROW_MARKS = ("image", "images", "video", "videos", "audio", "audios", "tools", "functions")
NOTHING: tuple[object, ...] = (None, False, 0, "", [], {}, "[]", "{}", "null")
TOOL_ROLES = {
    "tool",
    "tools",
    "tool_call",
    "tool_response",
    "function",
    "function_call",
    "observation",
    "ipython",
}
# Open WebUI embeds thoughts, calls of tools and code that it ran in the text of a message.
EMBEDDED = re.compile(r'<details type="(?!reasoning")[a-z_]+"')


def check_text_only(message: dict[str, Any], body: object = "") -> None:
    """Check a message or a row, and the text of a message. Raises: Unusable, with the kind of what else is in it."""
    for kind, names in MARKS.items():
        if any(message.get(name) not in NOTHING for name in names):
            raise Unusable(kind)
    if isinstance(body, str) and EMBEDDED.search(body):
        raise Unusable(TOOL)
    for status in _objects(message.get("statusHistory")):  # of Open WebUI
        if "search" in str(status.get("action")) or status.get("urls"):
            raise Unusable(SOURCES)
    for item in _objects(message.get("output")):  # the same, in the form of OpenAI's responses
        if item.get("type") not in (None, "message", "reasoning"):
            raise Unusable(TOOL)
    for update in _objects(message.get("updates")):  # of HF chat-ui
        if update.get("type") in ("tool", "webSearch", "file"):
            raise Unusable({"tool": TOOL, "webSearch": SOURCES, "file": FILE}[update["type"]])


def check_row_is_text(row: dict[str, Any]) -> None:
    """Check the columns of a row, of which fewer count: a `file` may be where the text is from. Raises: Unusable."""
    check_text_only({name: value for name, value in row.items() if name in ROW_MARKS})


def kind_of_block(block: object) -> str | None:
    """What a part of a message is that is not text, by its `type`; None if it is not known."""
    kind = str(block.get("type", "")) if isinstance(block, dict) else ""
    if "tool" in kind or "function" in kind:
        return TOOL
    if re.search("image|file|audio|video|document|attachment", kind):
        return FILE
    return ERROR if kind == "error" else None


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []

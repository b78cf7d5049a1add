"""Validate and convert the fields of an untrusted row. A function returns the required type or raises Unusable."""

import html
import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from feedback_store.importers.parsing.items import EMPTY, HANGS, ImportedMessage, Unusable, turn
from feedback_store.importers.parsing.text_only import TOOL, TOOL_ROLES, check_text_only, kind_of_block
from feedback_store.records import Role
from feedback_store.validation import MAX_COMMENT, MAX_REASON, MAX_REASONS

LATEST_YEAR = 2100  # a later year comes from a number in an unknown unit
ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
}
BLOCK_TEXTS = ("text", "content", "value")  # where a block of text has its text
UP = {
    *("up", "thumbsup", "thumbup", "like", "liked", "good", "positive", "true", "\N{THUMBS UP SIGN}"),
    *("赞", "点赞", "好", "喜欢", "满意"),
}
DOWN = {
    "down",
    "thumbsdown",
    "thumbdown",
    "dislike",
    "disliked",
    "bad",
    "negative",
    "false",
    "\N{THUMBS DOWN SIGN}",
    *("踩", "点踩", "不好", "差", "不喜欢", "不满意"),
}
THINK_TAGS = re.compile(r"\A\s*<think>\n?(.*?)\n?</think>\n{0,2}", re.DOTALL)
# How Open WebUI embeds a thought in the text of a message.
REASONING_BLOCK = re.compile(
    r'\A\s*<details type="reasoning"[^>]*>\s*<summary>.*?</summary>\s*(.*?)\s*</details>\s*', re.DOTALL
)


def mapping(value: object, name: str = "row") -> dict[str, Any]:
    """Return a JSON object. Raises: Unusable unless `value` is one."""
    if not isinstance(value, dict):
        raise Unusable(f"{name} is not an object")
    return value


def listing(value: object, name: str) -> list[Any]:
    """Return a list that is not empty. Raises: Unusable unless `value` is one."""
    if not isinstance(value, list) or not value:
        raise Unusable(f"{name} is not a list, or is empty")
    return value


def text(value: object, name: str) -> str:
    """Return a text that every database can store. Raises: Unusable."""
    if not isinstance(value, str):
        raise Unusable(f"{name} is not text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unusable(f"{name} contains half a surrogate pair, which is not a character") from None
    if "\0" in value:
        raise Unusable(f"{name} contains a NUL character, which a database cannot store")
    return value


def filled(value: object, name: str) -> str:
    """Return a text that is more than white space. Raises: Unusable."""
    string = text(value, name)
    if not string.strip():
        raise Unusable(f"{name} is empty")
    return string


def label(value: object) -> str:
    """Return an optional name or id, such as that of a model or a person, from a text or a whole number; else ""."""
    if isinstance(value, str) and _storable(value):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def content(value: object, name: str) -> str:
    """Return the text of a message from a string, a text block or a list of them, joined with newlines.

    Raises: Unusable; also for images and files, because a reply to them makes no sense without them.
    """
    if isinstance(value, str):
        return text(value, name)
    if isinstance(value, dict):
        value = [value]
    pieces = []
    for block in listing(value, name):
        if isinstance(block, str):
            pieces.append(text(block, name))
            continue
        inner = (
            next((block[key] for key in BLOCK_TEXTS if key in block), None)
            if isinstance(block, dict)
            else None
        )
        if inner is None or block.get("type", "text") != "text":
            raise Unusable(kind_of_block(block) or f"{name} has a part that is not text")
        pieces.append(text(inner.get("value") if isinstance(inner, dict) else inner, name))
    return "\n".join(pieces)


def role(value: object) -> Role:
    """Return the role of a message. Raises: Unusable for tools and other roles that the store does not have."""
    known_role = ROLES.get(value.lower()) if isinstance(value, str) else None
    if isinstance(value, str) and value.lower() in TOOL_ROLES:
        raise Unusable(TOOL)
    if known_role is None:
        raise Unusable("unknown role")
    return known_role


def moment(value: object) -> datetime | None:
    """Return a time from seconds, milli-, micro- or nanoseconds since 1970, ISO 8601 or MongoDB's format; else None."""
    if isinstance(value, dict):
        value = value.get("$date")
    if isinstance(value, str):
        value = _number_or_time(value)
    if isinstance(value, datetime):
        time = value if value.tzinfo else value.replace(tzinfo=UTC)
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e20:
        seconds = float(value)
        while seconds > 1e11:  # year 5138 if it were seconds: the unit is a smaller one
            seconds /= 1000
        time = datetime.fromtimestamp(seconds, UTC)
    else:
        return None
    return time if 1970 <= time.year <= LATEST_YEAR else None


def whole(value: object) -> int | None:
    """Return a whole number, also from 1.0 or "1", as which Parquet files and spreadsheets store it; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value == int(value) else None
    return value if isinstance(value, int) else None


def thumb(value: object) -> int:
    """Return a rating, 1 or -1. Raises: Unusable for any other value."""
    rating = whole(value)
    if rating not in (1, -1):
        raise Unusable("a rating that is neither 1 nor -1")
    return rating


def thumb_of(value: object) -> int | None:
    """Return 1 or -1 for a word, a sign or a number that is a thumb whatever it is asked for; else None.

    0 is none: it may be a thumb down, or no thumb.
    """
    if isinstance(value, bool):
        return 1 if value else -1
    if isinstance(value, str):
        # Without the variation and the skin colour of a sign.
        word = re.sub("[ _\ufe0f\U0001f3fb-\U0001f3ff-]", "", value.strip().lower())
        if word in UP or word in DOWN:
            return 1 if word in UP else -1
    number = whole(value)
    return number if number in (1, -1) else None


def remarks(reasons: Iterable[object], comment: object = "") -> dict[str, Any]:
    """Return the `reasons` and `comment` of a rating. Reasons that are too long or too many go into the comment."""
    short: list[str] = []
    long: list[str] = []
    own_comment = comment.strip() if isinstance(comment, str) and _storable(comment) else ""
    for reason in reasons:
        if isinstance(reason, str) and reason.strip() and _storable(reason):
            (short if len(reason.strip()) <= MAX_REASON else long).append(reason.strip())
    short = list(dict.fromkeys(short))
    full_comment = "\n".join([own_comment] * bool(own_comment) + long + short[MAX_REASONS:])
    if len(full_comment) > MAX_COMMENT:
        full_comment = full_comment[: MAX_COMMENT - 1] + "…"
    return {"reasons": tuple(short[:MAX_REASONS]), "comment": full_comment}


def split_thought(reply: str) -> tuple[str | None, str]:
    """Return (thought, answer) of a reply whose text may begin with thoughts; the thought is None without one."""
    thoughts = []
    while True:
        if match := THINK_TAGS.match(reply):
            thoughts.append(match[1])
        elif match := REASONING_BLOCK.match(reply):
            quoted_lines = html.unescape(match[1]).split("\n")
            thoughts.append("\n".join(re.sub(r"\A> ?", "", line) for line in quoted_lines).strip())
        else:
            return "\n".join(filter(None, thoughts)) or None, reply
        reply = reply[match.end() :]


def branch(
    messages: object, name: str = "messages", model: str = "", left_out: list[str] | None = None
) -> list[ImportedMessage]:
    """Convert a list of messages (`role` and `content`, or `from` and `value`) to one branch of a conversation.

    Raises: Unusable; also for a reply that does not follow a user message. With `left_out`, the branch ends before
    a message that cannot be converted, and the reason is added to it; at least one message must be left.
    """
    turns: list[ImportedMessage] = []
    items = listing(messages, name)
    for number, item in enumerate(items):
        try:
            turns.append(_next_turn(turns[-1] if turns else None, item, model))
        except Unusable as reason:
            if left_out is None or not turns:
                raise
            left_out += [str(reason), *[HANGS] * (len(items) - number - 1)]
            break
    return turns


def _next_turn(parent: ImportedMessage | None, item: object, model: str) -> ImportedMessage:
    message = mapping(item, "a message")
    message_role = role(message.get("role", message.get("from")))
    value = message.get("content", message.get("value"))
    check_text_only(message, value)
    body = content(value, "a message")
    thought = None
    if message_role == "user" and not body.strip():
        raise Unusable(EMPTY)
    if message_role == "assistant":
        if parent is None or parent.role != "user":
            raise Unusable("a reply that does not follow a user message")
        thought, body = split_thought(body)
        separate_thought = message.get("reasoning_content", message.get("thinking"))
        if thought is None and separate_thought:
            thought = text(separate_thought, "a thought")
    return turn(parent, message_role, body, thought=thought, model=model)


def _storable(value: str) -> bool:
    try:
        text(value, "")
    except Unusable:
        return False
    return True


def _number_or_time(value: str) -> object:
    for parse in (float, datetime.fromisoformat):
        try:
            return parse(value)
        except ValueError:
            continue
    return None

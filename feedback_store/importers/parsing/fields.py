"""Fields of files that anyone may have written: each comes out as what it must be, or as a named reason."""

import html
import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from feedback_store.importers.parsing.items import ImportedMessage, Unusable, turn
from feedback_store.records import Role
from feedback_store.validation import MAX_COMMENT, MAX_REASON, MAX_REASONS

LATEST_YEAR = 2100  # a time beyond it is a number in an unknown unit, not a time
ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
THINK_TAGS = re.compile(r"\A\s*<think>\n?(.*?)\n?</think>\n{0,2}", re.DOTALL)
# How Open WebUI shows a thought inside a message.
REASONING_BLOCK = re.compile(
    r'\A\s*<details type="reasoning"[^>]*>\s*<summary>.*?</summary>\s*(.*?)\s*</details>\s*', re.DOTALL
)


def mapping(value: object, name: str = "row") -> dict[str, Any]:
    """Raises: Unusable unless `value` is an object."""
    if not isinstance(value, dict):
        raise Unusable(f"{name} is no object")
    return value


def listing(value: object, name: str) -> list[Any]:
    """Raises: Unusable unless `value` is a list that holds something."""
    if not isinstance(value, list) or not value:
        raise Unusable(f"{name} is no list, or empty")
    return value


def text(value: object, name: str) -> str:
    """Text that every database can hold. Raises: Unusable."""
    if not isinstance(value, str):
        raise Unusable(f"{name} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unusable(f"{name} has half a surrogate pair, which is no character") from None
    if "\0" in value:
        raise Unusable(f"{name} has a NUL character, which no database holds")
    return value


def filled(value: object, name: str) -> str:
    """Text that says something. Raises: Unusable."""
    found = text(value, name)
    if not found.strip():
        raise Unusable(f"{name} is empty")
    return found


def label(value: object) -> str:
    """An optional name, such as a model's or a person's; numbers are names too. "" where it is none."""
    if isinstance(value, str) and _holdable(value):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def content(value: object, name: str) -> str:
    """A message's text: a string, or a list of text blocks put together.

    Raises: Unusable; also for pictures and files, without which the reply would answer another question.
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
        inner = block.get("text", block.get("content")) if isinstance(block, dict) else None
        if inner is None or block.get("type", "text") != "text":
            raise Unusable(f"{name} has a part that is no text")
        pieces.append(text(inner.get("value") if isinstance(inner, dict) else inner, name))
    return "\n".join(pieces)


def role(value: object) -> Role:
    """Raises: Unusable for tools and other roles that the store does not know."""
    found = ROLES.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise Unusable("a role that the store does not know")
    return found


def moment(value: object) -> datetime | None:
    """A time from seconds, milli-, micro- or nanoseconds since 1970, ISO 8601 or MongoDB's; None if it is none."""
    if isinstance(value, dict):
        value = value.get("$date")
    if isinstance(value, str):
        value = _number_or_time(value)
    if isinstance(value, datetime):
        found = value if value.tzinfo else value.replace(tzinfo=UTC)
    elif isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e20:
        seconds = float(value)
        while seconds > 1e11:  # year 5138 in seconds: it is a smaller unit
            seconds /= 1000
        found = datetime.fromtimestamp(seconds, UTC)
    else:
        return None
    return found if 1970 <= found.year <= LATEST_YEAR else None


def whole(value: object) -> int | None:
    """A whole number, also where Parquet or a spreadsheet made it 1.0 or "1"; None if it is none."""
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
    """1 or -1. Raises: Unusable for anything else."""
    found = whole(value)
    if found not in (1, -1):
        raise Unusable("a rating that is neither 1 nor -1")
    return found


def remarks(reasons: Iterable[object], comment: object = "") -> dict[str, Any]:
    """`reasons` and `comment` as a vote takes them: what is too long for a reason goes into the comment."""
    short: list[str] = []
    long: list[str] = []
    said = comment.strip() if isinstance(comment, str) and _holdable(comment) else ""
    for reason in reasons:
        if isinstance(reason, str) and reason.strip() and _holdable(reason):
            (short if len(reason.strip()) <= MAX_REASON else long).append(reason.strip())
    short = list(dict.fromkeys(short))
    whole_comment = "\n".join([said] * bool(said) + long + short[MAX_REASONS:])
    if len(whole_comment) > MAX_COMMENT:
        whole_comment = whole_comment[: MAX_COMMENT - 1] + "…"
    return {"reasons": tuple(short[:MAX_REASONS]), "comment": whole_comment}


def split_thought(said: str) -> tuple[str | None, str]:
    """(thought, answer) of a reply that carries its thought in the text; (None, text) of another."""
    if found := THINK_TAGS.match(said):
        return found[1] or None, said[found.end() :]
    if found := REASONING_BLOCK.match(said):
        inner = html.unescape(found[1])
        lines = (re.sub(r"\A> ?", "", one) for one in inner.split("\n"))
        return "\n".join(lines).strip() or None, said[found.end() :]
    return None, said


def branch(messages: object, name: str = "messages", model: str = "") -> list[ImportedMessage]:
    """A chat list (`role` and `content`, or `from` and `value`) as one branch of turns.

    Raises: Unusable, also where a reply does not follow a user's message.
    """
    turns: list[ImportedMessage] = []
    for said in listing(messages, name):
        message = mapping(said, "a message")
        who = role(message.get("role", message.get("from")))
        body = content(message.get("content", message.get("value")), "a message")
        thought = None
        if who == "assistant":
            if not turns or turns[-1].role != "user":
                raise Unusable("a reply that answers no user's message")
            thought, body = split_thought(body)
            given = message.get("reasoning_content", message.get("thinking"))
            if thought is None and given:
                thought = text(given, "a thought")
        turns.append(turn(turns[-1] if turns else None, who, body, thought=thought, model=model))
    return turns


def replies(turns: Iterable[ImportedMessage]) -> Iterator[ImportedMessage]:
    """Only the model's."""
    return (one for one in turns if one.role == "assistant")


def _holdable(value: str) -> bool:
    try:
        text(value, "")
    except Unusable:
        return False
    return True


def _number_or_time(value: str) -> object:
    for read in (float, datetime.fromisoformat):
        try:
            return read(value)
        except ValueError:
            continue
    return None

"""Argilla: records from `to_list()`, also flattened, with a prompt and one or more replies in their fields.

Argilla lets its users define the questions, so only what an answer says by itself is read, never what the name of its
question may mean. With several replies, that is a label that is the name of one of them (by its field, number or
letter) or both_good or both_bad, and a ranking. With a single reply it is a label such as good or bad. A number is no
judgement, because its scale is not known, and a text is no correction; the texts become the comment of a rating. A
person whose answers disagree gives none. Only submitted answers are imported.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from feedback_store.importers.datasets.training_rows import conversation_of, prompt_of, reply_to
from feedback_store.importers.parsing.fields import label, mapping, moment, remarks, whole
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import (
    ImportedComparison,
    ImportedConversation,
    ImportedMessage,
    ImportedRating,
    Signal,
    Unusable,
    as_context,
    content_key,
)
from feedback_store.importers.parsing.text_only import check_row_is_text

PROMPTS = ("prompt", "instruction", "question", "input", "messages", "chat", "conversation")
REPLY = re.compile(r"(?:response|completion|answer|output|generation|reply|chosen|rejected)[ _-]?(\w*)", re.I)
TIES: dict[str, Literal["both_good", "both_bad"]] = {"both_good": "both_good", "both_bad": "both_bad"}
GOOD = {
    "good",
    "yes",
    "positive",
    "like",
    "liked",
    "up",
    "thumbs_up",
    "thumbsup",
    "correct",
    "accept",
    "true",
}
BAD = {
    "bad",
    "no",
    "negative",
    "dislike",
    "disliked",
    "down",
    "thumbs_down",
    "thumbsdown",
    "incorrect",
    "reject",
}


def read(path: Path) -> Iterator[Item]:
    return each(rows(path), conversation)


def conversation(row: dict[str, Any]) -> ImportedConversation:
    """Convert one row. Raises: Unusable."""
    fields = mapping(row.get("fields", row), "fields")
    check_row_is_text(fields)
    prompt_field = next((fields[name] for name in PROMPTS if fields.get(name)), None)
    if prompt_field is None:
        raise Unusable("no field with a prompt")
    answered = {
        name: value
        for name, value in fields.items()
        if value and REPLY.fullmatch(name) and isinstance(value, str | list)
    }
    if answered or not isinstance(prompt_field, list):
        prompt = prompt_of(prompt_field)
        replies = {name: reply_to(prompt, value) for name, value in answered.items()}
    else:  # a chat that ends with the reply
        prompt, reply = conversation_of(prompt_field, "chat")
        replies = {"chat": reply}
    if not replies:
        raise Unusable("no field with a reply")
    by_user: dict[str, dict[str, Any]] = {}
    for user, question, value in _answers(row):
        by_user.setdefault(user, {})[question] = value
    if not by_user:
        raise Unusable("no submitted answer")
    at = moment(row.get("updated_at"))
    signals = [signal for user, answers in by_user.items() for signal in _signals(user, answers, replies, at)]
    if not signals:
        raise Unusable("answers without a label or ranking of the replies, or that disagree")
    key = label(row.get("id")) or content_key(*(reply.key for reply in replies.values()))
    return ImportedConversation(key, key, (*as_context(prompt), *replies.values()), tuple(signals))


def _answers(row: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Iterate over (user, question, value) of every submitted answer."""
    nested = row.get("responses")
    if isinstance(nested, dict):
        for question, answers in nested.items():
            for number, answer in enumerate(answers if isinstance(answers, list) else []):
                if isinstance(answer, dict) and answer.get("status", "submitted") == "submitted":
                    yield label(answer.get("user_id")) or str(number), question, answer.get("value")
    for column, values in row.items():
        question, flat, rest = column.partition(".responses")
        if flat and not rest and isinstance(values, list):
            users, states = row.get(f"{column}.users"), row.get(f"{column}.status")
            for number, value in enumerate(values):
                if _element(states, number, "submitted") == "submitted":
                    yield label(_element(users, number, None)) or str(number), question, value


def _element(values: object, number: int, default: object) -> object:
    return values[number] if isinstance(values, list) and number < len(values) else default


def _signals(
    user: str, answers: dict[str, Any], replies: dict[str, ImportedMessage], at: datetime | None
) -> list[Signal]:
    """The judgement of one person, if all answers that are one agree; else nothing."""
    verdicts: list[list[Signal]] = []
    comments = [
        answer for answer in answers.values() if isinstance(answer, str) and not _is_label(answer, replies)
    ]
    remark_fields = remarks([], "\n".join(comments))
    for answer in answers.values():
        verdict: list[Signal]
        if len(replies) > 1:
            verdict = list(_comparisons(user, answer, replies, at))
        else:
            (reply,) = replies.values()
            value = _thumb(answer)
            verdict = [ImportedRating(reply.key, user, value, at=at, **remark_fields)] if value else []
        if verdict:
            verdicts.append(verdict)
    return verdicts[0] if verdicts and all(verdict == verdicts[0] for verdict in verdicts) else []


def _is_label(answer: str, replies: dict[str, ImportedMessage]) -> bool:
    return bool(_thumb(answer) or _reply_named(answer, replies)) or _plain(answer) in TIES


def _thumb(answer: object) -> int:
    """1 or -1 for a label such as good or bad, else 0."""
    if isinstance(answer, bool):
        return 1 if answer else -1
    label = _plain(answer) if isinstance(answer, str) else ""
    return (label in GOOD) - (label in BAD)


def _comparisons(
    user: str, answer: object, replies: dict[str, ImportedMessage], at: datetime | None
) -> Iterator[ImportedComparison]:
    """The comparisons that one answer makes: a label, or a ranking (a list, or values with ranks)."""
    ranks: dict[str, int] = {}  # by name of a reply; lower is better
    if isinstance(answer, str) and (best := _reply_named(answer, replies)):
        ranks = {name: int(name != best) for name in replies}
    elif isinstance(answer, str) and len(replies) == 2 and (tie := TIES.get(_plain(answer))):
        left, right = replies.values()
        if left.key != right.key:
            yield ImportedComparison(left.key, right.key, user, tie=tie, at=at)
    elif isinstance(answer, list):
        for position, item in enumerate(answer):
            value, rank = (
                (item.get("value"), whole(item.get("rank"))) if isinstance(item, dict) else (item, position)
            )
            if (name := _reply_named(value, replies)) and rank is not None:
                ranks[name] = rank
    for one, other in combinations(ranks, 2):
        better, worse = sorted((one, other), key=ranks.__getitem__)
        if ranks[better] < ranks[worse] and replies[better].key != replies[worse].key:
            yield ImportedComparison(replies[better].key, replies[worse].key, user, at=at)


def _reply_named(value: object, replies: dict[str, ImportedMessage]) -> str | None:
    """The reply that a whole label names: by its field, by a similar name, or by the number or letter in it."""
    if not isinstance(value, str):
        return None
    for name in replies:
        if _plain(value) == _plain(name):
            return name
    match = REPLY.fullmatch(value.strip())
    part = (match[1] if match else value.strip()).lower()
    named = [name for name in replies if (own := REPLY.fullmatch(name)) and part and own[1].lower() == part]
    return named[0] if len(named) == 1 else None


def _plain(label: str) -> str:
    return label.strip().lower().replace(" ", "_").replace("-", "_")

"""Argilla: records from `to_list()`, also flattened, with a prompt and one or more replies in their fields.

Argilla lets its users define the questions, so an answer is interpreted by its content. With several replies it
may be a label that names one of them, or both_good or both_bad; a ranking; or a rating of each reply, of which
the higher is preferred on any scale. With a single reply it may be a label such as good or bad, a rating from 1
to 5 (3 counts as no rating), or a corrected text. Any other text becomes the comment of the rating. Only
submitted answers are imported.
"""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from feedback_store.importers.parsing.fields import filled, label, mapping, moment, remarks, whole
from feedback_store.importers.parsing.files import Item, each, rows
from feedback_store.importers.parsing.items import (
    ImportedComparison,
    ImportedConversation,
    ImportedCorrection,
    ImportedMessage,
    ImportedRating,
    Signal,
    Unusable,
    content_key,
)
from feedback_store.importers.systems.training_rows import prompt_of, reply_to

PROMPTS = ("prompt", "instruction", "question", "input", "messages", "chat", "conversation")
REPLY = re.compile(r"(?:response|completion|answer|output|generation|reply|chosen|rejected)[ _-]?(\w*)", re.I)
LAST_PART = re.compile(r"(?:\A|[ _-]|(?<=[a-z])(?=\d))([a-z]|\d+)\Z")
CORRECTION = re.compile(r"correct|edit|improv|rewrit|better", re.I)
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
    prompt_field = next((fields[name] for name in PROMPTS if fields.get(name)), None)
    if prompt_field is None:
        raise Unusable("no field with a prompt")
    prompt = prompt_of(prompt_field)
    replies = {
        name: reply_to(prompt, value)
        for name, value in fields.items()
        if value and REPLY.fullmatch(name) and isinstance(value, str | list)
    }
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
        raise Unusable("answers without a judgement of a reply")
    key = label(row.get("id")) or content_key(*(reply.key for reply in replies.values()))
    return ImportedConversation(key, key, (*prompt, *replies.values()), tuple(signals))


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
    user: str, answers: dict[str, Any], replies: dict[str, ImportedMessage], at: Any
) -> Iterator[Signal]:
    if len(replies) > 1:
        yield from _comparisons(user, answers, replies, at)
        return
    (reply,) = replies.values()
    value, comments = 0, []
    for question, answer in answers.items():
        number = whole(answer)
        if isinstance(answer, str) and answer.strip().lower() in GOOD | BAD:
            value = 1 if answer.strip().lower() in GOOD else -1
        elif isinstance(answer, bool):
            value = 1 if answer else -1
        elif number is not None and not isinstance(answer, str):
            if not 1 <= number <= 5:
                raise Unusable("a rating that is not from 1 to 5")
            value = (number > 3) - (number < 3)
        elif isinstance(answer, str) and (CORRECTION.search(question) or REPLY.fullmatch(question)):
            if answer.strip() and answer != reply.content:
                yield ImportedCorrection(reply.key, user, filled(answer, question), at=at)
        elif isinstance(answer, str):
            comments.append(answer)
    if value:
        yield ImportedRating(reply.key, user, value, at=at, **remarks([], "\n".join(comments)))


def _comparisons(
    user: str, answers: dict[str, Any], replies: dict[str, ImportedMessage], at: Any
) -> Iterator[ImportedComparison]:
    ranks: dict[str, float] = {}  # by name of a reply; higher is better
    for question, answer in answers.items():
        if isinstance(answer, list):
            for position, item in enumerate(answer):
                value, rank = (
                    (item.get("value"), whole(item.get("rank")))
                    if isinstance(item, dict)
                    else (item, position)
                )
                if (name := _reply_named(value, replies)) and rank is not None:
                    ranks[name] = -rank
        elif isinstance(answer, str):
            tie = answer.strip().lower().replace(" ", "_")
            if name := _reply_named(answer, replies):
                ranks = {reply: float(reply == name) for reply in replies}
            elif len(replies) == 2 and tie in ("both_good", "both_bad"):
                left, right = replies.values()
                yield ImportedComparison(
                    left.key, right.key, user, tie="both_good" if tie == "both_good" else "both_bad", at=at
                )
        elif (number := whole(answer)) is not None and (name := _reply_named(question, replies)):
            ranks[name] = number
    for left_name, right_name in combinations(ranks, 2):
        better, worse = (
            (left_name, right_name) if ranks[left_name] > ranks[right_name] else (right_name, left_name)
        )
        if ranks[left_name] != ranks[right_name] and replies[better].key != replies[worse].key:
            yield ImportedComparison(replies[better].key, replies[worse].key, user, at=at)


def _reply_named(value: object, replies: dict[str, ImportedMessage]) -> str | None:
    """The name of the reply that a label or question refers to: by its field name, or by the number or letter in it."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return None
    reference = str(value).strip().lower()
    for name in replies:
        if reference == name.lower():
            return name
    part = LAST_PART.search(reference)
    for name in replies:
        name_part = LAST_PART.search(name.lower())
        if part and name_part and part[1] == name_part[1]:
            return name
    return None

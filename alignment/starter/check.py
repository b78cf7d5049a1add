"""Is this answer right? One checker for every kind of task, tolerant of wording, strict on content."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alignment.starter import days
from alignment.starter.task import Language, Task
from alignment.starter.text import load


@dataclass(frozen=True)
class Checked:
    """The verdict on one answer."""

    correct: bool
    has_unit: bool | None = None
    """Whether the answer names its unit; None where the kind has no unit."""


_NUMERIC = ("addition", "subtraction", "multiplication", "multiplication_hard")
_WORDED = ("concept", "identity", "smalltalk", "outside", "follow_up")


def check(task: Task, answer_text: str) -> Checked:
    """Judge `answer_text` (the visible answer, without its thought) as an answer to `task`.

    Raises ValueError if the kind of the task has no checker.
    """
    text = unicodedata.normalize("NFKC", answer_text).strip()
    expected = task.expected
    if task.kind in _NUMERIC:
        return Checked(_last_number(text) == expected["number"])
    if task.kind == "division":
        found, rest = _whole_numbers(text), expected["remainder"]
        return Checked(
            found[-2:] == [expected["number"], rest] if rest else found[-1:] == [expected["number"]]
        )
    if task.kind in ("word_one_step", "word_two_step", "word_three_step"):
        return Checked(_last_number(text) == expected["number"], names_unit(text, expected["units"]))
    if task.kind == "comparison":
        return Checked(_compares_correctly(text, expected))
    if task.kind == "ordering":
        order = expected["order"]
        return Checked(_whole_numbers(text)[-len(order) :] == order)
    if task.kind == "calendar":
        named = days.days_named(text)
        return Checked(bool(named) and named[-1] == expected["day"])
    if task.kind == "duration":
        return Checked(_last_time(text) == expected["minutes"])
    if task.kind in _WORDED:
        return Checked(_has_keywords(text, expected))
    raise ValueError(f"No checker for tasks of kind {task.kind!r}: every kind needs one. Add it to `check`.")


def refuses(answer_text: str, language: Language) -> bool:
    """Whether the answer says that the question is outside the starter's domain."""
    text = unicodedata.normalize("NFKC", answer_text).strip()
    return _has_keywords(text, {"keywords": load("outside.yaml")[language]["keywords"]})


def names_unit(text: str, units: Sequence[str]) -> bool:
    """Whether any of `units` occurs in `text`, in English as a word of its own."""
    return any(_occurs(unit, text.lower()) for unit in units)


def _occurs(word: str, lowered: str) -> bool:
    """Whether `word` occurs whole: "paris" does not occur in "comparison", nor "7" in "17"."""
    folded = _fold(word)
    pattern = _edge(folded[0], "(?<!{})") + re.escape(folded) + _edge(folded[-1], "(?!{})")
    return re.search(pattern, lowered) is not None


def _edge(character: str, unless: str) -> str:
    """What must not stand next to `character` at the edge of a word; Chinese has no such edge."""
    if character.isdigit():
        return unless.format(r"\d")
    return unless.format("[a-z']") if character.isascii() and character.isalpha() else ""


_NUMBER = re.compile(r"(?<![\d.])-?(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?")


def _last_number(text: str) -> float | None:
    """The last number in `text`. A minus counts as its sign only where it cannot be an operator."""
    found = list(_NUMBER.finditer(text.replace("−", "-")))
    if not found:
        return None
    last = found[-1]
    before = text[: last.start()].rstrip()
    number = last.group()
    if number.startswith("-") and before and (before[-1].isdigit() or before[-1] == ")"):
        number = number[1:]
    return float(number.replace(",", ""))


def _whole_numbers(text: str) -> list[float]:
    """Every run of digits, as floats: unlike `int`, they take a run of any length."""
    return [float(digits) for digits in re.findall(r"\d+", text)]


_RELATIONS = (
    (re.compile(r"(\d+)\s*(>|<|=)\s*(\d+)"), None),
    (re.compile(r"(\d+)\s+is\s+(?:larger|bigger|greater|more)\s+than\s+(\d+)", re.IGNORECASE), ">"),
    (re.compile(r"(\d+)\s+is\s+(?:smaller|less|lower)\s+than\s+(\d+)", re.IGNORECASE), "<"),
    (re.compile(r"(\d+)\s*(?:大于|比\s*(?=\d+\s*大))\s*(\d+)"), ">"),
    (re.compile(r"(\d+)\s*(?:小于|比\s*(?=\d+\s*小))\s*(\d+)"), "<"),
)
_EQUAL = re.compile(r"\b(?:equal|same)\b|一样|相等|等于", re.IGNORECASE)
_NO = re.compile(r"^\W*(?:no\b|not\b|false\b|不|否|没有|错)", re.IGNORECASE)
_YES = re.compile(r"^\W*(?:yes\b|true\b|correct\b|right\b|是|对|正确|没错|嗯)", re.IGNORECASE)


def _compares_correctly(text: str, expected: dict[str, Any]) -> bool:
    claims = _claims(text)
    if not all(_holds(*claim) for claim in claims):
        return False
    numbers = _whole_numbers(text)
    if any(number not in expected["operands"] for number in numbers):
        return False
    if "holds" in expected:
        said = False if _NO.search(text) and not text.startswith("没错") else bool(_YES.search(text)) or None
        return said is expected["holds"]
    if expected.get("equal"):
        return _EQUAL.search(text) is not None or any(sign == "=" for _, sign, _ in claims)
    number = expected["number"]
    if len(set(numbers)) == 1:
        return numbers[0] == number and _asks_for(text, number, expected["operands"])
    # Both numbers: either a true relation that opens with the number asked for, or a list ending in it.
    return bool(numbers) and (numbers[0] == number if claims else numbers[-1] == number)


def _claims(text: str) -> list[tuple[float, str, float]]:
    found = []
    for pattern, sign in _RELATIONS:
        for match in pattern.finditer(text):
            groups = match.groups()
            found.append((float(groups[0]), sign or groups[1], float(groups[-1])))
    return found


def _holds(left: float, sign: str, right: float) -> bool:
    return {">": left > right, "<": left < right, "=": left == right}[sign]


def _asks_for(text: str, number: float, operands: Sequence[int]) -> bool:
    """False if the answer calls the right number by the wrong word ("the larger" for the smaller)."""
    says_large = re.search(r"larger|bigger|greater|大", text, re.IGNORECASE) is not None
    says_small = re.search(r"smaller|less|小", text, re.IGNORECASE) is not None
    if says_large == says_small:
        return True
    return says_large == (number == max(operands))


_DURATION_PARTS = re.compile(
    r"(?:(\d+)\s*(?:hours?|hrs?|h|个?小时)(?![a-z])\s*(?:and|零|又|,)?\s*)?"
    r"(?:(\d+)\s*(?:minutes?|mins?|m|分钟|分)(?![a-z]))?",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(\d{1,2})\s*(?::|点|时)\s*(\d{1,2})?分?(?:\s*(am|pm))?", re.IGNORECASE)


def _last_time(text: str) -> float | None:
    """Minutes in the last duration ("1 hour 45 minutes") or clock time ("11:05", since midnight)."""
    best: tuple[int, float] | None = None
    for match in _DURATION_PARTS.finditer(text):
        hours, minutes = match.groups()
        if hours or minutes:
            best = (match.end(), float(hours or 0) * 60 + float(minutes or 0))
    for match in _CLOCK.finditer(text):
        hour, minute, half = int(match[1]), int(match[2] or 0), (match[3] or "").lower()
        if half:
            hour = hour % 12 + (12 if half == "pm" else 0)
        if best is None or match.end() >= best[0]:
            best = (match.end(), hour * 60 + minute)
    return None if best is None else best[1]


def _has_keywords(text: str, expected: dict[str, Any]) -> bool:
    """Every group of keywords is met by one alternative, nothing forbidden occurs, the number is right.

    A keyword may be part of a word ("train" in "training"); what is forbidden must occur whole.
    """
    lowered = text.lower()
    if not lowered:
        return False
    groups: list[list[str]] = expected.get("keywords", [])
    met = all(any(_fold(word) in lowered for word in group) for group in groups)
    clean = not any(_occurs(word, lowered) for word in expected.get("forbidden", []))
    right_number = "number" not in expected or _last_number(text) == expected["number"]
    return met and clean and right_number


def _fold(word: str) -> str:
    return unicodedata.normalize("NFKC", word).lower()

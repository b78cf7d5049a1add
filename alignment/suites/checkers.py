"""Checkers of answers, by name: tolerant of wording, strict on content.

A check is data, so that a suite can be a file: `{"checker": NAME, …parameters}`, for example
`{"checker": "number", "value": 632}`. Text is compared after NFKC normalisation, so full-width digits and
punctuation count as their ASCII forms. CHECKERS lists every name; each function documents its parameters.
`{"checker": "judge", "version": "v3"}` is not among them: a reward model reads tokens, see `task_file`.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from alignment.suites.form_checkers import exact, is_json, length, python

Check = Mapping[str, Any]
"""{"checker": a name in CHECKERS, and that checker's parameters}."""


def passes(check: Check, answer: str) -> bool:
    """Whether `answer` (without its thought) passes `check`.

    Raises ValueError if there is no such checker, TypeError if its parameters are not those of its function.
    """
    name = check["checker"]
    if name not in CHECKERS:
        raise ValueError(f"There is no checker {name!r}. Known checkers: {', '.join(CHECKERS)}.")
    parameters = {key: value for key, value in check.items() if key != "checker"}
    return CHECKERS[name](unicodedata.normalize("NFKC", answer).strip(), **parameters)


# --- words ------------------------------------------------------------------------------------------


def contains(text: str, keywords: Sequence[Sequence[str]], forbidden: Sequence[str] = ()) -> bool:
    """The text is not empty and has at least one keyword of every group, and no forbidden word.

    A keyword may be part of a word ("train" in "training"); a forbidden word must occur whole. Case is ignored.
    """
    lowered = text.lower()
    if not lowered:
        return False
    return all(any(_fold(word) in lowered for word in group) for group in keywords) and not any(
        _occurs(word, lowered) for word in forbidden
    )


def unit(text: str, names: Sequence[str]) -> bool:
    """Any of `names` occurs in the text; an English name must occur as a word of its own."""
    lowered = text.lower()
    return any(_occurs(name, lowered) for name in names)


def matches(text: str, pattern: str) -> bool:
    """The regular expression `pattern` occurs in the text; case is ignored."""
    return re.search(pattern, text, re.IGNORECASE) is not None


def one_of(text: str, texts: Sequence[str]) -> bool:
    """The whole text is one of `texts`, whatever its case and its closing punctuation."""
    return _bare(text) in {_bare(_fold(other)) for other in texts}


def ends(text: str, texts: Sequence[str]) -> bool:
    """The text ends in one of `texts`, whatever its case and its closing punctuation."""
    return _bare(text).endswith(tuple(_bare(_fold(other)) for other in texts))


CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")


def language(text: str, name: Literal["en", "zh"]) -> bool:
    """The text is written in the language: Chinese has Chinese characters, English has letters and none of those."""
    if name == "zh":
        return CHINESE.search(text) is not None
    return CHINESE.search(text) is None and re.search(r"[A-Za-z]", text) is not None


def _fold(word: str) -> str:
    return unicodedata.normalize("NFKC", word).lower()


def _bare(text: str) -> str:
    return text.lower().rstrip(" .!?。…")


def _occurs(word: str, lowered: str) -> bool:
    """Whether `word` occurs whole: "paris" does not occur in "comparison", nor "7" in "17"."""
    folded = _fold(word)
    pattern = _edge(folded[0], "(?<!{})") + re.escape(folded) + _edge(folded[-1], "(?!{})")
    return re.search(pattern, lowered) is not None


def _edge(character: str, unless: str) -> str:
    """What must not stand next to `character` at the edge of a word; Chinese words have no such edge."""
    if character.isdigit():
        return unless.format(r"\d")
    return unless.format("[a-z']") if character.isascii() and character.isalpha() else ""


# --- numbers ----------------------------------------------------------------------------------------

_NUMBER = re.compile(r"(?<![\d.])-?(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+)(?:\.\d+)?")


def number(text: str, value: float) -> bool:
    """The last number in the text is `value`. Thousands may be separated by commas."""
    return _last_number(text) == value


def numbers(text: str, values: Sequence[int]) -> bool:
    """The last whole numbers in the text are `values`, in this order."""
    return _whole_numbers(text)[-len(values) :] == list(values)


def _last_number(text: str) -> float | None:
    """The last number in `text`. A minus is its sign only where it cannot be an operator."""
    occurrences = list(_NUMBER.finditer(text.replace("−", "-")))
    if not occurrences:
        return None
    last = occurrences[-1]
    before = text[: last.start()].rstrip()
    digits = last.group()
    if digits.startswith("-") and before and (before[-1].isdigit() or before[-1] == ")"):
        digits = digits[1:]
    return float(digits.replace(",", ""))


def _whole_numbers(text: str) -> list[float]:
    """Every run of digits, as floats: unlike `int`, `float` takes a run of any length."""
    return [float(digits) for digits in re.findall(r"\d+", text)]


# --- comparisons ------------------------------------------------------------------------------------

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


def comparison(
    text: str,
    operands: Sequence[int],
    holds: bool | None = None,
    equal: bool = False,
    value: int | None = None,
) -> bool:
    """The text compares the two `operands` truly and names no other number.

    One of the three says what was asked. `holds`: whether a relation holds, to be answered by yes or no. `equal`:
    the operands are equal, and the text must say so. `value`: the operand that was asked for.
    """
    claims = _claims(text)
    if not all(_is_true(*claim) for claim in claims):
        return False
    named = _whole_numbers(text)
    if any(other not in operands for other in named):
        return False
    if holds is not None:
        verdict = (
            False if _NO.search(text) and not text.startswith("没错") else bool(_YES.search(text)) or None
        )
        return verdict is holds
    if equal:
        return _EQUAL.search(text) is not None or any(sign == "=" for _, sign, _ in claims)
    if value is None:
        raise TypeError("A comparison needs one of `holds`, `equal` and `value`.")
    if len(set(named)) == 1:
        return named[0] == value and _calls_it_right(text, value, operands)
    # Both operands: either a true relation that opens with the one asked for, or a list that ends in it.
    return bool(named) and (named[0] == value if claims else named[-1] == value)


def _claims(text: str) -> list[tuple[float, str, float]]:
    claims = []
    for pattern, sign in _RELATIONS:
        for match in pattern.finditer(text):
            groups = match.groups()
            claims.append((float(groups[0]), sign or groups[1], float(groups[-1])))
    return claims


def _is_true(left: float, sign: str, right: float) -> bool:
    return {">": left > right, "<": left < right, "=": left == right}[sign]


def _calls_it_right(text: str, value: int, operands: Sequence[int]) -> bool:
    """False if the text calls `value` by the wrong word ("the larger" for the smaller)."""
    says_large = re.search(r"larger|bigger|greater|大", text, re.IGNORECASE) is not None
    says_small = re.search(r"smaller|less|小", text, re.IGNORECASE) is not None
    return says_large == says_small or says_large == (value == max(operands))


# --- days and times ---------------------------------------------------------------------------------

_DAY = re.compile(
    r"\b(mon|tue|wed|thu|fri|sat|sun)[a-z]*\b|(?:星期|周|礼拜)([一二三四五六日天])", re.IGNORECASE
)
_ENGLISH_DAYS, _CHINESE_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun"), "一二三四五六日"
_DURATION = re.compile(
    r"(?:(\d+)\s*(?:hours?|hrs?|h|个?小时)(?![a-z])\s*(?:and|零|又|,)?\s*)?"
    r"(?:(\d+)\s*(?:minutes?|mins?|m|分钟|分)(?![a-z]))?",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"(\d{1,2})\s*(?::|点|时)\s*(\d{1,2})?分?(?:\s*(am|pm))?", re.IGNORECASE)


def day(text: str, value: int) -> bool:
    """The last day of the week that the text names is `value`, Monday as 0."""
    named = _DAY.findall(text)
    if not named:
        return False
    english, chinese = named[-1]
    if english:
        return _ENGLISH_DAYS.index(english.lower()) == value
    return _CHINESE_DAYS.index(chinese.replace("天", "日")) == value


def time(text: str, minutes: int) -> bool:
    """The last duration ("1 hour 45 minutes") or clock time ("11:05", since midnight) is so many minutes."""
    return _last_time(text) == minutes


def _last_time(text: str) -> float | None:
    best: tuple[int, float] | None = None
    for match in _DURATION.finditer(text):
        hours, rest = match.groups()
        if hours or rest:
            best = (match.end(), float(hours or 0) * 60 + float(rest or 0))
    for match in _CLOCK.finditer(text):
        hour, minute, half = int(match[1]), int(match[2] or 0), (match[3] or "").lower()
        if half:
            hour = hour % 12 + (12 if half == "pm" else 0)
        if best is None or match.end() >= best[0]:
            best = (match.end(), hour * 60 + minute)
    return None if best is None else best[1]


CHECKERS: dict[str, Callable[..., bool]] = {
    checker.__name__: checker
    for checker in (
        contains,
        unit,
        matches,
        one_of,
        ends,
        language,
        number,
        numbers,
        comparison,
        day,
        time,
        exact,
        length,
        python,
    )
} | {"json": is_json, "regex": matches}

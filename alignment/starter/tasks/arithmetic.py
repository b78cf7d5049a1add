"""Arithmetic tasks: calculations, comparisons and orderings, each with its worked columns as the thought."""

import random
import re
from functools import cache
from typing import Any

from alignment.starter.tasks import phrasings
from alignment.starter.tasks.columns import WORDS, calculate, lined_up, worked
from alignment.starter.tasks.drawn_task import DrawnTask, Language, Split, split_of, user

KINDS = (
    "addition",
    "subtraction",
    "multiplication",
    "multiplication_hard",
    "division",
    "comparison",
    "ordering",
)

PHRASING_TEST_SHARE = 0.2
"""Share of the phrasings that only the held-out suite uses: enough that every kind has some."""


def tasks(rng: random.Random, language: Language, kind: str, split: Split) -> DrawnTask:
    """Draw one task of `kind` whose operands and phrasing both belong to `split`."""
    if kind == "comparison":
        return _comparison(rng, language, split)
    if kind == "ordering":
        return _ordering(rng, language, split)
    draw = _division if kind == "division" else _calculation
    task = draw(rng, language, kind, split)
    while split == "train" and gives_away(task.thought):
        task = draw(rng, language, kind, split)
    return task


_CALCULATION = re.compile(r"(?<![\d+×-])(\d+)([+×-])(\d+)(?==)")


def gives_away(text: str) -> bool:
    """Whether `text` works out, perhaps as a step of something else, a calculation that is held out."""
    return any(
        operand_split(_kind_of(sign, int(a), int(b)), int(a), int(b)) == "test"
        for a, sign, b in _CALCULATION.findall(text)
    )


def _kind_of(sign: str, a: int, b: int) -> str:
    if sign == "×":
        return "multiplication" if min(a, b) < 10 else "multiplication_hard"
    return "addition" if sign == "+" else "subtraction"


def phrasings_of(kind: str, language: Language, split: Split) -> tuple[str, ...]:
    """The phrasings of `kind` that `split` may use."""
    return _split_phrasings(kind.removesuffix("_hard"), language, split)


@cache
def _split_phrasings(kind: str, language: Language, split: Split) -> tuple[str, ...]:
    every = phrasings.ALL[kind, language]
    return tuple(text for text in every if phrasing_split(kind, language, text) == split)


def phrasing_split(kind: str, language: Language, text: str) -> Split:
    """The side of one phrasing, decided by its own text; bare symbols, typed most, are for training."""
    if text in phrasings.SYMBOLS:
        return "train"
    return split_of("phrasing", kind, language, text, test_share=PHRASING_TEST_SHARE)


def casual(rng: random.Random, text: str, language: Language) -> str:
    """Sometimes write as people type: without capital and final mark, or with spaces around numbers in Chinese."""
    if language == "zh" and rng.random() < 0.3:
        text = re.sub(r"(?<=[\u4e00-\u9fff])(?=\d)|(?<=\d)(?=[\u4e00-\u9fff])", " ", text)
    if rng.random() < 0.2 and re.search(r"[^=\s][.?。？]$", text):
        text = text[:1].lower() + text[1:-1]
    return text


# --- calculations ---------------------------------------------------------------------------------


_BY_HEART = {"addition": 82, "subtraction": 20, "multiplication": 10}
"""Below these limits, a calculation with a one-digit number is a step within a column (72+8 in 9×89)."""

_SIGNS = {"addition": "+", "subtraction": "-", "multiplication": "×", "multiplication_hard": "×"}


def _calculation(rng: random.Random, language: Language, kind: str, split: Split) -> DrawnTask:
    a, b = _operands(rng, kind)
    while operand_split(kind, a, b) != split:
        a, b = _operands(rng, kind)
    sign = _SIGNS[kind]
    template = rng.choice(phrasings_of(kind, language, split))
    question = template.format(a=a, b=b, op=rng.choice(phrasings.SIGNS[sign]))
    result = calculate(sign, a, b)
    return DrawnTask(
        kind=kind,
        language=language,
        template=f"{kind}/{language}/{template}",
        messages=user(casual(rng, question, language)),
        thought=worked(sign, a, b, language),
        answer=f"{a}{sign}{b}={result}",
        expected={"number": result, "operands": [a, b]},
        split=split,
    )


def operand_split(kind: str, a: int, b: int) -> Split:
    """The side of a pair of operands, whose order matters for subtraction alone.

    Steps that columns are made of, such as 7+5 or 15-8, are known by heart and never held out.
    """
    if min(a, b) < 10 and max(a, b) < _BY_HEART.get(kind, 0):
        return "train"
    return split_of(kind, a, b) if kind == "subtraction" else split_of(kind, *sorted((a, b)))


def _operands(rng: random.Random, kind: str) -> tuple[int, int]:
    if kind == "multiplication_hard":
        return rng.randint(10, 99), rng.randint(10, 99)
    if kind == "multiplication":
        a = rng.randint(10, 99) if rng.random() < 0.85 else rng.randint(0, 9)
        b = rng.randint(2, 9) if rng.random() < 0.92 else rng.randint(0, 1)
        return (a, b) if rng.random() < 0.7 else (b, a)
    a, b = _number(rng), _number(rng)
    return (max(a, b), min(a, b)) if kind == "subtraction" else (a, b)


def _number(rng: random.Random) -> int:
    """A number of up to three digits; longer ones are more frequent, because they need more practice."""
    low, high = rng.choices(((0, 9), (10, 99), (100, 999)), weights=(1, 3, 5))[0]
    return rng.randint(low, high)


# --- division ---------------------------------------------------------------------------------------


def _division(rng: random.Random, language: Language, kind: str, split: Split) -> DrawnTask:
    """A division within the table, sometimes with a remainder.

    Quotients are known by heart, so only phrasings are held out.
    """
    b = rng.randint(2, 9)
    a = b * rng.randint(1, 9) + (rng.randint(1, b - 1) if rng.random() < 0.4 else 0)
    quotient, rest = divmod(a, b)
    template = rng.choice(phrasings_of(kind, language, split))
    lines = [f"{b}×{quotient}={b * quotient}", f"{a}-{b * quotient}={rest}"]
    remainder = f"{' remainder ' if language == 'en' else '余'}{rest}" if rest else ""
    return DrawnTask(
        kind=kind,
        language=language,
        template=f"{kind}/{language}/{template}",
        messages=user(casual(rng, template.format(a=a, b=b, op=rng.choice(phrasings.SIGNS["÷"])), language)),
        thought="\n".join([*lines, f"{a}÷{b}={quotient}{remainder}"]) if rest else f"{a}÷{b}={quotient}",
        answer=f"{a}÷{b}={quotient}{remainder}",
        expected={"number": quotient, "remainder": rest, "operands": [a, b]},
        split=split,
    )


# --- comparison and ordering ----------------------------------------------------------------------


def _comparison(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    a, b = _pair(rng)
    while operand_split("comparison", a, b) != split:
        a, b = _pair(rng)
    template = rng.choice(phrasings_of("comparison", language, split))
    asks_is, sign = phrasings.COMPARISONS[template]
    relation = f"{a}{_relation(a, b)}{b}"
    comparative = {"en": {">": "larger", "<": "smaller"}, "zh": {">": "更大", "<": "更小"}}[language][sign]
    expected: dict[str, Any] = {"operands": [a, b]}
    if asks_is:
        holds = a > b if sign == ">" else a < b
        yes, no = ("Yes", "No") if language == "en" else ("是的", "不是")
        sought, result = f"{a}{sign}{b}?", yes if holds else no
        answer = f"{result}{WORDS[language].comma}{relation}"
        expected["holds"] = holds
    elif a == b:
        sought, result = f"{comparative}?", relation
        answer = f"They are equal: {relation}" if language == "en" else f"一样大：{relation}"
        expected["equal"] = True
    else:
        number = max(a, b) if sign == ">" else min(a, b)
        sought, result = f"{comparative}?", str(number)
        answer = f"{number} is {comparative}" if language == "en" else f"{number}{comparative}"
        expected["number"] = number
    return DrawnTask(
        kind="comparison",
        language=language,
        template=f"comparison/{language}/{template}",
        messages=user(casual(rng, template.format(a=a, b=b), language)),
        # The question stands first and the result last; the columns between are the same for every question.
        thought="\n".join([sought, *_compared_columns(a, b, language), relation, f"{sought} {result}"]),
        answer=answer + ("." if language == "en" else "。"),
        expected=expected,
        split=split,
    )


def _pair(rng: random.Random) -> tuple[int, int]:
    """Two numbers. A third of the pairs share leading digits, which makes the comparison hard."""
    a = _number(rng)
    if rng.random() < 0.05:
        return a, a
    if rng.random() < 0.35:
        return a, a - a % 10 + rng.randint(0, 9)
    return a, _number(rng)


def _relation(a: int, b: int) -> str:
    return ">" if a > b else "<" if a < b else "="


def _compared_columns(a: int, b: int, language: Language) -> list[str]:
    """The two numbers lined up, then compared column by column from the left until two digits differ."""
    words = WORDS[language]
    top, bottom = lined_up(a, b)
    lines = [f"{top}, {bottom}"]
    for place, (x, y) in enumerate(zip(top, bottom, strict=True)):
        column = words.columns[len(top) - 1 - place]
        lines.append(f"{column}{words.colon}{x}{_relation(int(x), int(y))}{y}")
        if x != y:
            break
    return lines


def _ordering(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    numbers = _distinct(rng)
    while split_of("ordering", *sorted(numbers)) != split:
        numbers = _distinct(rng)
    template = rng.choice(phrasings_of("ordering", language, split))
    falling = phrasings.ORDERINGS[template]
    listed = phrasings.listed(rng, numbers, language)
    ordered = sorted(numbers, reverse=falling)
    return DrawnTask(
        kind="ordering",
        language=language,
        template=f"ordering/{language}/{template}",
        messages=user(casual(rng, template.format(numbers=listed), language)),
        thought=_worked_ordering(numbers, falling, language),
        answer=(", " if language == "en" else "、").join(map(str, ordered)),
        expected={"order": ordered},
        split=split,
    )


def _distinct(rng: random.Random) -> list[int]:
    count = rng.choice((3, 4))
    numbers: list[int] = []
    while len(numbers) < count:
        number = _number(rng)
        if number not in numbers:
            numbers.append(number)
    return numbers


def _worked_ordering(numbers: list[int], falling: bool, language: Language) -> str:
    """Repeatedly take the next number in order out of those that are left."""
    words = WORDS[language]
    take = {"en": ("smallest", "largest"), "zh": ("最小", "最大")}[language][falling]
    rest_word = {"en": "left", "zh": "剩下"}[language]
    left = lined_up(*numbers)
    lines = [", ".join(left)]
    while len(left) > 1:
        chosen = max(left) if falling else min(left)
        left.remove(chosen)
        lines.append(f"{take}{words.colon}{chosen}{words.comma}{rest_word}{words.colon}{', '.join(left)}")
    ordered = sorted(numbers, reverse=falling)
    return "\n".join([*lines, ", ".join(map(str, ordered))])

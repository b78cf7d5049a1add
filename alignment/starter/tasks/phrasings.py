"""Phrasings of arithmetic questions, in English and in Chinese.

Most phrasings combine a frame ("What is …?") with an expression ("the sum of 3 and 5"). A held-out phrasing is then a
new combination of words that were each learned elsewhere, as in real use.
"""

import random
from collections.abc import Sequence

from alignment.starter.tasks.drawn_task import Language

SIGNS = {
    "+": ("+", " + "),
    "-": ("-", " - ", "-", " - ", "−"),
    "×": ("×", " × ", "*", " * ", "x", " x "),
    "÷": ("÷", " ÷ ", "/", " / "),
}
"""The ways people type a sign, drawn independently of the phrasing."""

SYMBOLS = ("{a}{op}{b}", "{a}{op}{b}=", "{a}{op}{b}=?", "{a}{op}{b} = ?")

_FRAMES: dict[Language, tuple[str, ...]] = {
    "en": (
        "What is {x}?",
        "What's {x}?",
        "How much is {x}?",
        "Calculate {x}.",
        "Work out {x}.",
        "Please compute {x}.",
        "Can you tell me what {x} is?",
        "What does {x} equal?",
        "Find {x}.",
        "I want to know what {x} is.",
    ),
    "zh": (
        "{x}等于多少？",
        "{x}是多少？",
        "{x}等于几？",
        "请问{x}是多少？",
        "计算{x}。",
        "请计算{x}。",
        "帮我算一下{x}。",
        "算一算{x}。",
        "你知道{x}等于多少吗？",
        "我想知道{x}是多少。",
    ),
}

_COMMAND_FRAMES: dict[Language, tuple[str, ...]] = {
    "en": ("{x}.", "Please {x}.", "Can you {x}?", "Could you {x} for me?"),
    "zh": ("请{x}。", "{x}，得多少？", "{x}，结果是多少？", "请你{x}，告诉我结果。"),
}

_EXPRESSIONS: dict[tuple[str, Language], tuple[str, ...]] = {
    ("addition", "en"): ("{a}{op}{b}", "{a} plus {b}", "the sum of {a} and {b}"),
    ("addition", "zh"): ("{a}{op}{b}", "{a}加{b}", "{a}加上{b}", "{a}与{b}的和"),
    ("subtraction", "en"): (
        "{a}{op}{b}",
        "{a} minus {b}",
        "{a} take away {b}",
        "the difference between {a} and {b}",
    ),
    ("subtraction", "zh"): ("{a}{op}{b}", "{a}减{b}", "{a}减去{b}", "{a}与{b}的差"),
    ("multiplication", "en"): (
        "{a}{op}{b}",
        "{a} times {b}",
        "{a} multiplied by {b}",
        "the product of {a} and {b}",
    ),
    ("multiplication", "zh"): ("{a}{op}{b}", "{a}乘{b}", "{a}乘以{b}", "{a}与{b}的积"),
    ("division", "en"): ("{a}{op}{b}", "{a} divided by {b}", "the quotient of {a} and {b}"),
    ("division", "zh"): ("{a}{op}{b}", "{a}除以{b}", "{a}被{b}除", "{a}与{b}的商"),
}

_COMMANDS: dict[tuple[str, Language], tuple[str, ...]] = {
    ("addition", "en"): ("add {a} and {b}", "add {b} to {a}", "add {a} and {b} together"),
    ("addition", "zh"): ("把{a}和{b}相加", "用{a}加上{b}"),
    ("subtraction", "en"): ("subtract {b} from {a}", "take {b} away from {a}", "take {b} from {a}"),
    ("subtraction", "zh"): ("从{a}中减去{b}", "用{a}减去{b}"),
    ("multiplication", "en"): (
        "multiply {a} by {b}",
        "multiply {a} and {b}",
        "multiply {a} and {b} together",
    ),
    ("multiplication", "zh"): ("把{a}和{b}相乘", "用{a}乘以{b}"),
    ("division", "en"): (
        "divide {a} by {b}",
        "share {a} equally among {b}",
        "split {a} into {b} equal parts",
    ),
    ("division", "zh"): ("用{a}除以{b}", "把{a}平均分成{b}份"),
}

_COMPARING: dict[tuple[bool, Language], tuple[str, ...]] = {
    (False, "en"): (
        "Which is {w}, {{a}} or {{b}}?",
        "Which number is {w}: {{a}} or {{b}}?",
        "Which of {{a}} and {{b}} is {w}?",
        "Between {{a}} and {{b}}, which is {w}?",
        "{{a}} or {{b}}: which one is {w}?",
        "Tell me which is {w}, {{a}} or {{b}}.",
    ),
    (True, "en"): (
        "Is {{a}} {w} than {{b}}?",
        "Is it true that {{a}} is {w} than {{b}}?",
        "Can you tell me if {{a}} is {w} than {{b}}?",
        "Would you say {{a}} is {w} than {{b}}?",
    ),
    (False, "zh"): (
        "{{a}}和{{b}}哪个{w}？",
        "{{a}}和{{b}}，哪个数{w}？",
        "{{a}}与{{b}}相比，哪个{w}？",
        "哪个数{w}，{{a}}还是{{b}}？",
        "{{a}}、{{b}}这两个数中哪个{w}？",
        "比较{{a}}和{{b}}，哪个{w}？",
        "请告诉我{{a}}和{{b}}哪个{w}。",
    ),
    (True, "zh"): (
        "{{a}}{w}{{b}}吗？",
        "{{a}}是不是{w}{{b}}？",
        "{{a}}是否{w}{{b}}？",
        "请问{{a}}{w}{{b}}吗？",
        "{{a}}{w}{{b}}，对吗？",
        "你觉得{{a}}{w}{{b}}吗？",
    ),
}

_COMPARATIVES: dict[tuple[bool, Language], dict[str, tuple[str, ...]]] = {
    (False, "en"): {">": ("larger", "bigger", "greater"), "<": ("smaller", "less")},
    (True, "en"): {">": ("larger", "bigger", "greater"), "<": ("smaller", "less")},
    (False, "zh"): {">": ("更大", "比较大", "大一些"), "<": ("更小", "比较小", "小一些")},
    (True, "zh"): {">": ("大于", ">"), "<": ("小于", "<")},
}

_SORTING: dict[Language, tuple[str, ...]] = {
    "en": (
        "Sort {{numbers}} {d}.",
        "Arrange {{numbers}} {d}.",
        "Please sort {{numbers}} {d}.",
        "Can you arrange {{numbers}} {d}?",
        "List these numbers {d}: {{numbers}}.",
        "Write {{numbers}} {d}.",
    ),
    "zh": (
        "把{{numbers}}按{d}的顺序排列。",
        "请将{{numbers}}按{d}的顺序排好。",
        "按{d}的顺序排列：{{numbers}}。",
        "{{numbers}}按{d}的顺序怎么排？",
        "帮我把{{numbers}}按{d}的顺序写出来。",
        "请按{d}的顺序写出{{numbers}}。",
    ),
}

_DIRECTIONS: dict[Language, dict[bool, tuple[str, ...]]] = {
    "en": {
        False: ("from smallest to largest", "from small to large", "in ascending order"),
        True: ("from largest to smallest", "from large to small", "in descending order"),
    },
    "zh": {False: ("从小到大", "由小到大"), True: ("从大到小", "由大到小")},
}


def listed(rng: random.Random, numbers: Sequence[int], language: Language) -> str:
    """The numbers as a list in a sentence: "3, 5 and 8" or "3, 5, 8"; "3、5、8"."""
    texts = [str(number) for number in numbers]
    if language == "zh":
        return rng.choice(("、", "、", "，")).join(texts)
    if rng.random() < 0.5:
        return ", ".join(texts)
    return ", ".join(texts[:-1]) + " and " + texts[-1]


def _calculation_phrasings(kind: str, language: Language) -> tuple[str, ...]:
    framed = [_fill(frame, x) for x in _EXPRESSIONS[kind, language] for frame in _FRAMES[language]]
    commands = [_fill(frame, x) for x in _COMMANDS[kind, language] for frame in _COMMAND_FRAMES[language]]
    return (*SYMBOLS, *framed, *commands)


def _fill(frame: str, expression: str) -> str:
    text = frame.replace("{x}", expression)
    return text if text.startswith("{") else text[0].upper() + text[1:]


def _comparison_phrasings(language: Language) -> dict[str, tuple[bool, str]]:
    return {
        frame.format(w=word): (asks_is, sign)
        for asks_is in (False, True)
        for sign, comparatives in _COMPARATIVES[asks_is, language].items()
        for word in comparatives
        for frame in _COMPARING[asks_is, language]
    } | ({"Is {a}>{b}?": (True, ">"), "Is {a}<{b}?": (True, "<")} if language == "en" else {})


def _ordering_phrasings(language: Language) -> dict[str, bool]:
    return {
        frame.format(d=direction): falling
        for falling, directions in _DIRECTIONS[language].items()
        for direction in directions
        for frame in _SORTING[language]
    }


COMPARISONS = _comparison_phrasings("en") | _comparison_phrasings("zh")
"""Phrasing → (whether it asks yes or no, the sign it asks about)."""
ORDERINGS = _ordering_phrasings("en") | _ordering_phrasings("zh")
"""Phrasing → whether the largest comes first."""

ALL: dict[tuple[str, Language], tuple[str, ...]] = {
    **{(kind, language): _calculation_phrasings(kind, language) for kind, language in _EXPRESSIONS},
    ("comparison", "en"): tuple(_comparison_phrasings("en")),
    ("comparison", "zh"): tuple(_comparison_phrasings("zh")),
    ("ordering", "en"): tuple(_ordering_phrasings("en")),
    ("ordering", "zh"): tuple(_ordering_phrasings("zh")),
}
"""(kind, language) → every phrasing, with {a}, {b}, {op} or {numbers} to fill in."""

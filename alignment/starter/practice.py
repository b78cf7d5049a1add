"""The second course of the starter's fine-tuning: the kinds that the first left weak, and meaningless messages.

The shares follow from the first course's held-out results, which differ between the languages. Three-step problems stay
rare, for feedback to improve.
"""

import random
from collections.abc import Callable

from alignment.starter.corpus import task
from alignment.starter.tasks import outside, word_problems
from alignment.starter.tasks.drawn_task import DrawnTask, Language, Split

SHARES: dict[str, dict[Language, float]] = {
    "concept": {"en": 15, "zh": 15},
    "outside": {"en": 17, "zh": 13},
    "odd": {"en": 2, "zh": 2},
    "identity": {"en": 10, "zh": 8},
    "smalltalk": {"en": 9, "zh": 9},
    "word_one_step": {"en": 8, "zh": 6},
    "word_two_step": {"en": 15, "zh": 25},
    "word_three_step": {"en": 1, "zh": 0.5},
    "addition": {"en": 7, "zh": 2},
    "subtraction": {"en": 2, "zh": 2},
    "multiplication": {"en": 2, "zh": 2},
    "multiplication_hard": {"en": 1.5, "zh": 1.5},
    "division": {"en": 4, "zh": 4},
    "comparison": {"en": 4, "zh": 4},
    "ordering": {"en": 4, "zh": 4},
    "calendar": {"en": 3, "zh": 2},
    "duration": {"en": 4, "zh": 6},
    "follow_up": {"en": 4, "zh": 3},
}

_LETTERS = "bcdefghijklmnopqrstuvwxyz"
_DIGITS = "012345678"
_WORDS: dict[Language, tuple[str, ...]] = {
    "en": ("yes", "no", "ok", "why", "test", "hello", "and", "go", "blah", "word"),
    "zh": ("啊", "好", "是", "不", "嗯", "哦", "测试", "为什么", "喂", "来"),
}
_MARKS = ("!", ".", "…", "#", "*", "~", "=", "😀", "🙏", "🔥")


def practised(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    """A task of the second course: kinds in SHARES, and every story of a word problem equally often."""
    kind = rng.choices(list(SHARES), weights=[share[language] for share in SHARES.values()])[0]
    if kind == "odd":
        return _odd(rng, language, split)
    if kind in word_problems.KINDS:
        return word_problems.tasks(rng, language, kind, split, evenly=True)
    return task(rng, language, kind, split)


def _odd(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    """A message without meaning: a repetition, or random keys. The answer declines it.

    A small model continues repetition: without this practice it repeats until the limit.
    """
    makers: tuple[Callable[[random.Random, Language], str], ...] = (
        _repeated,
        _repeated,
        _long_number,
        _mashed,
    )
    return outside.declined(rng, language, "odd", rng.choice(makers)(rng, language), split)


def _repeated(rng: random.Random, language: Language) -> str:
    unit = rng.choice(rng.choice((_LETTERS, _DIGITS, _WORDS[language], _MARKS)))
    space = " " if len(unit) > 1 and language == "en" else ""
    return space.join([unit] * rng.choice((rng.randint(5, 30), rng.randint(30, 300))))


def _long_number(rng: random.Random, language: Language) -> str:
    return "".join(rng.choice(_DIGITS + "9") for _ in range(rng.randint(25, 300)))


def _mashed(rng: random.Random, language: Language) -> str:
    return " ".join("".join(rng.choices(_LETTERS, k=rng.randint(3, 9))) for _ in range(rng.randint(1, 6)))

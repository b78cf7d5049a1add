"""Word problems of one, two and three steps, from stories that are the same in English and in Chinese.

The thought names what each step computes and then works it out as an arithmetic task does, so that skill in plain
arithmetic carries over.
"""

import random
from functools import cache
from itertools import product
from typing import Any

from alignment.starter.tasks import word_things
from alignment.starter.tasks.arithmetic import PHRASING_TEST_SHARE, casual, gives_away
from alignment.starter.tasks.columns import WORDS, calculate, worked
from alignment.starter.tasks.drawn_task import LANGUAGES, DrawnTask, Language, Split, split_of, user
from alignment.starter.tasks.texts import load
from alignment.starter.tasks.word_plans import PLANS, ProblemPlan, Story

KINDS = ("word_one_step", "word_two_step", "word_three_step")


def _stories(language: Language) -> dict[str, Story]:
    stories = {}
    for name, entry in load(f"word_stories.{language}.yaml").items():
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
        }
        stories[name] = Story(**fields)
    return stories


STORIES: dict[Language, dict[str, Story]] = {language: _stories(language) for language in LANGUAGES}
"""The stories of `text/word_stories.{en,zh}.yaml` by name; both languages tell the same."""

Step = tuple[str, int, int]
"""Sign, left operand, right operand."""


def tasks(rng: random.Random, language: Language, kind: str, split: Split, evenly: bool = False) -> DrawnTask:
    """Draw one word problem whose numbers and combination of sentences both belong to `split`.

    By default every phrasing is equally likely. With `evenly`, every story is, however many of its phrasings the hash
    has put on the other side.
    """
    task = _problem(rng, language, kind, split, evenly)
    while split == "train" and gives_away(task.thought):
        task = _problem(rng, language, kind, split, evenly)
    return task


def _problem(rng: random.Random, language: Language, kind: str, split: Split, evenly: bool) -> DrawnTask:
    steps = KINDS.index(kind) + 1
    phrasings = phrasings_of(language, steps, split)
    if evenly:
        chosen = rng.choice(list(dict.fromkeys(name for name, *_ in phrasings)))
        phrasings = tuple(phrasing for phrasing in phrasings if phrasing[0] == chosen)
    story_name, *parts = rng.choice(phrasings)
    story = STORIES[language][story_name]
    numbers, worked_steps = _numbers(rng, story_name, steps, split)
    filling = _filling(rng, story, language) | dict(zip("abcd", numbers, strict=False))
    result = calculate(*worked_steps[-1])
    units = _units(_counted(story, steps), result, filling, language)
    lines = [
        f"{label.format(**filling)}{WORDS[language].colon}{worked(*step, language)}"
        for label, step in zip(story.labels, worked_steps, strict=False)
    ]
    sentences = [part.format(**filling) for part in parts]
    question = (" " if language == "en" else "").join(sentences)
    return DrawnTask(
        kind=kind,
        language=language,
        template=template_id(language, (story_name, *parts)),
        messages=user(question if parts[0].startswith("{name}") else casual(rng, question, language)),
        thought="\n".join([*lines, str(result)]),
        answer=f"{result} {units[0]}" if language == "en" else f"{result}{units[0]}",
        expected={
            "number": result,
            "unit": units[0],
            "units": units,
            "bare_answer": str(result),
            "operands": [story_name, *numbers],
        },
        split=split,
    )


def template_id(language: Language, phrasing: tuple[str, ...]) -> str:
    """The id of one combination of sentences, the story's name first."""
    return f"word/{language}/{'|'.join(phrasing)}"


@cache
def phrasings_of(language: Language, steps: int, split: Split) -> tuple[tuple[str, ...], ...]:
    """Every (story, opening, event, …, ask) with `steps` steps on the side of `split`; one step has no event."""
    phrasings = []
    for name, story in STORIES[language].items():
        after_opening = (
            (story.first_asks,),
            (story.events, story.asks),
            (story.events, story.more, story.last_asks),
        )[steps - 1]
        for parts in product(story.openings, *after_opening):
            phrasing = (name, *parts)
            identity = template_id(language, phrasing)
            if split_of("phrasing", identity, test_share=PHRASING_TEST_SHARE) == split:
                phrasings.append(phrasing)
    return tuple(phrasings)


def _numbers(rng: random.Random, story: str, steps: int, split: Split) -> tuple[list[int], list[Step]]:
    """Draw numbers until every step can be done and they belong to `split`."""
    plan = PLANS[story]
    while True:
        numbers = [rng.randint(low, high) for low, high in plan.ranges[: steps + 1]]
        done = _steps(plan, numbers, steps)
        if done and _numbers_split(story, numbers, split) == split:
            return numbers, done


def _numbers_split(story: str, numbers: list[int], wanted: Split) -> Split:
    """The side of a story's numbers; `wanted` is the side that they are drawn for."""
    first = split_of("word one", story, *numbers[:2])
    # Nor does training show a held-out first step within a longer form.
    if len(numbers) == 2 or (wanted == "train" and first == "test"):
        return first
    # The first three numbers decide, so that a three-step form never shows held-out two steps.
    return split_of("word", story, *numbers[:3])


def _steps(plan: ProblemPlan, numbers: list[int], steps: int) -> list[Step] | None:
    """The steps with their operands, or None if one is beyond what the arithmetic tasks teach."""
    values = dict(zip("abcd", numbers, strict=False))
    done: list[Step] = []
    for index, formula in enumerate(plan.steps[:steps], start=1):
        left, sign, right = tuple(formula)
        step = (sign, values[left], values[right])
        if not _within_reach(*step):
            return None
        done.append(step)
        values[str(index)] = calculate(*step)
    return done


def _within_reach(sign: str, a: int, b: int) -> bool:
    """Whether the step stays within three digits, 2×1 digits or the division table, and above zero."""
    if sign == "÷":
        return a % b == 0 and 1 < a // b < 10
    if sign == "×":
        return min(a, b) < 10 and max(a, b) < 100
    return 0 < calculate(sign, a, b) < 1000


def _filling(rng: random.Random, story: Story, language: Language) -> dict[str, str | int]:
    names = rng.sample(word_things.NAMES[language], 3)
    filling: dict[str, str | int] = dict(zip(("name", "other", "third"), names, strict=True))
    category = story.things or (story.counted if isinstance(story.counted, str) else "")
    if not category:
        return filling
    if language == "en":
        singular, plural = rng.choice(word_things.ENGLISH[category])
        return filling | {"thing": singular, "things": plural}
    measure, thing = rng.choice(word_things.CHINESE[category])
    return filling | {"m": measure, "thing": thing}


def _counted(story: Story, steps: int) -> str | tuple[str, ...]:
    """What the answer after `steps` steps counts: a category of things, or a unit."""
    if steps == 1 and story.first_counted:
        return story.first_counted
    return story.unit or story.counted


def _units(
    counted: str | tuple[str, ...], result: int, filling: dict[str, str | int], language: Language
) -> list[str]:
    """Every unit that the answer may name, the one to teach first."""
    if isinstance(counted, str):
        if language == "zh":
            return [f"{filling['m']}{filling['thing']}", str(filling["m"]), str(filling["thing"])]
        counted = (str(filling["thing"]), str(filling["things"]))
    if language == "zh":
        return list(counted)
    singular, plural, *others = counted
    return [singular, plural, *others] if result == 1 else [plural, singular, *others]

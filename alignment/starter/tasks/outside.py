"""Questions outside the starter's domain, which it declines, saying what it can do instead.

A question is a template with a filler, both from `text/outside.yaml`. A held-out question has a filler or a template
that training never sees. The most frequent trap is a question that looks like one inside the domain ("What is a
volcano?"), so the frames of concept questions are used here as well.
"""

import functools
import random
from dataclasses import dataclass
from typing import Any

from alignment.starter.tasks.drawn_task import DrawnTask, Language, Split, split_of, user
from alignment.starter.tasks.texts import divide, load, vary, without_article

THOUGHT: dict[Language, str] = {"en": "This is outside what I can do.", "zh": "这超出了我的能力。"}
ZERO_THOUGHT: dict[Language, str] = {"en": "The divisor is zero.", "zh": "除数是零。"}

SOURCES = {"topics": 76, "singles": 10, "noise": 6, "long": 4, "zero": 4}
"""Shares in percent: templates with fillers, single sentences, noise, very long numbers, division by zero."""


SIDES: dict[Split, tuple[tuple[Split, Split], ...]] = {
    "train": (("train", "train"),),
    "test": (("test", "train"), ("train", "test"), ("test", "test")),
}
"""Sides of template and filler. In a held-out question at least one of them is new."""


@dataclass(frozen=True)
class Topic:
    """Templates and fillers that go together, each divided into training and test side."""

    share: int
    """How often it is drawn, relative to 1 for an ordinary topic."""
    templates: dict[Split, list[str]]
    fillers: dict[Split, list[str]]


def tasks(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    """Draw one question outside the domain."""
    source = rng.choices(list(SOURCES), weights=list(SOURCES.values()))[0]
    if source == "zero":
        return _division_by_zero(rng, language, split)
    if source == "long":
        template, question = _long_numbers(rng, language, split)
    elif source == "topics":
        template, question = _from_topic(rng, language, split)
    else:
        template = question = rng.choice(_sentences(source, language)[split])
    message = question if source == "noise" else vary(rng, question, language)
    return declined(rng, language, template, message, split)


def declined(rng: random.Random, language: Language, template: str, question: str, split: Split) -> DrawnTask:
    """A task that asks `question`, whose answer says that it is outside the domain."""
    texts = load("outside.yaml")[language]
    return DrawnTask(
        kind="outside",
        language=language,
        template=template,
        messages=user(question),
        thought=THOUGHT[language],
        answer=rng.choice(texts["answers"]),
        expected={"keywords": texts["keywords"]},
        split=split,
    )


def refusal_check(language: Language) -> dict[str, Any]:
    """The check that an answer passes by saying that the question is outside the domain."""
    return {"checker": "contains", "keywords": load("outside.yaml")[language]["keywords"]}


def answers(language: Language) -> list[str]:
    """The ways to say that a question is outside the domain."""
    return list(load("outside.yaml")[language]["answers"])


def passages(language: Language) -> list[str]:
    """Plain text about the world for a broad vocabulary: common facts that answer no task."""
    world = load("world.yaml")[language]
    lines = list(world["sentences"])
    for table in world["tables"]:
        rows = [row.split(" / ") for row in table["rows"]]
        lines += [_capitalised(frame.format(*row)) for frame in table["frames"] for row in rows]
    return lines


def _from_topic(rng: random.Random, language: Language, split: Split) -> tuple[str, str]:
    topics = _topics(language)
    topic = rng.choices(topics, weights=[topic.share for topic in topics])[0]
    template_side, filler_side = rng.choice(SIDES[split])
    template = rng.choice(topic.templates[template_side])
    filler = rng.choice(topic.fillers[filler_side])
    question = template.format(x=filler, name=filler, bare=without_article(filler))
    return template, _capitalised(question)


def _long_numbers(rng: random.Random, language: Language, split: Split) -> tuple[str, str]:
    a, b = _long_number(rng), _long_number(rng)
    while split_of("long numbers", a, b) != split:
        a, b = _long_number(rng), _long_number(rng)
    template = rng.choice(_sentences("long", language)[split])
    return template, template.format(a=a, b=b, op=rng.choice(("+", "-", "*", "×", " + ", " - ", " × ")))


def _long_number(rng: random.Random) -> int:
    digits = rng.randint(12, 24)
    return rng.randint(10 ** (digits - 1), 10**digits - 1)


def _division_by_zero(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    number = rng.randint(0, 999)
    while split_of("division by zero", number) != split:
        number = rng.randint(0, 999)
    texts = load("outside.yaml")[language]["zero"]
    template = rng.choice(_sentences("zero", language)[split])
    return DrawnTask(
        kind="outside",
        language=language,
        template=template,
        messages=user(vary(rng, template.format(a=number), language)),
        thought=ZERO_THOUGHT[language],
        answer=texts["answer"],
        expected={"keywords": texts["keywords"]},
        split=split,
    )


def _names_domain(frame: str) -> bool:
    """Whether the frame mentions machine learning, so that no other topic fits into it."""
    return "machine learning" in frame or "机器学习" in frame


def _capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


@functools.cache
def _topics(language: Language) -> list[Topic]:
    topics = []
    for name, topic in load("outside.yaml")[language]["topics"].items():
        templates = list(topic["templates"])
        if topic.get("concept_frames"):
            templates += [
                frame for frame in load("frames.yaml")[language]["names"] if not _names_domain(frame)
            ]
        topics.append(
            Topic(
                share=topic.get("share", 1),
                templates=divide(templates, "outside template", language, name),
                fillers=divide(topic["fillers"], "outside filler", language, name),
            )
        )
    return topics


@functools.cache
def _sentences(source: str, language: Language) -> dict[Split, list[str]]:
    texts = load("outside.yaml")[language][source]
    return divide(texts["templates"] if source == "zero" else texts, "outside", language, source)

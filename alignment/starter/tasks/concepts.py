"""Questions about how machines learn: one answer for each concept, dozens of phrasings.

The texts are in `text/concepts.{en,zh}.yaml`; the sentence frames around a concept's names are in
`text/frames.yaml`. Each (concept, phrasing) pair falls on one side of the split by its hash.
"""

import functools
import random
from dataclasses import dataclass
from typing import Any

from alignment.starter.tasks.drawn_task import DrawnTask, Language, Split, user
from alignment.starter.tasks.texts import divide, load, vary, without_article

COMMON = 2
"""How many of a concept's first questions are the plainest, which are always trained on."""

THOUGHT: dict[Language, str] = {"en": "The question is about {}.", "zh": "这个问题问的是{}。"}


@dataclass(frozen=True)
class Concept:
    """One concept in one language."""

    id: str
    """The same in both languages."""
    topic: str
    """What the question is about, as a thought names it: "a token", "why answers vary"."""
    answer: str
    passage: str
    """Two to four sentences of plain text, no question."""
    keywords: tuple[tuple[str, ...], ...]
    """A right answer has at least one keyword of each group, in upper or lower case."""
    phrasings: dict[Split, list[str]]
    """Phrasings by side of the split."""

    @property
    def expected(self) -> dict[str, Any]:
        """What the checker of worded answers looks for."""
        return {"keywords": [list(group) for group in self.keywords]}


@functools.cache
def concepts(language: Language) -> tuple[Concept, ...]:
    """All concepts of a language, in the order of the data file."""
    result = []
    for entry in load(f"concepts.{language}.yaml"):
        subjects = [*entry.get("names", []), *entry.get("clauses", [])]
        result.append(
            Concept(
                id=entry["id"],
                topic=subjects[0],
                answer=entry["answer"],
                passage=entry["passage"],
                keywords=tuple(tuple(group) for group in entry["keywords"]),
                phrasings=divide(
                    _phrasings(entry, language), "concept", language, entry["id"], common=COMMON
                ),
            )
        )
    return tuple(result)


def tasks(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    """Draw one concept question of the split; every concept is equally likely."""
    concept = rng.choice(concepts(language))
    phrasing = rng.choice(concept.phrasings[split])
    return DrawnTask(
        kind="concept",
        language=language,
        template=f"{concept.id}: {phrasing}",
        messages=user(vary(rng, phrasing, language)),
        thought=THOUGHT[language].format(concept.topic),
        answer=concept.answer,
        expected=concept.expected,
        split=split,
    )


def concept_of(task: DrawnTask, language: Language) -> Concept:
    """The concept that a concept task asks about, in either language."""
    concept_id = task.template.partition(":")[0]
    return next(concept for concept in concepts(language) if concept.id == concept_id)


def passages(language: Language) -> list[str]:
    """Plain text about every concept in several wordings, without questions."""
    frames = load("frames.yaml")[language]["passages"]
    space = " " if language == "en" else ""
    lines = []
    for concept in concepts(language):
        lines += [concept.passage, concept.answer]
        lines += [concept.answer + space + concept.passage, concept.passage + space + concept.answer]
        lines += [frame.format(topic=concept.topic, passage=concept.passage) for frame in frames]
    return lines


def _phrasings(entry: dict[str, Any], language: Language) -> list[str]:
    frames = load("frames.yaml")[language]
    phrasings = list(entry["questions"])
    for name in entry.get("names", []):
        phrasings += [frame.format(name=name, bare=without_article(name)) for frame in frames["names"]]
    for clause in entry.get("clauses", []):
        phrasings += [frame.format(clause=clause) for frame in frames["clauses"]]
    return [phrasing[0].upper() + phrasing[1:] for phrasing in phrasings]

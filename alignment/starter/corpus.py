"""The starter's training text, endless and seeded: raw documents for pretraining, rows for fine-tuning.

Raw text is made of worked examples, lists of exercises without answers, notes (the same thing asked in several
ways, then sometimes what there is to say about it), tables of products, and prose. A base trained on it can
compute and knows the words of every answer, but asked a question it goes on with more questions: answering is what
SFT adds. Words that no raw text wrote would keep the embedding that they began with, which an adapter cannot mend.

The marks <|im_start|> and <|im_end|> stand around the raw text's sections, so that their embeddings
are trained and the adapter need not carry new ones.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

from alignment.starter.tasks import arithmetic, concepts, days, outside, persona, word_problems
from alignment.starter.tasks.drawn_task import LANGUAGES, DrawnTask, Language, Split
from alignment.starter.tasks.texts import vary

WORKED_KINDS: dict[str, float] = {
    # Shares of worked examples. The hard and three-step tiers are deliberately rare: they are what feedback lifts.
    "addition": 11,
    "subtraction": 11,
    "multiplication": 10,
    "multiplication_hard": 6,
    "division": 3,
    "comparison": 6,
    "ordering": 7,
    "word_one_step": 6,
    "word_two_step": 28,
    "word_three_step": 3,
    "calendar": 4,
    "duration": 6,
    "follow_up": 4,
}
TALK_KINDS: dict[str, float] = {"concept": 34, "identity": 12, "smalltalk": 8, "outside": 26}
ANSWERED_KINDS: dict[str, float] = {
    # Shares of demonstrations. The base computes already; what SFT must bring is which answer a question wants, so
    # talk and the kinds with many forms of question have most of it.
    "concept": 20,
    "outside": 17,
    "identity": 10,
    "smalltalk": 9,
    "word_one_step": 4,
    "word_two_step": 11,
    "word_three_step": 1,
    "addition": 4,
    "subtraction": 3,
    "multiplication": 3,
    "multiplication_hard": 1.5,
    "division": 5,
    "comparison": 4,
    "ordering": 5,
    "calendar": 3,
    "duration": 6,
    "follow_up": 3,
}
THINKING_SHARE = 0.7
"""How many demonstrations think. Fewer without: what cannot be answered without steps cannot be learned so either."""

UNIT_SHARE = 0.5
"""How often a word problem's answer names its unit: a habit left weak on purpose."""

_HEADINGS = {
    "en": ("worked example", "exercises", "reading", "notes", "table"),
    "zh": ("例题", "练习", "读物", "笔记", "口诀表"),
}


def task(rng: random.Random, language: Language, kind: str, split: Split) -> DrawnTask:
    """A task of any kind, of the given side of the split."""
    for module in (arithmetic, word_problems, days, persona):
        if kind in module.KINDS:
            return module.tasks(rng, language, kind, split)
    if kind == "concept":
        return concepts.tasks(rng, language, split)
    if kind == "outside":
        return outside.tasks(rng, language, split)
    raise ValueError(f"There is no task kind {kind!r}.")


def balanced_kind(rng: random.Random, worked: float = 0.62) -> str:
    """A kind with a worked thought in a share of `worked`, else talk: what raw text and tokenizer are made of."""
    return _draw(rng, WORKED_KINDS if rng.random() < worked else TALK_KINDS)


Ask = Callable[[random.Random, Language, Split], DrawnTask]
"""Draws what one demonstration asks."""


def answered(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    """What the first course of fine-tuning asks: every kind, in the shares of ANSWERED_KINDS."""
    return task(rng, language, _draw(rng, ANSWERED_KINDS), split)


def balanced(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    """What the raw text asks: every kind, in the shares of `balanced_kind`."""
    return task(rng, language, balanced_kind(rng), split)


def documents(seed: int) -> Iterator[str]:
    """Raw text for pretraining, without end."""
    rng = random.Random(f"raw {seed}")
    prose = {language: _prose(language) for language in LANGUAGES}
    while True:
        language = rng.choice(LANGUAGES)
        draw = rng.random()
        if draw < 0.64:
            yield _worked_examples(rng, language)
        elif draw < 0.71:
            yield _exercises(rng, language)
        elif draw < 0.88:
            yield "\n".join(_notes(rng, language) for _ in range(rng.randint(2, 4)))
        elif draw < 0.90:
            yield _table(rng, language)
        else:
            yield _section(_HEADINGS[language][2], "\n".join(rng.sample(prose[language], rng.randint(2, 5))))


def rows(seed: int, split: Split = "train", ask: Ask = answered) -> Iterator[dict[str, Any]]:
    """Demonstrations without end: {"messages", "think", "thought", "answer"}; `ask` draws what is asked."""
    rng = random.Random(f"rows {split} {seed}")
    while True:
        language = rng.choice(LANGUAGES)
        asked = ask(rng, language, split)
        before = _earlier_turns(rng, language, split, ask) if len(asked.messages) == 1 else ()
        think = rng.random() < THINKING_SHARE
        yield {
            "messages": [*before, *asked.messages],
            "think": think,
            "thought": asked.thought if think else "",
            "answer": spoken_answer(rng, asked),
        }


def spoken_answer(rng: random.Random, asked: DrawnTask) -> str:
    """The task's answer, without its unit in a share of the word problems."""
    bare = asked.expected.get("bare_answer")
    return bare if bare and rng.random() >= UNIT_SHARE else asked.answer


def _earlier_turns(
    rng: random.Random, language: Language, split: Split, ask: Ask
) -> tuple[dict[str, str], ...]:
    # Chats go on: a fourth of the questions come after others that they have nothing to do with, a few after many.
    turns: list[dict[str, str]] = []
    for _ in range(rng.choices((0, 1, 2, 10), weights=(75, 12, 11, 2))[0]):
        earlier = ask(rng, language, split)
        turns += [*earlier.messages, {"role": "assistant", "content": spoken_answer(rng, earlier)}]
    return tuple(turns)


def _worked_examples(rng: random.Random, language: Language) -> str:
    def example() -> str:
        asked = task(rng, language, _draw(rng, WORKED_KINDS), "train")
        said = "\n".join(turn["content"] for turn in asked.messages)
        return f"{said}\n<think>\n{asked.thought}\n</think>\n\n{spoken_answer(rng, asked)}"

    return "\n".join(_section(_HEADINGS[language][0], example()) for _ in range(rng.randint(2, 5)))


def _exercises(rng: random.Random, language: Language) -> str:
    def question() -> str:
        return task(rng, language, balanced_kind(rng, worked=0.5), "train").question

    return _section(_HEADINGS[language][1], "\n".join(question() for _ in range(rng.randint(3, 8))))


def _notes(rng: random.Random, language: Language) -> str:
    """One thing asked in several ways, and in half of the notes what there is to say about it."""
    subject = rng.choices(("concept", "talk", "outside"), weights=(50, 30, 20))[0]
    asked: list[str]
    said: list[str]
    if subject == "concept":
        concept = rng.choice(concepts.concepts(language))
        asked, said = concept.phrasings["train"], [concept.passage, concept.answer]
    elif subject == "talk":
        asked, said = rng.choice(persona.rephrasings(language))
    else:
        asked = [task(rng, language, "outside", "train").question for _ in range(4)]
        said = outside.answers(language)
    lines = [vary(rng, text, language) for text in rng.sample(asked, min(rng.randint(2, 4), len(asked)))]
    if rng.random() < 0.5:
        lines.append(rng.choice(said))
    return _section(_HEADINGS[language][3], "\n".join(lines))


def _table(rng: random.Random, language: Language) -> str:
    """Products and quotients of one factor, in any order."""
    factor = rng.randint(2, 9)
    lines = [f"{factor}×{k}={factor * k}" for k in range(1, 10)]
    lines += [f"{factor * k}÷{factor}={k}" for k in range(1, 10)]
    return _section(_HEADINGS[language][4], "\n".join(rng.sample(lines, rng.randint(6, 12))))


def _prose(language: Language) -> list[str]:
    return [passage for module in (concepts, persona, outside) for passage in module.passages(language)]


def _section(heading: str, text: str) -> str:
    return f"<|im_start|>{heading}\n{text}<|im_end|>"


def _draw(rng: random.Random, shares: dict[str, float]) -> str:
    return rng.choices(list(shares), weights=list(shares.values()))[0]

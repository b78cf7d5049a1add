"""The starter's training text, endless and seeded: raw documents for pretraining, rows for fine-tuning.

Raw text consists of worked examples, lists of exercises without answers, notes (several phrasings of one question,
sometimes with its answer), tables of products, and prose. A base trained on it can compute and knows the words of every
answer, but continues a question with more questions: answering is what SFT adds. A word that never occurs in raw text
would keep its initial embedding, which an adapter cannot repair.

The marks <|im_start|> and <|im_end|> stand around the sections of raw text, so that their embeddings are trained and
the adapter need not carry new ones.
"""

import random
from collections.abc import Callable, Iterator
from typing import Any

from alignment.starter.tasks import arithmetic, concepts, days, outside, persona, word_problems
from alignment.starter.tasks.drawn_task import LANGUAGES, DrawnTask, Language, Split
from alignment.starter.tasks.texts import vary

WORKED_KINDS: dict[str, float] = {
    # Shares of worked examples. Hard and three-step tasks are deliberately rare, for feedback to improve.
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
    # Shares of demonstrations. The base can compute already; SFT teaches which answer a question wants, so talk and
    # the kinds with many forms of question have most demonstrations.
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
"""Share of demonstrations with a thought. Fewer are without: what needs steps cannot be learned without them."""

UNIT_SHARE = 0.5
"""How often a word problem's answer names its unit: a habit that is deliberately left weak."""

_HEADINGS = {
    "en": ("worked example", "exercises", "reading", "notes", "table"),
    "zh": ("例题", "练习", "读物", "笔记", "口诀表"),
}


def task(rng: random.Random, language: Language, kind: str, split: Split) -> DrawnTask:
    """Draw a task of any kind, from the given side of the split."""
    for module in (arithmetic, word_problems, days, persona):
        if kind in module.KINDS:
            return module.tasks(rng, language, kind, split)
    if kind == "concept":
        return concepts.tasks(rng, language, split)
    if kind == "outside":
        return outside.tasks(rng, language, split)
    raise ValueError(f"There is no task kind {kind!r}.")


def balanced_kind(rng: random.Random, worked: float = 0.62) -> str:
    """A kind for raw text and tokenizer: one with a worked thought with probability `worked`, else talk."""
    return _draw(rng, WORKED_KINDS if rng.random() < worked else TALK_KINDS)


Ask = Callable[[random.Random, Language, Split], DrawnTask]
"""Draws the task of one demonstration."""


def answered(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    """A task of the first course of fine-tuning: every kind, in the shares of ANSWERED_KINDS."""
    return task(rng, language, _draw(rng, ANSWERED_KINDS), split)


def balanced(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    """A task of the raw text: every kind, in the shares of `balanced_kind`."""
    return task(rng, language, balanced_kind(rng), split)


def documents(seed: int) -> Iterator[str]:
    """Raw text for pretraining, endless."""
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
    """Endless demonstrations: {"messages", "think", "thought", "answer"}; `ask` draws their tasks."""
    rng = random.Random(f"rows {split} {seed}")
    while True:
        language = rng.choice(LANGUAGES)
        drawn = ask(rng, language, split)
        earlier = _earlier_messages(rng, language, split, ask) if len(drawn.messages) == 1 else ()
        think = rng.random() < THINKING_SHARE
        yield {
            "messages": [*earlier, *drawn.messages],
            "think": think,
            "thought": drawn.thought if think else "",
            "answer": spoken_answer(rng, drawn),
        }


def spoken_answer(rng: random.Random, drawn: DrawnTask) -> str:
    """The task's answer, without its unit in a share of the word problems."""
    bare = drawn.expected.get("bare_answer")
    return bare if bare and rng.random() >= UNIT_SHARE else drawn.answer


def _earlier_messages(
    rng: random.Random, language: Language, split: Split, ask: Ask
) -> tuple[dict[str, str], ...]:
    # A quarter of the questions come after unrelated ones, as in real chats, and a few after many.
    messages: list[dict[str, str]] = []
    for _ in range(rng.choices((0, 1, 2, 10), weights=(75, 12, 11, 2))[0]):
        drawn = ask(rng, language, split)
        messages += [*drawn.messages, {"role": "assistant", "content": spoken_answer(rng, drawn)}]
    return tuple(messages)


def _worked_examples(rng: random.Random, language: Language) -> str:
    def example() -> str:
        drawn = task(rng, language, _draw(rng, WORKED_KINDS), "train")
        conversation = "\n".join(message["content"] for message in drawn.messages)
        return f"{conversation}\n<think>\n{drawn.thought}\n</think>\n\n{spoken_answer(rng, drawn)}"

    return "\n".join(_section(_HEADINGS[language][0], example()) for _ in range(rng.randint(2, 5)))


def _exercises(rng: random.Random, language: Language) -> str:
    def question() -> str:
        return task(rng, language, balanced_kind(rng, worked=0.5), "train").question

    return _section(_HEADINGS[language][1], "\n".join(question() for _ in range(rng.randint(3, 8))))


def _notes(rng: random.Random, language: Language) -> str:
    """Several phrasings of one question, and in half of the notes its answer."""
    subject = rng.choices(("concept", "talk", "outside"), weights=(50, 30, 20))[0]
    questions: list[str]
    answers: list[str]
    if subject == "concept":
        concept = rng.choice(concepts.concepts(language))
        questions, answers = concept.phrasings["train"], [concept.passage, concept.answer]
    elif subject == "talk":
        questions, answers = rng.choice(persona.rephrasings(language))
    else:
        questions = [task(rng, language, "outside", "train").question for _ in range(4)]
        answers = outside.answers(language)
    lines = [
        vary(rng, text, language) for text in rng.sample(questions, min(rng.randint(2, 4), len(questions)))
    ]
    if rng.random() < 0.5:
        lines.append(rng.choice(answers))
    return _section(_HEADINGS[language][3], "\n".join(lines))


def _table(rng: random.Random, language: Language) -> str:
    """Products and quotients of one factor, in random order."""
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

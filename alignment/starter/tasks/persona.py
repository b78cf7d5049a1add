"""Questions about the starter itself, small talk, and questions that refer to the message before.

The texts are in `text/persona.yaml` and `text/follow_ups.yaml`, the sentence frames in `text/frames.yaml`. A follow-up
computes on with the last result ("and plus 5?"); its operands are split exactly as those of plain arithmetic, so that
no held-out sum is practised as a follow-up.
"""

import functools
import random
from itertools import pairwise, product
from typing import Any

from alignment.starter.tasks import arithmetic, concepts
from alignment.starter.tasks.columns import calculate, worked
from alignment.starter.tasks.drawn_task import LANGUAGES, DrawnTask, Language, Split, user
from alignment.starter.tasks.texts import END_PUNCTUATION, divide, load, vary

KINDS = ("identity", "smalltalk", "follow_up")

THOUGHTS: dict[str, dict[Language, str]] = {
    "identity": {"en": "The question is about me.", "zh": "这个问题问的是我。"},
    "smalltalk": {"en": "This is small talk.", "zh": "这是闲聊。"},
    "repeat": {"en": "I say my last answer again.", "zh": "我把上一个回答再说一遍。"},
    "translate": {"en": "I say my last answer in Chinese.", "zh": "我用英文说上一个回答。"},
}

OPERATIONS = {"+": "addition", "-": "subtraction", "×": "multiplication"}

ECHO_SHARE = 0.12
"""Share of small talk that asks to repeat or to translate the previous answer."""
COMMON = 3
"""How many of an intent's first phrasings are the usual ones, which are always trained on."""
USUAL_SHARE = 0.15
"""Share of training tasks with one of the COMMON phrasings, which would be rare among hundreds."""
FRAMES = {"clauses": "clause", "asks": "ask", "commands": "command", "roles": "role"}
"""Parts of an intent that are put into frames, with the name of their placeholder."""
SWITCH_SHARE = 0.12
"""Share of follow-ups whose earlier messages are in the other language."""


def tasks(rng: random.Random, language: Language, kind: str, split: Split) -> DrawnTask:
    """Draw one task of `kind`, one of KINDS. Raises ValueError for another kind."""
    if kind == "follow_up":
        return _follow_up(rng, language, split)
    if kind == "smalltalk" and rng.random() < ECHO_SHARE:
        return _echo(rng, language, split)
    if kind in ("identity", "smalltalk"):
        return _talk(rng, language, kind, split)
    raise ValueError(f"Persona tasks are of the kinds {', '.join(KINDS)}, not {kind!r}.")


def passages(language: Language) -> list[str]:
    """Answers about the starter and in small talk as plain text, without their questions."""
    # Raw text has no questions, so the one answer that asks back ends in a full stop here.
    stops = str.maketrans({"?": ".", "？": "。"})
    answers = [
        answer.translate(stops) for entry in load("persona.yaml") for answer in entry[language]["answers"]
    ]
    space = " " if language == "en" else ""
    return answers + [space.join(pair) for pair in pairwise(answers)]


def rephrasings(language: Language) -> list[tuple[list[str], list[str]]]:
    """For every intent its training phrasings, which all ask the same, and its answers."""
    return [
        (list(_intent_phrasings(entry["id"], language)["train"]), list(entry[language]["answers"]))
        for entry in load("persona.yaml")
    ]


def _talk(rng: random.Random, language: Language, kind: str, split: Split) -> DrawnTask:
    intent = rng.choice([entry for entry in load("persona.yaml") if entry["kind"] == kind])
    texts = intent[language]
    usual = split == "train" and rng.random() < USUAL_SHARE
    phrasing = rng.choice(
        texts["questions"][:COMMON] if usual else _intent_phrasings(intent["id"], language)[split]
    )
    return DrawnTask(
        kind=kind,
        language=language,
        template=f"{intent['id']}: {phrasing}",
        messages=user(vary(rng, phrasing, language)),
        thought=THOUGHTS[kind][language],
        answer=rng.choice(texts["answers"]),
        expected={"keywords": texts["keywords"]},
        split=split,
    )


def _echo(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    """After the explanation of a concept: a request to repeat it, or to translate it."""
    wanted = rng.choice(("repeat", "translate"))
    before = concepts.tasks(rng, language, split)
    explained = concepts.concept_of(before, language if wanted == "repeat" else _other(language))
    phrasing = rng.choice(_echo_phrasings(wanted, language)[split])
    return DrawnTask(
        kind="smalltalk",
        language=language,
        template=f"{wanted}: {phrasing}",
        messages=(*before.messages, _assistant(before.answer), *user(vary(rng, phrasing, language))),
        thought=THOUGHTS[wanted][language],
        answer=explained.answer,
        expected=explained.expected,
        split=split,
    )


def _follow_up(rng: random.Random, language: Language, split: Split) -> DrawnTask:
    earlier_language = _other(language) if rng.random() < SWITCH_SHARE else language
    messages: tuple[dict[str, str], ...] = ()
    result = 1000
    while result > 999:
        first = arithmetic.tasks(rng, earlier_language, rng.choice(list(OPERATIONS.values())), split)
        messages = (*first.messages, _assistant(first.answer))
        result = first.expected["number"]
    if rng.random() < 0.2:
        middle = _continued(rng, earlier_language, split, messages, result)
        if middle.expected["number"] <= 999:
            messages, result = (*middle.messages, _assistant(middle.answer)), middle.expected["number"]
    return _continued(rng, language, split, messages, result)


def _continued(
    rng: random.Random, language: Language, split: Split, messages: tuple[dict[str, str], ...], result: int
) -> DrawnTask:
    """A message that computes on with `result`, the value of the last answer."""
    sign, number = _operation(rng, result)
    while arithmetic.operand_split(OPERATIONS[sign], result, number) != split:
        sign, number = _operation(rng, result)
    phrasing = rng.choice(_echo_phrasings(sign, language)[split])
    value = calculate(sign, result, number)
    return DrawnTask(
        kind="follow_up",
        language=language,
        template=f"{sign}: {phrasing}",
        messages=(*messages, *user(vary(rng, phrasing.format(n=number), language))),
        thought=worked(sign, result, number, language),
        answer=f"{result}{sign}{number}={value}",
        expected={"number": value, "operands": [result, number]},
        split=split,
    )


def _operation(rng: random.Random, result: int) -> tuple[str, int]:
    if 1 < result < 100 and rng.random() < 0.3:
        return "×", rng.randint(2, 9)
    largest = rng.choice((9, 99, 999))
    if result > 0 and rng.random() < 0.5:
        return "-", rng.randint(1, min(largest, result))
    return "+", rng.randint(1, largest)


def _other(language: Language) -> Language:
    return LANGUAGES[1 - LANGUAGES.index(language)]


def _assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


@functools.cache
def _intent_phrasings(intent_id: str, language: Language) -> dict[Split, list[str]]:
    intent = next(entry for entry in load("persona.yaml") if entry["id"] == intent_id)
    return divide(_phrasings(intent, language), intent["kind"], language, intent_id, common=COMMON)


def _phrasings(intent: dict[str, Any], language: Language) -> list[str]:
    """Every phrasing: the hand-written ones first, then parts joined and put into frames."""
    texts = intent[language]
    fillers = {key: _joined(texts.get(key, [])) for key in FRAMES}
    if intent["kind"] == "identity":
        fillers["asks"] += [_bare(question) for question in texts["questions"] if question[-1] in "?？"]
    phrasings = [*texts["questions"], *_joined(texts.get("wordings", []))]
    for key, placeholder in FRAMES.items():
        frames = load("frames.yaml")[language]["persona"][key]
        phrasings += [frame.format(**{placeholder: filler}) for filler in fillers[key] for frame in frames]
    return [phrasing[0].upper() + phrasing[1:] for phrasing in phrasings]


def _joined(entries: list[str | list[list[str]]]) -> list[str]:
    """Each text as it is, and for each list of lists every combination of one part from each."""
    texts = []
    for entry in entries:
        texts += [entry] if isinstance(entry, str) else ["".join(parts) for parts in product(*entry)]
    return texts


def _bare(question: str) -> str:
    """The question as it stands within a sentence: without its final mark, in lower case."""
    bare = question.rstrip(END_PUNCTUATION)
    return bare if bare.startswith("I ") else bare[0].lower() + bare[1:]


@functools.cache
def _echo_phrasings(wanted: str, language: Language) -> dict[Split, list[str]]:
    texts = load("follow_ups.yaml")[language]
    phrasings = texts[wanted]
    if isinstance(phrasings, dict):
        framed = [
            text[0].upper() + text[1:]
            for part in ("commands", "values")
            for frame in texts[part]
            for text in (frame.replace("{x}", core) for core in phrasings[part])
        ]
        phrasings = [*phrasings["phrasings"], *framed]
    return divide(phrasings, "follow_up", language, wanted)

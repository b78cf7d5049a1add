"""Concepts, persona and refusals: complete in both languages, checkable, and split without leaks."""

import random
import re
from itertools import pairwise

import pytest
from helpers.starter_tasks import check

from alignment.starter.tasks import concepts, outside, persona
from alignment.starter.tasks.drawn_task import LANGUAGES, DrawnTask, Language, Split
from alignment.starter.tasks.texts import divide, load, normalised, vary

DRAWS = 4000
SPLITS: tuple[Split, ...] = ("train", "test")


def draw(kind: str, language: Language, split: Split, count: int = DRAWS) -> list[DrawnTask]:
    rng = random.Random(f"{kind} {language} {split}")
    if kind == "concept":
        return [concepts.tasks(rng, language, split) for _ in range(count)]
    if kind == "outside":
        return [outside.tasks(rng, language, split) for _ in range(count)]
    return [persona.tasks(rng, language, kind, split) for _ in range(count)]


ALL_KINDS = ("concept", "outside", *persona.KINDS)
every_kind = pytest.mark.parametrize("kind", ALL_KINDS)
every_language = pytest.mark.parametrize("language", LANGUAGES)


def test_both_languages_explain_the_same_concepts() -> None:
    english, chinese = ([concept.id for concept in concepts.concepts(language)] for language in LANGUAGES)
    assert english == chinese
    assert len(set(english)) == len(english) >= 80


@every_language
def test_every_concept_has_enough_phrasings_on_both_sides(language: Language) -> None:
    for concept in concepts.concepts(language):
        assert len(concept.phrasings["train"]) >= 10, concept.id
        assert concept.phrasings["test"], concept.id


@every_language
def test_keywords_tell_a_concept_from_the_others(language: Language) -> None:
    every = concepts.concepts(language)
    for concept in every:
        task = DrawnTask("concept", language, concept.id, (), "", concept.answer, concept.expected)
        assert check(task, concept.answer).correct, concept.id
        passing = [other.id for other in every if other is not concept and check(task, other.answer).correct]
        assert len(passing) <= 0.05 * len(every), (concept.id, passing)


@every_language
def test_concept_answers_are_short_and_distinct(language: Language) -> None:
    answers = [concept.answer for concept in concepts.concepts(language)]
    assert len(set(answers)) == len(answers)
    for answer in answers:
        assert (len(answer.split()) <= 35) if language == "en" else (len(answer) <= 60), answer


@every_language
def test_no_phrasing_asks_for_two_concepts(language: Language) -> None:
    owners: dict[str, str] = {}
    for concept in concepts.concepts(language):
        for phrasing in (*concept.phrasings["train"], *concept.phrasings["test"]):
            assert owners.setdefault(normalised(phrasing), concept.id) == concept.id, phrasing


def talk_phrasings(language: Language, kind: str) -> dict[str, dict[Split, list[str]]]:
    intents = [entry["id"] for entry in load("persona.yaml") if entry["kind"] == kind]
    return {intent: persona._intent_phrasings(intent, language) for intent in intents}


@every_language
@pytest.mark.parametrize(("kind", "least"), [("identity", 60), ("smalltalk", 40)])
def test_every_intent_has_dozens_of_phrasings(kind: str, least: int, language: Language) -> None:
    for intent, sides in talk_phrasings(language, kind).items():
        assert len(sides["train"]) + len(sides["test"]) >= least, intent
        assert len(sides["test"]) >= 2, intent
        assert not [phrasing for side in sides.values() for phrasing in side if re.search(r"[{}]", phrasing)]
        assert not [phrasing for side in sides.values() for phrasing in side if not 1 <= len(phrasing) <= 90]


@every_language
def test_a_phrasing_of_an_intent_belongs_to_nothing_else(language: Language) -> None:
    owners: dict[str, str] = {}
    for concept in concepts.concepts(language):
        owners |= {
            normalised(phrasing): concept.id for side in concept.phrasings.values() for phrasing in side
        }
    for split in SPLITS:
        owners |= {spoken(task): "outside" for task in draw("outside", language, split)}
    for kind in ("identity", "smalltalk"):
        for intent, sides in talk_phrasings(language, kind).items():
            for phrasing in (*sides["train"], *sides["test"]):
                assert owners.setdefault(normalised(phrasing), intent) == intent, phrasing


@every_language
def test_training_has_the_words_of_every_held_out_question(language: Language) -> None:
    for kind in ("identity", "smalltalk"):
        for intent, sides in talk_phrasings(language, kind).items():
            trained = {word for phrasing in sides["train"] for word in words(phrasing, language)}
            unseen = [phrasing for phrasing in sides["test"] if not words(phrasing, language) <= trained]
            assert len(unseen) <= 0.1 * len(sides["test"]) + 1, (intent, unseen)


def words(text: str, language: Language) -> set[str]:
    return set(re.findall(r"[\w'-]+", text.lower()) if language == "en" else re.sub(r"\W", "", text))


@every_language
def test_rephrasings_are_training_phrasings_with_their_answers(language: Language) -> None:
    groups = persona.rephrasings(language)
    assert len(groups) == len(load("persona.yaml"))
    held_out = {
        normalised(phrasing)
        for kind in ("identity", "smalltalk")
        for sides in talk_phrasings(language, kind).values()
        for phrasing in sides["test"]
    }
    for phrasings, answers in groups:
        assert len(phrasings) >= 35 and 1 <= len(answers) <= 2
        assert not [phrasing for phrasing in phrasings if normalised(phrasing) in held_out]


@every_language
def test_small_talk_is_in_the_raw_text(language: Language) -> None:
    usual = {"en": "You are welcome!", "zh": "不客气！"}
    assert usual[language] in persona.passages(language)


@every_kind
@every_language
def test_no_held_out_conversation_occurs_in_training(kind: str, language: Language) -> None:
    trained = {spoken(task) for task in draw(kind, language, "train", 5 * DRAWS)}
    assert not [task for task in draw(kind, language, "test") if spoken(task) in trained]


def spoken(task: DrawnTask) -> str:
    return "\n".join(normalised(message["content"]) for message in task.messages)


def test_no_held_out_question_is_trained_on_under_another_kind() -> None:
    single = ("concept", "identity", "smalltalk", "outside")
    trained = {spoken(task) for kind in single for lang in LANGUAGES for task in draw(kind, lang, "train")}
    held_out = {spoken(task) for kind in single for lang in LANGUAGES for task in draw(kind, lang, "test")}
    assert not trained & held_out


@every_kind
@every_language
def test_every_answer_passes_its_own_check(kind: str, language: Language) -> None:
    for task in draw(kind, language, "train", 1000) + draw(kind, language, "test", 1000):
        assert task.kind == kind and task.language == language
        assert check(task, task.answer).correct, task


@every_language
def test_an_answer_inside_the_domain_is_no_refusal(language: Language) -> None:
    refused = next(task for task in draw("outside", language, "train") if "number" not in task.answer)
    inside = [concept.answer for concept in concepts.concepts(language)]
    inside += [
        task.answer for kind in ("identity", "smalltalk") for task in draw(kind, language, "train", 500)
    ]
    assert not [answer for answer in inside if check(refused, answer).correct]


@every_language
def test_the_wordings_of_a_refusal_are_interchangeable(language: Language) -> None:
    refusals = [
        task for task in draw("outside", language, "test") if task.thought == outside.THOUGHT[language]
    ]
    answers = {task.answer for task in refusals}
    assert len(answers) >= 4
    assert all(check(refusals[0], answer).correct for answer in answers)


@every_language
def test_division_by_zero_gets_its_own_answer(language: Language) -> None:
    zero = [t for t in draw("outside", language, "train") if t.thought == outside.ZERO_THOUGHT[language]]
    assert zero and len({task.answer for task in zero}) == 1
    assert not check(
        zero[0], next(t for t in draw("outside", language, "train") if t.thought != zero[0].thought).answer
    ).correct


@every_language
def test_follow_up_thoughts_are_true_and_end_in_the_answer(language: Language) -> None:
    value = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "×": lambda a, b: a * b}
    for task in draw("follow_up", language, "train", 1000):
        for a, sign, b, c in re.findall(r"(?<![\d+×-])(\d+)([-+×])(\d+)=(\d+)", task.thought):
            assert value[sign](int(a), int(b)) == int(c), task.thought
        assert task.thought.splitlines()[-1] == task.answer
        assert task.messages[-2]["role"] == "assistant"
        before = int(re.findall(r"\d+", task.messages[-2]["content"])[-1])
        assert task.expected["operands"][0] == before


def test_some_follow_ups_switch_the_language_between_turns() -> None:
    chinese = re.compile(r"[\u4e00-\u9fff]")
    switched = [t for t in draw("follow_up", "en", "train", 1000) if chinese.search(t.messages[0]["content"])]
    assert 20 < len(switched) < 300
    assert not any(chinese.search(task.question + task.thought) for task in switched)


@every_kind
@every_language
def test_answers_are_in_the_language_of_the_question(kind: str, language: Language) -> None:
    chinese = re.compile(r"[\u4e00-\u9fff]")
    for task in draw(kind, language, "train", 1000):
        if not (kind == "follow_up" or task.template.startswith("translate")):
            assert bool(chinese.search(task.answer)) == (language == "zh"), task


@every_kind
def test_the_same_seed_draws_the_same_tasks(kind: str) -> None:
    assert draw(kind, "zh", "train", 200) == draw(kind, "zh", "train", 200)


def test_an_unknown_kind_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="poetry"):
        persona.tasks(random.Random(0), "en", "poetry", "train")


@every_language
def test_raw_text_is_plentiful_and_distinct_and_has_no_questions(language: Language) -> None:
    for module, least in ((concepts, 400), (persona, 35), (outside, 400)):
        lines = module.passages(language)
        assert len(set(lines)) >= least
        assert not [line for line in lines if re.search(r"[?？]", line)]


@every_language
def test_the_usual_phrasing_is_always_trained_on(language: Language) -> None:
    trained = {task.template for task in draw("smalltalk", language, "train")}
    usual = {"en": "thanks: Thanks", "zh": "thanks: 谢谢"}
    assert usual[language] in trained


def test_divide_holds_something_out_whatever_the_order() -> None:
    phrasings = [f"Phrasing {number}?" for number in range(12)]
    sides = divide(phrasings, "test")
    again = divide(phrasings[::-1], "test")
    assert sides["test"] and sides["train"]
    assert {side: set(phrasings) for side, phrasings in sides.items()} == {
        side: set(phrasings) for side, phrasings in again.items()
    }


def test_a_single_phrasing_cannot_be_divided() -> None:
    with pytest.raises(ValueError, match="two or more"):
        divide(["Hi", "hi!"], "greeting")


@every_language
def test_spelling_varies_without_changing_what_identifies_a_phrasing(language: Language) -> None:
    rng = random.Random(3)
    phrasing = {"en": "What is a token?", "zh": "什么是词元？"}[language]
    spellings = {vary(rng, phrasing, language) for _ in range(200)}
    assert len(spellings) >= 3
    assert all(normalised(a) == normalised(b) for a, b in pairwise(spellings))

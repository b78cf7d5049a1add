"""The starter's tasks are correct, answerable, and never shared between training and evaluation."""

import dataclasses
import operator
import random
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

import pytest
from helpers.starter_tasks import check

from alignment.starter.tasks import arithmetic, columns, days, word_problems
from alignment.starter.tasks.drawn_task import LANGUAGES, DrawnTask, Language, Split, split_of, user

MODULES = (arithmetic, word_problems, days)
CELLS = [(module, kind, language) for module in MODULES for kind in module.KINDS for language in LANGUAGES]
DRAWS = 400


@cache
def drawn(language: Language, split: Split) -> tuple[DrawnTask, ...]:
    rng = random.Random(f"{language}/{split}")
    return tuple(
        module.tasks(rng, language, kind, split)
        for module in MODULES
        for kind in module.KINDS
        for _ in range(DRAWS)
    )


def everything() -> Iterator[DrawnTask]:
    for language in LANGUAGES:
        yield from drawn(language, "train")
        yield from drawn(language, "test")


def a_task(kind: str, expected: dict[str, object]) -> DrawnTask:
    return DrawnTask(kind, "en", "t", user("?"), "", "", expected)


def test_every_answer_passes_its_own_check() -> None:
    for task in everything():
        checked = check(task, task.answer)
        assert checked.correct, task
        assert checked.has_unit in (None, True), task


def test_a_bare_number_is_right_and_has_no_unit() -> None:
    for task in everything():
        if task.kind in word_problems.KINDS:
            bare = check(task, task.expected["bare_answer"])
            assert (bare.correct, bare.has_unit) == (True, False), task


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_operands_of_the_suite_occur_in_training_in_either_language(language: Language) -> None:
    # Quotients are a table known by heart, as are the products of one-digit numbers: their phrasings are held out.
    seen = {
        identity(task) for other in LANGUAGES for task in drawn(other, "train") if task.kind != "division"
    }
    assert seen.isdisjoint(identity(task) for task in drawn(language, "test"))


def test_no_calculation_of_the_suite_is_a_step_of_a_training_task() -> None:
    """A held-out 47×6 must not be learned from a word problem, or from within 47×36."""
    signs = {"addition": "+", "subtraction": "-", "multiplication": "×", "multiplication_hard": "×"}
    held_out = set()
    for task in everything():
        if task.split == "test" and task.kind in signs:
            a, b = task.expected["operands"]
            held_out |= {(signs[task.kind], a, b)} | (
                {(signs[task.kind], b, a)} if task.kind != "subtraction" else set()
            )
    for task in everything():
        if task.split == "train":
            for a, sign, b in re.findall(
                r"(?<![\d+×-])(\d+)([+×-])(\d+)(?==)", task.thought + "\n" + task.answer
            ):
                assert (sign, int(a), int(b)) not in held_out, task


def identity(task: DrawnTask) -> tuple[object, ...]:
    if task.kind == "ordering":
        return (task.kind, *sorted(task.expected["order"]))
    operands = task.expected["operands"]
    if task.kind in word_problems.KINDS:
        return ("word", *operands[:4])
    keep_order = task.kind in ("subtraction", "calendar", "duration")
    return (task.kind, *(operands if keep_order else sorted(operands)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_phrasing_of_the_suite_occurs_in_training(language: Language) -> None:
    train, test = drawn(language, "train"), drawn(language, "test")
    assert {task.template for task in train}.isdisjoint(task.template for task in test)
    assert {skeleton(task) for task in train}.isdisjoint(skeleton(task) for task in test)


def skeleton(task: DrawnTask) -> tuple[str, str]:
    """The phrasing alone: the question without numbers, signs, capitals and final mark."""
    kind = task.kind.removesuffix("_hard")
    text = re.sub(r"\d+", "#", task.question.lower())
    if kind in ("addition", "subtraction", "multiplication"):
        text = re.sub(r"#\s*[-+×*x−]\s*#", "#~#", text)
    if task.language == "zh":
        text = text.replace(" ", "")
    return kind, text.rstrip(".?。？ ") if "=" not in text else text


@pytest.mark.parametrize(("module", "kind", "language"), CELLS)
def test_every_kind_has_held_out_phrasings(module: object, kind: str, language: Language) -> None:
    of_kind = {task.template for task in drawn(language, "test") if task.kind == kind}
    assert len(of_kind) >= 3


COMPARE = {"=": operator.eq, "<": operator.lt, ">": operator.gt}


def test_every_step_of_every_thought_is_true() -> None:
    checked = 0
    for task in everything():
        for line in task.thought.splitlines():
            # The question of a comparison ("341<319?") and a quotient with a remainder claim no equality.
            claims = re.findall(r"([\d+×÷-]+)([=<>])([\d+×÷-]+)(?![\d?]| remainder|余)", line)
            for left, sign, right in claims:
                assert COMPARE[sign](value(left), value(right)), (task.question, line)
                checked += 1
    assert checked > 10_000


def value(expression: str) -> int:
    """The value of a chain such as "7×2+3" or "15-8-1": products first, then left to right."""
    terms = re.findall(r"[+-]?[\d×÷]+", expression)
    total = 0
    for term in terms:
        factors = re.split(r"([×÷])", term.lstrip("+-"))
        product = int(factors[0])
        for sign, factor in zip(factors[1::2], factors[2::2], strict=True):
            product = product * int(factor) if sign == "×" else product // int(factor)
        total += -product if term.startswith("-") else product
    return total


def test_the_symbols_of_a_thought_are_the_same_in_both_languages() -> None:
    for sign, a, b in (
        ("+", 347, 285),
        ("+", 47, 985),
        ("-", 305, 98),
        ("×", 47, 6),
        ("×", 47, 36),
        ("×", 40, 30),
    ):
        english, chinese = (
            re.findall(r"[\d+×=<-]+", columns.worked(sign, a, b, language)) for language in LANGUAGES
        )
        assert english == chinese


def test_an_addition_is_worked_column_by_column() -> None:
    assert columns.worked("+", 347, 85, "en") == (
        "347+085\nones: 7+5=12, write 2, carry 1\ntens: 4+8+1=13, write 3, carry 1\n"
        "hundreds: 3+0+1=4\n347+85=432"
    )
    assert columns.worked("-", 305, 298, "zh") == (
        "305-298\n个位：5-8<0，15-8=7，借1\n十位：0-9-1<0，10-9-1=0，借1\n百位：3-2-1=0\n007=7\n305-298=7"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_at_least_thirty_stories_and_twelve_have_three_steps(language: Language) -> None:
    stories = word_problems.STORIES[language]
    assert len(stories) >= 30
    assert sum(bool(story.more) for story in stories.values()) >= 12
    for name, story in stories.items():
        if story.asks:
            assert len(story.openings) * len(story.events) * len(story.asks) >= 8, name
        else:
            assert len(story.openings) * len(story.first_asks) >= 8, name
        assert len(story.labels) == len(word_problems.PLANS[name].steps), name


def test_both_languages_tell_the_same_stories() -> None:
    english, chinese = word_problems.STORIES["en"], word_problems.STORIES["zh"]
    assert set(english) == set(chinese) == set(word_problems.PLANS)
    for name, story in english.items():
        for part in ("events", "asks", "more", "last_asks", "first_asks", "first_counted"):
            assert bool(getattr(story, part)) == bool(getattr(chinese[name], part)), (name, part)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_story_occurs_in_training(language: Language) -> None:
    stories = word_problems.STORIES[language]
    for steps, asks in ((1, "first_asks"), (2, "asks"), (3, "last_asks")):
        names = {phrasing[0] for phrasing in word_problems.phrasings_of(language, steps, "train")}
        assert names == {name for name, story in stories.items() if getattr(story, asks)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_nearly_every_story_has_questions_about_its_first_step(language: Language) -> None:
    stories = word_problems.STORIES[language]
    assert sum(bool(story.first_asks) for story in stories.values()) >= 45
    for name, story in stories.items():
        if not story.first_asks:
            assert "c" in word_problems.PLANS[name].steps[0], name
            continue
        assert len(story.first_asks) >= 2, name
        for opening in story.openings:
            for ask in story.first_asks:
                fields = set(re.findall(r"\{(\w+)\}", opening + ask))
                assert {"a", "b"} <= fields, (name, opening, ask)
                assert not fields & {"c", "d"}, (name, opening, ask)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_answer_to_a_one_step_problem_is_the_first_step_of_its_plan(language: Language) -> None:
    rng = random.Random(5)
    tasks = [
        word_problems.tasks(rng, language, "word_one_step", split)
        for split in ("train", "test")
        for _ in range(1000)
    ]
    signs: Counter[str] = Counter()
    for task in tasks:
        story, a, b = task.expected["operands"]
        left, sign, right = word_problems.PLANS[story].steps[0]
        assert (left, right) == ("a", "b")
        assert task.expected["number"] == word_problems.calculate(sign, a, b)
        assert set(re.findall(r"\d+", task.question)) == {str(a), str(b)}
        assert task.thought.splitlines()[-1] == str(task.expected["number"])
        signs[sign] += 1
    assert set(signs) == set("+-×÷")
    assert min(signs.values()) > len(tasks) / 8
    names = {task.expected["operands"][0] for task in tasks}
    assert names == {name for name, story in word_problems.STORIES[language].items() if story.first_asks}


def test_a_first_step_that_counts_another_thing_has_its_own_unit() -> None:
    rng = random.Random(6)
    tasks = (word_problems.tasks(rng, "en", "word_one_step", "train") for _ in range(2000))
    units = {task.expected["unit"] for task in tasks if task.expected["operands"][0] == "parking"}
    assert units == {"places"}


def test_no_word_problem_in_training_begins_with_a_held_out_one_step_problem() -> None:
    for task in everything():
        if task.kind in word_problems.KINDS and task.split == "train":
            assert split_of("word one", *task.expected["operands"][:3]) == "train", task


def test_the_same_seed_draws_the_same_tasks() -> None:
    for module, kind, language in CELLS:
        first, second = (module.tasks(random.Random(7), language, kind, "train") for _ in range(2))
        assert first == second


def test_a_wrong_number_is_wrong() -> None:
    for task in everything():
        if "number" in task.expected and task.kind != "comparison":
            wrong = dataclasses.replace(
                task, expected={**task.expected, "number": task.expected["number"] + 1}
            )
            assert not check(wrong, task.answer).correct


ADDITION = a_task("addition", {"number": 1232})


@pytest.mark.parametrize(
    "answer",
    ["347+885=1232", "1,232", "The answer is 1232.", "=1232", "１２３２", "等于1232。", "**1232**", "1232.0"],
)
def test_a_right_number_is_found_in_any_wording(answer: str) -> None:
    assert check(ADDITION, answer).correct


@pytest.mark.parametrize(
    "answer", ["", "1233", "-1232", "1232 or 1233", "I do not know.", "12320", "1232.5", "1 232 7"]
)
def test_a_wrong_or_missing_number_is_not_accepted(answer: str) -> None:
    assert not check(ADDITION, answer).correct


WORDS = a_task("word_two_step", {"number": 12, "units": ["apples", "apple"]})


@pytest.mark.parametrize(
    ("answer", "correct", "has_unit"),
    [
        ("12 apples", True, True),
        ("Tom has 12 Apples left.", True, True),
        ("12", True, False),
        ("12 pineapples", True, False),
        ("13 apples", False, True),
        ("", False, False),
    ],
)
def test_number_and_unit_are_judged_apart(answer: str, correct: bool, has_unit: bool) -> None:
    verdict = check(WORDS, answer)
    assert (verdict.correct, verdict.has_unit) == (correct, has_unit)


@pytest.mark.parametrize(
    ("expected", "answer", "correct"),
    [
        ({"number": 347}, "347 is larger.", True),
        ({"number": 347}, "347", True),
        ({"number": 347}, "347 is larger than 285.", True),
        ({"number": 347}, "347>285", True),
        ({"number": 347}, "347比285大。", True),
        ({"number": 347}, "347更大。", True),
        ({"number": 347}, "347 is smaller.", False),
        ({"number": 347}, "285 is larger.", False),
        ({"number": 347}, "347<285", False),
        ({"number": 347}, "348 is larger.", False),
        ({"number": 347}, "", False),
        ({"holds": True}, "Yes, 347>285.", True),
        ({"holds": True}, "是的，347>285。", True),
        ({"holds": True}, "Yes.", True),
        ({"holds": True}, "Yes, 347<285.", False),
        ({"holds": True}, "No, 347>285.", False),
        ({"holds": True}, "347>285", False),
        ({"holds": False}, "不是，347>285。", True),
        ({"holds": False}, "不对。", True),
        ({"holds": False}, "是的。", False),
    ],
)
def test_a_comparison_must_be_true_and_answer_what_was_asked(
    expected: dict[str, object], answer: str, correct: bool
) -> None:
    assert check(a_task("comparison", {"operands": [347, 285], **expected}), answer).correct is correct


@pytest.mark.parametrize(
    ("kind", "expected", "answer", "correct"),
    [
        ("ordering", {"order": [5, 34, 120]}, "5, 34, 120", True),
        ("ordering", {"order": [5, 34, 120]}, "5<34<120", True),
        ("ordering", {"order": [5, 34, 120]}, "从小到大：5、34、120。", True),
        ("ordering", {"order": [5, 34, 120]}, "5, 120, 34", False),
        ("ordering", {"order": [5, 34, 120]}, "34, 120", False),
        ("calendar", {"day": 4}, "It is Friday.", True),
        ("calendar", {"day": 4}, "周五", True),
        ("calendar", {"day": 6}, "星期天。", True),
        ("calendar", {"day": 4}, "Friday or Saturday", False),
        ("calendar", {"day": 4}, "", False),
        ("duration", {"minutes": 105}, "1 hour and 45 minutes", True),
        ("duration", {"minutes": 105}, "105 minutes", True),
        ("duration", {"minutes": 105}, "1小时45分钟。", True),
        ("duration", {"minutes": 120}, "2 hours", True),
        ("duration", {"minutes": 105}, "1 hour 54 minutes", False),
        ("duration", {"minutes": 925}, "15:25", True),
        ("duration", {"minutes": 925}, "15点25分", True),
        ("duration", {"minutes": 925}, "3:25 pm", True),
        ("duration", {"minutes": 925}, "15:52", False),
        ("duration", {"minutes": 925}, "", False),
        ("concept", {"keywords": [["loss", "error"], ["train"]]}, "The Loss on TRAINING data.", True),
        ("concept", {"keywords": [["loss", "error"], ["train"]]}, "The loss.", False),
        ("outside", {"keywords": [["small"]], "forbidden": ["Paris"]}, "I am a small model.", True),
        ("outside", {"keywords": [["small"]], "forbidden": ["Paris"]}, "A small town: paris.", False),
        ("outside", {"keywords": [["small"]], "forbidden": ["Paris"]}, "A small comparison.", True),
        ("follow_up", {"keywords": [], "number": 17}, "12+5=17", True),
        ("follow_up", {"number": 17}, "12+5=18", False),
        ("smalltalk", {"keywords": []}, "", False),
    ],
)
def test_each_other_kind_is_judged_by_its_content(
    kind: str, expected: dict[str, object], answer: str, correct: bool
) -> None:
    assert check(a_task(kind, expected), answer).correct is correct


def test_an_endless_run_of_digits_is_wrong_and_does_no_harm() -> None:
    assert not check(ADDITION, "7" * 9000).correct
    assert not check(a_task("ordering", {"order": [1, 2, 3]}), "1, 2, " + "7" * 9000).correct
    assert not check(a_task("duration", {"minutes": 5}), "7" * 9000 + " minutes").correct
    assert not check(a_task("comparison", {"number": 5, "operands": [5, 3]}), "7" * 9000).correct


def test_an_unknown_kind_is_named_in_the_error() -> None:
    with pytest.raises(ValueError, match="astrology"):
        check(a_task("astrology", {}), "yes")

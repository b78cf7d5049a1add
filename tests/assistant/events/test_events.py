"""The schema of events: what is written is read back, no reader crashes, and both languages are complete."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from helpers.chinese_text import english_left

from assistant.errors import VersionError
from assistant.events.describe import PLACE, TEMPLATES, TERMS, describe, describe_stored
from assistant.events.event import CODES, TERM_TYPES, Event, event_from, event_from_line, text_event
from assistant.events.event_error import event_of

LANGUAGES = ("en", "zh")
HAN = re.compile(r"[\u4e00-\u9fff]")


def sample(kind: str, count: int) -> Any:
    """A value of a parameter's type; terms are the first that the Chinese know."""
    if kind in TERM_TYPES:
        return next(iter(TERMS["zh"][kind]))
    inner = Event.of("too_few_prompts", needed=count)
    return {
        "text": "v7",
        "texts": ["v1", "v2"],
        "count": count,
        "number": 0.25,
        "event": inner,
        "events": [inner, inner],
    }[kind]


def samples(count: int = 7) -> list[Event]:
    return [
        Event.of(code, **{name: sample(kind, count) for name, kind in types.items()})
        for code, types in CODES.items()
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_a_text_whose_places_are_its_parameters(language: str) -> None:
    assert TEMPLATES[language].keys() == CODES.keys()
    for code, template in TEMPLATES[language].items():
        named = {place[1] for place in PLACE.finditer(template)}
        # The class of an error is for programs.
        shown = CODES[code].keys() - ({"kind"} if code == "error" else set())
        # A unit only says how the other numbers are shown.
        assert named | {"unit"} == shown | {"unit"}, code
        assert "{" not in PLACE.sub("", template), code


def test_a_verb_goes_with_a_count_that_stands_elsewhere_and_does_not_repeat_it() -> None:
    one, two = (describe(Event.of("prompts_not_asked", count=n, of=9, prompts=[])) for n in (1, 2))
    assert (one, two) == ("1 of 9 prompts was not asked: ", "2 of 9 prompts were not asked: ")


def test_every_type_of_term_is_in_both_languages() -> None:
    for language in LANGUAGES:
        assert TERMS[language].keys() == set(TERM_TYPES)


@pytest.mark.parametrize("event", samples(), ids=lambda event: event.code)
def test_each_text_is_in_its_own_language(event: Event) -> None:
    english, chinese = describe(event, "en"), describe(event, "zh")
    assert not HAN.search(english)
    without_names = re.sub(r"`[^`]*`|\S+\.(json|txt)|HOME\S*|ppo", "", chinese)
    assert english_left(without_names) == []
    assert not re.search(r"[\u4e00-\u9fff] ?[,.?!:;(]", chinese), chinese
    assert "?" not in chinese and "{" not in english + chinese


def test_a_single_thing_is_named_in_the_singular() -> None:
    plural = re.compile(r"\b1 (new )?(votes|thumbs|pairs|raters|prompts|texts|times|seconds|more are|are)\b")
    for event in samples(1):
        assert not plural.search(describe(event, "en")), describe(event, "en")


@pytest.mark.parametrize("event", samples(), ids=lambda event: event.code)
def test_an_event_is_one_line_of_json_and_is_read_back(event: Event) -> None:
    line = event.line()
    assert "\n" not in line
    read = event_from_line(line)
    assert read.content() == event.content()
    for language in LANGUAGES:
        assert describe(read, language) == describe(event, language)


@pytest.mark.parametrize(
    "line",
    ["", "step 12", "{", "7", "null", "[]", '{"code": 7, "params": {}}', '{"code": "text"}', "[" * 9000],
)
def test_a_line_that_holds_no_event_is_shown_as_it_is(line: str) -> None:
    assert event_from_line(line) == text_event(line)
    assert describe(event_from_line(line), "zh") == line


@pytest.mark.parametrize("value", [None, 7, "seven", [7], {"code": 7}, {}])
def test_parameters_of_another_type_and_unknown_codes_crash_no_reader(value: Any) -> None:
    for code, types in CODES.items():
        for language in LANGUAGES:
            assert isinstance(describe(Event(code, dict.fromkeys(types, value)), language), str)
            assert isinstance(describe(Event(code, {}), language), str)
    assert describe(Event("newer", {"version": value})) == f"newer (version: {value})"


def test_events_within_events_are_described_to_a_limit() -> None:
    event = Event.of("live_none")
    for _ in range(50):
        event = Event.of("no_reward_models", why=event)
    assert len(describe(event)) < 6000


def test_an_event_with_other_parameters_than_its_codes_is_refused() -> None:
    for code, params in (("no_such_code", {}), ("version_gone", {}), ("live_none", {"more": 1})):
        with pytest.raises(ValueError, match=code):
            Event.of(code, **params)


def test_a_record_of_an_older_home_is_shown_by_its_text() -> None:
    event = Event.of("none_promoted")
    assert describe_stored({"why": "kept text"}, "why", "zh") == "kept text"
    assert describe_stored({"why": "kept text", "event": event.content()}, "why", "zh") == "没有候选版本通过"
    assert describe_stored({"why": "kept text", "event": "damaged"}, "why", "zh") == "kept text"
    assert event_from(json.loads(event.line())) == event


def test_an_error_carries_its_event_and_is_told_in_english() -> None:
    event = Event.of("no_earlier_release")
    error = VersionError(event)
    assert str(error) == "There is no earlier release to go back to."
    assert event_of(error) == event
    assert event_of(KeyError("x")).params == {"kind": "KeyError", "text": "'x'"}

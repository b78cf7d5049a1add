"""Schemas as grammars: what is kept and what is refused, and answers of the starter that follow them."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from helpers.changed_version import changed
from helpers.engines import collect, ids_of

from assistant.errors import FormatRefused
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.llama_cpp.json_grammar import grammar_of
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine

RARE = "龘"
"""A character that the starter can only write byte by byte."""


def enforced(schema: Any) -> dict[str, Any]:
    """The schema in a grammar, without the options."""
    content = json.loads(grammar_of(json.dumps(schema)).partition("%json ")[2])
    del content["x-guidance"]
    return dict(content)


def test_what_is_no_condition_is_left_out_and_an_object_has_what_is_listed() -> None:
    person = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Person",
        "type": "object",
        "properties": {"title": {"enum": ["Dr", "Ms"], "format": "password", "default": "x"}, "age": {}},
        "required": ["title"],
    }
    assert enforced(person) == {
        "type": "object",
        "properties": {"title": {"enum": ["Dr", "Ms"]}, "age": {}},
        "required": ["title"],
        "additionalProperties": False,
    }
    # Parts that are put together must stay open for each other's properties.
    assert "additionalProperties" not in enforced({"allOf": [person]})["allOf"][0]
    assert enforced(person | {"additionalProperties": True})["additionalProperties"] is True


@pytest.mark.parametrize("name", ["not", "uniqueItems", "if", "dependentRequired"])
def test_a_condition_that_cannot_be_enforced_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(FormatRefused, match=f"'{name}' cannot be enforced"):
        enforced({"type": "object", "properties": {"part": {"items": {name: {"type": "string"}}}}})
    assert enforced({"type": "array", "uniqueItems": False}) == {"type": "array"}


def test_a_number_is_bound_and_has_a_step() -> None:
    largest = 2**53 - 1
    for kind in ("integer", ["integer", "null"]):
        assert enforced({"type": kind}) == {"type": kind, "minimum": -largest, "maximum": largest}
    assert enforced({"type": "number"}) == {
        "type": "number",
        "minimum": -largest,
        "maximum": largest,
        "multipleOf": 1e-6,
    }
    own = {"type": "number", "minimum": -1.5, "maximum": 3, "multipleOf": 0.25}
    assert enforced(own) == own
    least = enforced({"type": "number", "minimum": 1, "maximum": 1e300})
    assert (least["minimum"], least["maximum"]) == (1, largest)
    # What may need more digits has them.
    assert "multipleOf" not in enforced({"type": "number", "minimum": 0.1234567, "maximum": 0.1234568})
    assert enforced({"type": "number", "enum": [0.12345678]}) == {"type": "number", "enum": [0.12345678]}


def test_lengths_count_characters_however_they_are_written() -> None:
    assert enforced({"minLength": 2, "maxLength": 3})["pattern"].endswith("){2,3}$")
    assert enforced({"maxLength": 3})["pattern"].endswith("){0,3}$")
    assert enforced({"type": "string"})["pattern"].endswith("){0,}$")
    assert enforced({"pattern": "^a*$", "maxLength": 3}) == {"pattern": "^a*$", "maxLength": 3}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaCppEngine]:
    home = tmp_path_factory.mktemp("formats")
    opened = LlamaCppEngine(Versions(home), version_to_serve(home, "starter"), 2**24)
    yield opened
    opened.close()


def answer(
    engine: LlamaCppEngine,
    schema: Any,
    temperature: float = 0.0,
    question: str = "What is 12 + 7?",
    think: bool = False,
) -> Any:
    """The starter's answer that follows a schema, read as JSON."""
    text = json.dumps(schema)
    with engine.lease() as served:
        served.check_schema(text)
        sampling = Sampling(temperature=temperature, max_new_tokens=300, schema=text, logprobs=0)
        ids, reason = asyncio.run(collect(served, ids_of(served, question, think), sampling))
        assert reason == "end"
        return json.loads(prompt.decode(served.tokenizer, ids))


@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_answers_follow_their_schemas(engine: LlamaCppEngine, temperature: float) -> None:
    letters = {"type": "string", "minLength": 2, "maxLength": 3}
    listed = {
        "type": "object",
        "properties": {
            "ok": {"type": "boolean"},
            f"答{RARE}": letters,
            "size": {"type": "integer", "minimum": 3, "maximum": 12},
            "kind": {"enum": [f"é{RARE}", f"ü{RARE}"]},
            "next": {"anyOf": [{"$ref": "#/$defs/point"}, {"type": "null"}]},
            "fixed": {"const": {"list": [f"a{RARE}", 1.5]}},
            "code": {"type": "string", "pattern": "^[a-c]{3}é.[^a-c]{2}$"},
        },
        "required": ["ok", f"答{RARE}", "size", "kind", "next", "fixed", "code"],
        "$defs": {
            "point": {"type": "object", "properties": {"x": {"type": "boolean"}}, "required": ["x"]},
        },
    }
    said = answer(engine, listed, temperature)
    assert list(said) == listed["required"]
    assert 2 <= len(said[f"答{RARE}"]) <= 3
    assert 3 <= said["size"] <= 12
    assert said["kind"] in (f"é{RARE}", f"ü{RARE}")
    assert said["next"] is None or isinstance(said["next"]["x"], bool)
    assert said["fixed"] == {"list": [f"a{RARE}", 1.5]}
    assert re.search("^[a-c]{3}é.[^a-c]{2}$", said["code"])


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "text"},
        {"$ref": "#/$defs/none"},
        {"$ref": "#/$defs/loop", "$defs": {"loop": {"$ref": "#/$defs/loop"}}},
        {"enum": []},
        {"type": "integer", "minimum": 5, "maximum": 3},
        {"type": "integer", "minimum": "5"},
        {"type": "string", "pattern": "(?=x)"},
        {"type": "object", "properties": 3},
        {"anyOf": {"type": "string"}},
        {"required": [1]},
        {"minLength": "x"},
        {"items": {"minLength": -1}},
    ],
)
def test_a_schema_that_makes_no_grammar_is_refused_and_the_engine_goes_on(
    engine: LlamaCppEngine, schema: dict[str, Any]
) -> None:
    with engine.lease() as served, pytest.raises(FormatRefused, match="cannot make a grammar"):
        served.check_schema(json.dumps(schema))
    assert answer(engine, {"enum": [7]}) == 7


@pytest.mark.parametrize(
    "question", ["What is 12 + 7?", "什么是机器学习？", "小明有5个苹果，又买了3个，一共有几个？"]
)
def test_a_word_that_tokens_can_begin_in_several_ways_is_always_finished(
    engine: LlamaCppEngine, question: str
) -> None:
    # The starter has tokens of several characters that it has not each alone.
    schema = {"type": "object", "properties": {"答案": {"enum": ["学习的", "是"]}}, "required": ["答案"]}
    for think in (False, True):
        said = answer(engine, schema, 2.0, question, think)
        assert said["答案"] in ("学习的", "是")


def test_formats_go_on_when_a_version_joins(engine: LlamaCppEngine) -> None:
    assert answer(engine, {"enum": ["before"]}) == "before"
    # The base is opened again, and what llama.cpp has made of its vocabulary is freed with the first opening.
    engine.prepare(changed(engine.version, engine._registry, 0.5).id)
    assert answer(engine, {"enum": ["after"]}) == "after"

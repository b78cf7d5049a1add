"""The form that a request wants its answer in: `response_format`, or the arguments of a tool that it must call.

Both are checked as OpenAI checks them.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

FIELD = "response_format"
ANY_OBJECT = {"type": "object"}
MOST_CHARACTERS = 120_000
"""Of a schema. OpenAI's bound is on all its names and values together."""
MOST_LEVELS = 64
"""Of a schema: deeper ones are no data."""
_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_LONGEST_NAME = 64
_NOT_STRICT = ("allOf", "not", "dependentRequired", "dependentSchemas", "if", "then", "else")
"""What OpenAI's strict schemas may not have."""
_SCHEMAS_BY_NAME = ("properties", "$defs", "definitions", "patternProperties")
_SCHEMAS = ("items", "additionalProperties")
_LISTS_OF_SCHEMAS = ("anyOf", "oneOf", "prefixItems")


class Unsupported(ValueError):
    """A field has an unsupported value, or one that contradicts another field."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


def schema_of(wanted: dict[str, Any] | None) -> dict[str, Any] | None:
    """The JSON schema that the answer must follow; None if it may be any text. Raises Unsupported."""
    kind = None if wanted is None else wanted.get("type")
    if wanted is None or kind == "text":
        return None
    if kind == "json_object":
        # llama.cpp's server and other providers let a schema stand here.
        return _schema(wanted.get("schema"), f"{FIELD}.schema")
    if kind != "json_schema":
        raise Unsupported(f"{FIELD}.type", f"'json_object', 'json_schema' or 'text', not {str(kind)[:100]!r}")
    definition, place = wanted.get("json_schema"), f"{FIELD}.json_schema"
    if not isinstance(definition, dict):
        raise Unsupported(place, "an object with 'name' and 'schema' is needed")
    name, strict = definition.get("name"), definition.get("strict")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Unsupported(f"{place}.name", "a name of letters, digits, '_' and '-' is needed")
    if len(name) > _LONGEST_NAME:
        raise Unsupported(
            f"{place}.name", f"at most {_LONGEST_NAME} characters, and this name has {len(name)}"
        )
    if strict is not None and not isinstance(strict, bool):
        raise Unsupported(f"{place}.strict", "true or false")
    schema = _schema(definition.get("schema"), f"{place}.schema")
    if strict and (fault := _fault_of_strict(schema)):
        raise Unsupported(f"{place}.schema", f"of the strict format {name!r}: {fault}")
    return schema


@dataclass(frozen=True)
class ForcedTool:
    """A tool that the answer must call: the answer is its arguments."""

    name: str
    schema: dict[str, Any]


def forced_tool(tools: Sequence[Any], choice: Any) -> ForcedTool | None:
    """The tool that a request's `tool_choice` demands; None if the answer may be words. Raises Unsupported."""
    if choice in (None, "none", "auto"):
        return None
    functions = _functions(tools)
    named = choice.get("function") if isinstance(choice, dict) else None
    name = named.get("name") if isinstance(named, dict) else None
    if choice == "required" and len(functions) == 1:
        name = next(iter(functions))
    if not isinstance(name, str) or name not in functions:
        known = ", ".join(functions) or "none"
        raise Unsupported(
            "tool_choice",
            f"'none', 'auto', an object that names a function of 'tools' (which has {known[:200]}), or 'required' if "
            "there is exactly one",
        )
    place = "tools.function.parameters"
    schema = _schema(functions[name].get("parameters"), place)
    if functions[name].get("strict") and (fault := _fault_of_strict(schema)):
        raise Unsupported(place, f"of the strict function {name!r}: {fault}")
    return ForcedTool(name, schema)


def _functions(tools: Sequence[Any]) -> dict[Any, dict[str, Any]]:
    """The functions among tools by their names."""
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    return {
        function["name"]: function
        for function in functions
        if isinstance(function, dict) and isinstance(function.get("name"), str)
    }


def as_text(schema: dict[str, Any]) -> str:
    """A schema as engines take it."""
    return json.dumps(schema, ensure_ascii=False)


def _schema(value: Any, place: str) -> dict[str, Any]:
    if value is None:
        return ANY_OBJECT
    if not isinstance(value, dict):
        raise Unsupported(place, "a JSON schema, which is an object")
    if len(json.dumps(value, ensure_ascii=False)) > MOST_CHARACTERS:
        raise Unsupported(place, f"a JSON schema of at most {MOST_CHARACTERS:,} characters")
    if _levels(value) > MOST_LEVELS:
        raise Unsupported(place, f"a JSON schema of at most {MOST_LEVELS} levels")
    return value


def _levels(value: Any) -> int:
    """How deep lists and objects are nested."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        content, level = waiting.pop()
        parts = content.values() if isinstance(content, dict) else content
        deepest = max(deepest, level)
        waiting += [(part, level + 1) for part in parts if isinstance(part, dict | list)]
    return deepest


def _fault_of_strict(schema: dict[str, Any]) -> str | None:
    """The first of OpenAI's rules for strict schemas that this one breaks."""
    if schema.get("type") != "object" or "anyOf" in schema:
        return "its own type must be 'object', without 'anyOf'"
    for path, part in _parts(schema, ()):
        where = f"in {'.'.join(path)}, " if path else ""
        for name in _NOT_STRICT:
            if name in part:
                return f"{where}{name!r} is not permitted"
        if part.get("type") == "object" or "properties" in part:
            if part.get("additionalProperties") is not False:
                return f"{where}'additionalProperties' must be false"
            properties, required = part.get("properties") or {}, part.get("required") or []
            missing = next((name for name in properties if name not in required), None)
            if missing is not None:
                return f"{where}'required' must name every property, and {missing!r} is missing"
    return None


def _parts(schema: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """A schema and those inside it, with the path to each."""
    yield path, schema
    inside: list[tuple[tuple[str, ...], Any]] = [((name,), schema.get(name)) for name in _SCHEMAS]
    for name in _SCHEMAS_BY_NAME:
        entries = schema.get(name)
        inside += [((name, key), part) for key, part in entries.items()] if isinstance(entries, dict) else []
    for name in _LISTS_OF_SCHEMAS:
        entries = schema.get(name)
        inside += (
            [((name, str(place)), part) for place, part in enumerate(entries)]
            if isinstance(entries, list)
            else []
        )
    for steps, part in inside:
        if isinstance(part, dict):
            yield from _parts(part, (*path, *steps))

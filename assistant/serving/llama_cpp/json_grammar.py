"""JSON schemas as grammars for llama.cpp, whose library LLGuidance holds a completion to them token by token.

LLGuidance passes over what it does not know, and where it refuses a schema llama.cpp goes on without a grammar. So what
it cannot enforce is refused here by name, and `LlamaServer.follows` tries each grammar before it is used.
"""

import json
from collections.abc import Callable
from typing import Any

from assistant.errors import FormatRefused
from assistant.serving.llama_cpp.byte_patterns import CHARACTER, over_bytes
from assistant.serving.llama_cpp.token_texts import shown

SIGN = "\x02"
"""What a grammar on trial begins with: no model writes it unless a grammar makes it."""
_OPTIONS = {
    # One line, as models write short JSON; free white space lets a small model write nothing else.
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "coerce_one_of": True,
}
_LARGEST = 2**53 - 1
"""Bound of a number that has none, or a larger one: what every JSON library reads exactly. Small models write digits
forever."""
_FINEST = 1e-6
"""What a number that has no step is a multiple of: small models write fractions forever too …"""
_NARROW = 1e-3
"""… unless its bounds are so near each other that it may need more digits."""
_KEPT = (
    *("type", "const", "enum", "$ref", "required", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
)
"""Keywords that LLGuidance enforces, beside those that are handled below. Others that state a condition are refused;
what else a schema has, such as titles and defaults, says nothing of the form."""
_REFUSED = (
    *("not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies"),
    *("contains", "minContains", "maxContains", "uniqueItems", "propertyNames"),
    *("unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$recursiveRef"),
)
_FORMATS = (*("date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"),)
"""Formats of texts that are enforced. By the standard the others are only hints."""


def _spelled(text: str) -> str:
    return shown(text.encode())


_BY_NAME: dict[str, Callable[[str], str]] = {
    "$defs": str,
    "definitions": str,
    "properties": _spelled,
    "patternProperties": over_bytes,
}
"""Keywords whose value has schemas by names, and what becomes of the names."""
_SINGLE = ("items", "additionalProperties", "additionalItems")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")


def grammar_of(schema: str, on_trial: bool = False) -> str:
    """The grammar of a JSON schema over the texts of a converted base's tokens. Raises FormatRefused.

    `on_trial`: with `SIGN` before the answer.
    """
    # An object has the properties that are listed, as people expect; parts that are put together must stay open.
    respelled = _respelled(json.loads(schema), is_closed="allOf" not in schema)
    answer = json.dumps({"x-guidance": _OPTIONS} | respelled, ensure_ascii=False)
    start = f"start: SIGN answer\nSIGN: {json.dumps(SIGN)}\n" if on_trial else "start: answer\n"
    # Without forcing, which would need llama.cpp to tokenize, and is only faster.
    return f'%llguidance {{"no_forcing": true}}\n{start}answer: %json {answer}'


def _respelled(schema: Any, is_closed: bool) -> Any:
    """A schema of the texts that tokens have, with the keywords that are enforced. Raises FormatRefused."""
    if not isinstance(schema, dict):
        return schema
    for name in _REFUSED:
        if schema.get(name) not in (None, False):
            raise FormatRefused(
                f"{name!r} cannot be enforced here. Leave it out, and check the answer for it."
            )

    def inside(part: Any) -> Any:
        return _respelled(part, is_closed)

    new = {name: _in_texts(schema[name]) for name in _KEPT if name in schema}
    for name, key in _BY_NAME.items():
        if name in schema:
            parts, of_names = schema[name], isinstance(schema[name], dict)
            new[name] = {key(entry): inside(part) for entry, part in parts.items()} if of_names else parts
    new |= {name: inside(schema[name]) for name in _SINGLE if name in schema}
    for name in _LISTS:
        if name in schema:
            parts = schema[name]
            new[name] = [inside(part) for part in parts] if isinstance(parts, list) else parts
    if is_closed and "properties" in new and "patternProperties" not in new:
        new.setdefault("additionalProperties", False)
    if {"integer", "number"} & set(_types(schema)) and not {"enum", "const"} & set(schema):
        new |= _bounds(schema)
    return new | _text_conditions(schema)


def _bounds(schema: dict[str, Any]) -> dict[str, Any]:
    """Bounds of a number: its own where they are nearer to zero than the largest, and a step if it has none."""
    low, high = schema.get("minimum", -_LARGEST), schema.get("maximum", _LARGEST)
    if type(low) not in (int, float) or type(high) not in (int, float):
        return {}  # for LLGuidance to refuse
    bounds: dict[str, Any] = {"minimum": max(low, -_LARGEST), "maximum": min(high, _LARGEST)}
    if "number" in _types(schema) and bounds["maximum"] - bounds["minimum"] > _NARROW:
        bounds["multipleOf"] = schema.get("multipleOf", _FINEST)
    return bounds


def _text_conditions(schema: dict[str, Any]) -> dict[str, Any]:
    """What a schema says of a text: lengths are counted by its pattern, in characters."""
    lengths = {name: schema[name] for name in ("minLength", "maxLength") if name in schema}
    if "pattern" in schema:
        pattern = schema["pattern"]
        return lengths | {"pattern": over_bytes(pattern) if isinstance(pattern, str) else pattern}
    if schema.get("format") in _FORMATS:
        return lengths | {"format": schema["format"]}
    if lengths or ("string" in _types(schema) and not {"enum", "const"} & set(schema)):
        count = f"{{{lengths.get('minLength', 0)},{lengths.get('maxLength', '')}}}"
        return {"pattern": f"^{CHARACTER}{count}$"}
    return {}


def _types(schema: dict[str, Any]) -> list[Any]:
    kind = schema.get("type")
    return kind if isinstance(kind, list) else [kind]


def _in_texts(value: Any) -> Any:
    if isinstance(value, str):
        return _spelled(value)
    if isinstance(value, list):
        return [_in_texts(part) for part in value]
    if isinstance(value, dict):
        return {_spelled(name): _in_texts(part) for name, part in value.items()}
    return value

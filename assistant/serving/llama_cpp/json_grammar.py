"""JSON schemas as grammars for llama.cpp, whose library LLGuidance holds a completion to them token by token.

LLGuidance passes over what it does not know, and where it refuses a schema llama.cpp goes on without a grammar. So what
it cannot enforce is refused here by name, and `LlamaServer.follows` tries each grammar before it is used.
"""

import json
from collections.abc import Callable
from typing import Any

from assistant.errors import FormatRefused
from assistant.serving.llama_cpp.token_texts import STRAY, shown
from assistant.serving.tokenizing.token_bytes import token_bytes
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer

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
"""Bound of an integer that has none: what every JSON library reads exactly. Small models write digits forever."""
_KEPT = (
    *("type", "const", "enum", "$ref", "required", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "pattern"),
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
_BY_NAME = ("$defs", "definitions", "properties", "patternProperties")
_SINGLE = ("items", "additionalProperties", "additionalItems")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")


def grammar_of(schema: str, tokenizer: Tokenizer, on_trial: bool = False) -> str:
    """The grammar of a JSON schema over the texts of a converted base's tokens. Raises FormatRefused.

    `on_trial`: with `SIGN` before the answer.
    """
    content = json.loads(schema)
    # An object has the properties that are listed, as people expect; parts that are put together must stay open.
    is_closed = "allOf" not in schema
    respelled = _respelled(content, lambda text: _spelled(tokenizer, text), is_closed)
    answer = json.dumps({"x-guidance": _OPTIONS} | respelled, ensure_ascii=False)
    start = f"start: SIGN answer\nSIGN: {json.dumps(SIGN)}\n" if on_trial else "start: answer\n"
    # Without forcing, which would need llama.cpp to tokenize, and is only faster.
    return f'%llguidance {{"no_forcing": true}}\n{start}answer: %json {answer}'


def _respelled(schema: Any, spell: Callable[[str], str], is_closed: bool) -> Any:
    """A schema of the texts that tokens have, with the keywords that are enforced. Raises FormatRefused."""
    if not isinstance(schema, dict):
        return schema
    for name in _REFUSED:
        if schema.get(name) not in (None, False):
            raise FormatRefused(
                f"{name!r} cannot be enforced here. Leave it out, and check the answer for it."
            )

    def inside(part: Any) -> Any:
        return _respelled(part, spell, is_closed)

    new = {name: _in_texts(schema[name], spell) for name in _KEPT if name in schema}
    for name in _BY_NAME:
        if name in schema:
            key: Callable[[str], str] = spell if name == "properties" else str
            parts = schema[name]
            of_names = isinstance(parts, dict)
            new[name] = {key(entry): inside(part) for entry, part in parts.items()} if of_names else parts
    new |= {name: inside(schema[name]) for name in _SINGLE if name in schema}
    for name in _LISTS:
        if name in schema:
            parts = schema[name]
            new[name] = [inside(part) for part in parts] if isinstance(parts, list) else parts
    if is_closed and "properties" in new and "patternProperties" not in new:
        new.setdefault("additionalProperties", False)
    if "integer" in _types(schema):
        new = {"minimum": -_LARGEST, "maximum": _LARGEST} | new
    if schema.get("format") in _FORMATS:
        new["format"] = schema["format"]
    lengths = {name: schema[name] for name in ("minLength", "maxLength") if name in schema}
    if lengths and not {"pattern", "format"} & set(new):
        least, most = lengths.get("minLength", 0), lengths.get("maxLength", "")
        return new | {"pattern": f"^(?s:{_CHARACTER}){{{least},{most}}}$"}
    return new | lengths


def _types(schema: dict[str, Any]) -> list[Any]:
    kind = schema.get("type")
    return kind if isinstance(kind, list) else [kind]


def _in_texts(value: Any, spell: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return spell(value)
    if isinstance(value, list):
        return [_in_texts(part, spell) for part in value]
    if isinstance(value, dict):
        return {spell(name): _in_texts(part, spell) for name, part in value.items()}
    return value


def _spelled(tokenizer: Tokenizer, text: str) -> str:
    """`text` as the model's tokens can write it: a character that no token has whole, by its bytes."""
    if text.isascii():
        return text
    ids = tokenizer(text, add_special_tokens=False).input_ids
    written = "".join(shown(token_bytes(tokenizer, token)) for token in ids)
    return "".join(letter if letter.isascii() or letter in written else _bytes_of(letter) for letter in text)


def _bytes_of(letter: str) -> str:
    return "".join(chr(STRAY + byte) for byte in letter.encode())


def _bytes_between(first: int, last: int) -> str:
    return f"[{chr(STRAY + first)}-{chr(STRAY + last)}]"


_NEXT = _bytes_between(0x80, 0xBF)
_CHARACTER = "|".join(
    (
        f"[^{chr(STRAY + 0x80)}-{chr(STRAY + 0xFF)}]",
        f"{_bytes_between(0xC2, 0xDF)}{_NEXT}",
        f"{_bytes_between(0xE0, 0xEF)}{_NEXT}{{2}}",
        f"{_bytes_between(0xF0, 0xF4)}{_NEXT}{{3}}",
    )
)
"""A character, whole or by its bytes, as a regular expression."""

"""Patterns over characters as patterns over their bytes."""

import re

import pytest

from assistant.errors import FormatRefused
from assistant.serving.llama_cpp.byte_patterns import CHARACTER, over_bytes
from assistant.serving.llama_cpp.token_texts import shown

TEXTS = [
    "",
    "a",
    "abc",
    "é",
    "éa",
    "aé",
    "中文",
    "😀",
    "a中😀",
    "\n",
    "x-y",
    "(é)",
    "]",
    "é{2}",
    "éé",
    "12",
    "a 1",
]


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"a", r"^.$", r"^.{2}$", r"^é+$", r"^(é|中文)$", r"^[^a]$", r"^[^a]+$", r"^[a-c]*$", r"^é{2}$"),
        *(r"^\(é\)$", r"^\]$", r"^[]]$", r"^[^]]$", r"^\w+$", r"^\D$", r"^\S+$", r"^[\d\s a]+$", r"^a?.$"),
    ],
)
def test_a_text_matches_by_its_bytes_if_it_matches_by_its_characters(pattern: str) -> None:
    # Python's \\w knows letters beyond ASCII, JSON Schema's does not.
    for text in TEXTS:
        by_characters = re.search(pattern, text, re.ASCII) is not None
        assert (re.search(over_bytes(pattern), shown(text.encode())) is not None) == by_characters, text


def test_a_character_is_whole() -> None:
    for letter in ("a", "é", "中", "😀", "\n"):
        spelled = shown(letter.encode())
        assert re.fullmatch(CHARACTER, spelled)
        assert len(spelled) == 1 or not re.fullmatch(CHARACTER, spelled[:-1])
        assert len(spelled) == 1 or not re.fullmatch(CHARACTER, spelled[1:])


@pytest.mark.parametrize("pattern", ["[à-ü]", "[^é]", r"\p{L}+", r"\u4e00", r"a\x41", "[一-龥]+"])
def test_what_cannot_be_spelled_by_bytes_is_refused(pattern: str) -> None:
    with pytest.raises(FormatRefused, match="in a pattern cannot be enforced"):
        over_bytes(pattern)

"""Regular expressions over characters as expressions over the texts of tokens, in which characters are bytes."""

import re

from assistant.errors import FormatRefused
from assistant.serving.llama_cpp.token_texts import STAND_IN, shown


def _bytes_between(first: int, last: int) -> str:
    return f"[{chr(STAND_IN + first)}-{chr(STAND_IN + last)}]"


_STAND_INS = f"{chr(STAND_IN + 0x80)}-{chr(STAND_IN + 0xFF)}"
_NEXT = _bytes_between(0x80, 0xBF)
_BEYOND_ASCII = "|".join(
    (
        f"{_bytes_between(0xC2, 0xDF)}{_NEXT}",
        f"{_bytes_between(0xE0, 0xEF)}{_NEXT}{{2}}",
        f"{_bytes_between(0xF0, 0xF4)}{_NEXT}{{3}}",
    )
)
"""A character beyond ASCII, by its bytes in UTF-8."""
CHARACTER = f"(?s:[^{_STAND_INS}]|{_BEYOND_ASCII})"
"""Any character."""
_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
"""An escape, a class of characters, or one character."""


def over_bytes(pattern: str) -> str:
    """The pattern that texts of tokens match where the texts themselves match `pattern`.

    Raises FormatRefused for characters beyond ASCII where they cannot be spelled by their bytes.
    """
    return "".join(_part_over_bytes(part) for part in _PART.findall(pattern))


def _part_over_bytes(part: str) -> str:
    if part == ".":
        return f"(?:[^\\n{_STAND_INS}]|{_BEYOND_ASCII})"
    if part in (r"\D", r"\W", r"\S"):
        return f"(?:[^{part.lower()}{_STAND_INS}]|{_BEYOND_ASCII})"
    is_class = part.startswith("[") and part.endswith("]")
    if re.search(r"\\[pPux]", part) or (is_class and not part.isascii()):
        raise FormatRefused(
            f"{part[:50]!r} in a pattern cannot be enforced here: outside of ASCII only whole characters can, "
            "no classes or escapes of them. Simplify the pattern, or leave it out."
        )
    if is_class and part.startswith("[^"):
        return f"(?:{part[:-1]}{_STAND_INS}]|{_BEYOND_ASCII})"
    return part if part.isascii() else f"(?:{shown(part.encode())})"

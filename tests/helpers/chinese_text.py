"""Finds English words left in Chinese texts."""

from __future__ import annotations

import re

KNOWN = re.compile(r"\b(v\d+|kto|dpo|ppo|KL|p|python|alignment|release|m|repeated|T|e|person|state|json)\b")


def english_left(chinese: str) -> list[str]:
    """English words in a Chinese text, except names, commands and symbols."""
    return re.findall(r"[A-Za-z]{2,}", KNOWN.sub("", chinese))

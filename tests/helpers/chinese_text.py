"""Finds English words left in Chinese text."""

from __future__ import annotations

import re

KNOWN = re.compile(r"\b(v\d+|kto|dpo|ppo|KL|p|python|alignment|release|m|repeated|T|e|person|state|json)\b")


def english_left(chinese: str) -> list[str]:
    """Words that nobody translated; names, commands and figures are none."""
    return re.findall(r"[A-Za-z]{2,}", KNOWN.sub("", chinese))

"""Access to the starter's written texts (`text/*.yaml`), and rules that all generators share for phrasings.

A phrasing is identified by its normalised text: case and punctuation vary freely on either side of the split, and a
question that is held out of training is held out in every spelling.
"""

import functools
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from alignment.starter.tasks.drawn_task import Language, Split, split_of

FOLDER = Path(__file__).with_name("text")
END_PUNCTUATION = "?.!？。！"


@functools.cache
def load(name: str) -> Any:
    """Read the data file `name` ("concepts.en.yaml"), once per process."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def normalised(phrasing: str) -> str:
    """The phrasing in lower case without spaces and punctuation, which identifies it.

    >>> normalised("What is a token?")
    'whatisatoken'
    """
    return re.sub(r"[\W_]+", "", phrasing.lower()) or phrasing.strip()


def divide(phrasings: Sequence[str], *identity: object, common: int = 0) -> dict[Split, list[str]]:
    """Divide the phrasings of one thing (`identity`) by their hashes; neither side stays empty.

    A tenth is held out. If that leaves the test side empty, the share grows until it has one, so that the result
    depends on the phrasings alone. The first `common` are what nearly everybody says ("Thanks"), and are always
    trained on. Raises ValueError for fewer than two phrasings.
    """
    distinct: dict[str, str] = {}
    for phrasing in phrasings:
        distinct.setdefault(normalised(phrasing), phrasing)
    always = set(list(distinct)[:common])
    if len(distinct) < 2:
        raise ValueError(f"{identity}: needs two or more phrasings to hold one out, has {len(distinct)}")
    for percent in range(10, 101):
        sides: dict[Split, list[str]] = {"train": [], "test": []}
        for key, phrasing in distinct.items():
            side = "train" if key in always else split_of(*identity, key, test_share=percent / 100)
            sides[side].append(phrasing)
        if sides["test"]:
            break
    if not sides["train"]:
        sides["train"] = [sides["test"].pop()]
    return sides


def vary(rng: random.Random, phrasing: str, language: Language) -> str:
    """The phrasing as people type it: sometimes without its last mark, in lower or in upper case."""
    draw = rng.random()
    bare = phrasing.rstrip(END_PUNCTUATION)
    if language == "zh":
        if draw < 0.25:
            return bare
        return bare + "?" if draw < 0.35 and phrasing.endswith("？") else phrasing
    if draw < 0.15:
        return phrasing.lower()
    if draw < 0.3:
        return bare.lower()
    if draw < 0.4:
        return bare
    return phrasing.upper() if draw < 0.41 else phrasing


def without_article(name: str) -> str:
    """The name alone: "a token" becomes "token". Chinese names have no article and stay."""
    first, _, rest = name.partition(" ")
    return rest if first in ("a", "an", "the") else name

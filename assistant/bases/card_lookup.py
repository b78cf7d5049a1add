"""Which card a base has, by its name: a built-in one for SmolLM2, the starter and Qwen3, else a neutral one.

A neutral card takes languages and licence from the header of the README.md beside the model's weights, if it has one.
"""

import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Any

import yaml

from assistant.bases.base import SMOLLM2, STARTER
from assistant.bases.built_in_cards import QWEN3_CARD, SMOLLM2_CARD, STARTER_CARD, neutral_card
from assistant.bases.model_card import ModelCard

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(:[^:]+)?")
_MOST_CHARACTERS = 50_000
"""Of a README.md that are read; its header stands at its beginning."""


@lru_cache(maxsize=32)
def card_of(base: str, home: Path | None = None) -> ModelCard:
    """The card of the base that a manifest calls `base`; `home` is where relative folders lie."""
    name = model_name(base)
    card = _built_in(base, name)
    if card is not None:
        return card
    header = _header(base, home)
    parent = _texts(header.get("base_model"))
    # Fine-tuning adds no language that it does not name, and a licence usually stays.
    origin = _built_in(parent[0], model_name(parent[0])) if parent else None
    languages, licence = _texts(header.get("language")), _texts(header.get("license"))
    if licence == ("other",):
        licence = _texts(header.get("license_name"))
    return neutral_card(
        name,
        languages or (origin.languages if origin else ()),
        licence[0] if licence else (origin.licence if origin else ""),
    )


def model_name(base: str) -> str:
    """The name to show for a base: the last part of a Hub id, of a folder or of a GGUF file.

    In the Hub's cache that is the repository's name, not the commit's; of weights that were trained here, the version.
    """
    parts = PurePath(base).parts
    if len(parts) > 2 and parts[-2] == "snapshots" and parts[-3].startswith("models--"):
        return parts[-3].split("--")[-1]
    if len(parts) > 2 and (parts[-3], parts[-1]) == ("versions", "base"):
        return parts[-2]
    last = parts[-1].rpartition(":")[2] if parts else base
    return last.removesuffix(".gguf") or base


def public_name(base: str, home: Path | None = None) -> str:
    """The base as clients may name it: a Hub id whole, anything else as `model_name`, never with its path."""
    is_hub_id = _HUB_ID.fullmatch(base) and not (home is not None and (home / base).exists())
    return base if is_hub_id else model_name(base)


def _built_in(base: str, name: str) -> ModelCard | None:
    lowered = name.lower()
    if base == STARTER:
        return STARTER_CARD
    if base == SMOLLM2:
        return SMOLLM2_CARD
    if lowered.startswith("smollm2-135m-instruct"):
        return replace(SMOLLM2_CARD, name=name)
    if lowered.startswith("smollm2-"):
        return neutral_card(name, SMOLLM2_CARD.languages, SMOLLM2_CARD.licence)
    if lowered.startswith("qwen3-"):
        return replace(QWEN3_CARD, name=name)
    return None


def _header(base: str, home: Path | None) -> dict[str, Any]:
    """The YAML header of the README.md beside a model's weights; empty if there is none or it cannot be read."""
    places = [*([home / base] if home is not None else []), Path(base).expanduser()]
    folder = next((place if place.is_dir() else place.parent for place in places if place.exists()), None)
    if folder is None:
        return {}
    try:
        with (folder / "README.md").open(encoding="utf-8") as file:
            text = file.read(_MOST_CHARACTERS)
        # With this loader everything is text: else "no", Norwegian, would be false.
        is_header = text.startswith("---\n")
        header = yaml.load(text.split("\n---", 1)[0], Loader=yaml.BaseLoader) if is_header else None
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return header if isinstance(header, dict) else {}


def _texts(value: object) -> tuple[str, ...]:
    """One text or a list of them as the Hub's headers have it; anything else counts as missing."""
    values = value if isinstance(value, list) else [value]
    return tuple(text.strip() for text in values if isinstance(text, str) and text.strip())

"""How a model's makers suggest that its replies are drawn: from its card, else from its generation_config.json."""

from pathlib import Path
from typing import Any

from assistant.bases.base import Base
from assistant.bases.base_source import fetched_folder
from assistant.bases.card_lookup import card_of
from assistant.bases.model_folder import read_json
from assistant.errors import EngineError, ModelError
from assistant.sampling_settings import DEFAULT_TEMPERATURE, Sampling

SUGGESTED = ("temperature", "top_p", "top_k", "min_p")
"""Settings that are taken from a suggestion, by the names that transformers, Ollama and this program share."""


def suggested_sampling(base: Base, home: Path) -> dict[str, Any]:
    """The suggested settings by name; a low temperature where there is no suggestion, or none that can be used."""
    if own := card_of(base.name, home).sampling:
        return dict(own)
    try:
        path = fetched_folder(base, home, weights=False) / "generation_config.json"
        configured = _checked(read_json(path)) if path.exists() else {}
    except (ModelError, EngineError):
        configured = {}
    return configured or {"temperature": DEFAULT_TEMPERATURE}


def _checked(configured: dict[str, Any]) -> dict[str, Any]:
    """The suggestion of a generation_config.json. Raises EngineError if a value is out of its range."""
    if configured.get("do_sample") is False:
        return {}
    settings = {name: configured[name] for name in SUGGESTED if _is_number(configured.get(name))}
    if "top_k" in settings:
        settings["top_k"] = int(settings["top_k"])
    Sampling(**settings)
    return settings


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Sampling settings and instructions of one browser. Values that a browser sends are checked; bad ones are dropped."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from assistant.sampling_settings import MAX_PAGE_TEMPERATURE, Sampling

MAX_SYSTEM = 8_000  # characters
MAX_TOKENS = 4_096
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Preferences:
    """Settings that differ from the server's; None means the server's own setting."""

    system: str = ""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_new_tokens: int | None = None
    seed: int | None = None
    """None draws a new seed for each reply."""

    def sampling(self, default: Sampling) -> Sampling:
        """The sampling settings of a reply; `default` holds the server's."""
        changed = {name: getattr(self, name) for name in ("temperature", "top_p", "top_k", "max_new_tokens")}
        return replace(default, **{name: value for name, value in changed.items() if value is not None})

    def changed(self) -> dict[str, Any]:
        """The settings that differ from the server's, for the browser to store."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


PRECISE = Preferences(temperature=0.0, top_p=1.0, top_k=0)
VARIED = Preferences(temperature=1.0, top_p=0.95, top_k=0)


def preferences(values: object) -> Preferences:
    """Preferences from a dictionary of numbers or of a form's texts; missing and out-of-range values are None."""
    settings = values if isinstance(values, dict) else {}
    system = settings.get("system")
    return Preferences(
        system=system[:MAX_SYSTEM] if isinstance(system, str) else "",
        temperature=_number(settings.get("temperature"), 0.0, MAX_PAGE_TEMPERATURE),
        top_p=_number(settings.get("top_p"), 0.05, 1.0),
        top_k=_whole(settings.get("top_k"), 0, 1_000),
        max_new_tokens=_whole(settings.get("max_new_tokens"), 1, MAX_TOKENS),
        seed=_whole(settings.get("seed"), 0, LARGEST_SEED),
    )


def preset(name: str, current: Preferences) -> Preferences:
    """ "precise", "varied", or any other name for the server's settings, which removes the instructions too."""
    values = {"precise": PRECISE, "varied": VARIED}.get(name)
    return Preferences() if values is None else replace(values, system=current.system)


def _number(value: object, least: float, most: float) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and least <= number <= most else None


def _whole(value: object, least: int, most: int) -> int | None:
    number = _number(value, least, most)
    return int(number) if number is not None and number == int(number) else None

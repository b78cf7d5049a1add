"""How this browser wants its answers drawn. What a browser kept or a form sent is read with care: bad values go."""

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
    """Settings that differ from the server's; None takes the server's."""

    system: str = ""
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_new_tokens: int | None = None
    seed: int | None = None
    """None draws a new one for each answer."""

    def sampling(self, default: Sampling) -> Sampling:
        """How answers are drawn, where `default` is what the server would do."""
        own = {name: getattr(self, name) for name in ("temperature", "top_p", "top_k", "max_new_tokens")}
        return replace(default, **{name: value for name, value in own.items() if value is not None})

    def kept(self) -> dict[str, Any]:
        """What the browser keeps: only what differs."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


PRECISE = Preferences(temperature=0.0, top_p=1.0, top_k=0)
VARIED = Preferences(temperature=1.0, top_p=0.95, top_k=0)


def preferences(given: object) -> Preferences:
    """Preferences from a dictionary of numbers or of a form's texts; what is missing or out of range is None."""
    values = given if isinstance(given, dict) else {}
    system = values.get("system")
    return Preferences(
        system=system[:MAX_SYSTEM] if isinstance(system, str) else "",
        temperature=_number(values.get("temperature"), 0.0, MAX_PAGE_TEMPERATURE),
        top_p=_number(values.get("top_p"), 0.05, 1.0),
        top_k=_whole(values.get("top_k"), 0, 1_000),
        max_new_tokens=_whole(values.get("max_new_tokens"), 1, MAX_TOKENS),
        seed=_whole(values.get("seed"), 0, LARGEST_SEED),
    )


def preset(name: str, now: Preferences) -> Preferences:
    """ "precise", "varied", or anything else for the server's own; the instructions stay, save on a reset."""
    chosen = {"precise": PRECISE, "varied": VARIED}.get(name)
    return Preferences() if chosen is None else replace(chosen, system=now.system)


def _number(value: object, least: float, most: float) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and least <= number <= most else None


def _whole(value: object, least: int, most: int) -> int | None:
    number = _number(value, least, most)
    return int(number) if number is not None and number == int(number) else None

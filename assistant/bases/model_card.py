"""What is known of a base as a model, for people: its name, languages and licence, and what it is good at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Thinking = Literal["native", "instructed", "none"]
"""How a model thinks before it answers: by its own template, because an instruction says so, or not at all."""


@dataclass(frozen=True)
class CardTexts:
    """What the page says of a model in one of its languages."""

    greeting: str
    welcome: str
    examples: tuple[str, ...]
    """Messages to try."""
    examples_language: str
    """Code of the language that the examples are in."""
    placeholder: str
    """Shown in the empty message box."""
    good_at: str = ""
    """Empty if nothing is known."""
    not_good_at: str = ""


@dataclass(frozen=True)
class ModelCard:
    """A model as people know it. Nothing in it names a place on this machine."""

    name: str
    texts: Mapping[str, CardTexts]
    """By the code of the page's language."""
    thinking: Thinking = "instructed"
    parameters: int | None = None
    """None if unknown."""
    licence: str = ""
    """As the Hub names licences, such as "apache-2.0"; empty if unknown."""
    languages: tuple[str, ...] = ()
    """Codes of the languages that the model knows; empty if unknown."""
    sampling: Mapping[str, float] = field(default_factory=dict)
    """How its replies are best drawn, by names of `Sampling`; empty if that is not known here."""

    @property
    def size(self) -> str:
        """The number of parameters as models are named by it, such as "4.9M" or "1.7B"; empty if unknown."""
        if self.parameters is None:
            return ""
        millions = self.parameters / 1e6
        return f"{millions / 1000:.1f}B" if millions >= 1000 else f"{millions:.1f}M"

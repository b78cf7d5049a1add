"""The texts that each language of the tour has. A missing translation is a missing argument on import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, eq=False)
class TourTexts:
    """The texts of one language of the tour. Fields ending in `_format` have named places for `str.format`.

    What the chat page calls the same, such as a thumb or the end token, is named by its texts.
    """

    code: str
    title: str
    to_chat: str
    intro_title: str
    intro: str
    contents: str
    live: str
    """The badge of a claim that can be tried on the page."""
    titles: dict[str, str]
    """By the name of a claim, in the order of the tour."""
    explanations: dict[str, str]
    next_format: str
    to_start: str

    verdicts: dict[str, str]
    """By the verdict of a result: held, partly, not held."""
    not_measured: str
    not_here: str
    plot_format: str
    """The alternative text of a plot, by the `title` of its claim."""
    again: str
    """What comes before the command that measures a claim again."""

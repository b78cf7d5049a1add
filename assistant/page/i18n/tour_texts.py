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

    # What can be tried
    ask: str
    limit_format: str
    """With `most`, the most characters that a field takes. Shown once it is full."""
    examples: str
    starting: str
    chain_questions: tuple[str, ...]
    what_next: str
    take_format: str
    draw: str
    draw_all: str
    chain_over: dict[str, str]
    """By how an answer ended: end, length."""
    seed_format: str
    drawn_seed_format: str
    """Before a finished answer: the `seed` that drew it."""
    other_seed_format: str
    same_seed: str
    drawn: str
    different_format: str
    """Of `count` answers, how many are `different`."""
    messages: tuple[str, ...]
    sides: dict[str, str]
    """Headings of answers side by side: base, v1, on, off."""
    sides_help: dict[str, str]
    aligned_format: str
    """The heading of a `version` that was trained on feedback, by its `stage`."""
    no_aligned: str
    tokens_format: str
    problems: tuple[str, ...]
    vote_questions: tuple[str, ...]
    write_two: str
    answer_format: str
    better: str
    replace_format: str
    row_kinds: dict[str, str]
    """By the format of a row: what it is, and which stages learn from it."""
    no_row: str
    same_answers: str
    """Why a choice between equal answers makes no row."""
    thought_stays: str
    """Beside the rows of a correction of an answer that has a thought."""
    empty_correction: str
    not_stored: str

    # What was measured
    verdicts: dict[str, str]
    """By the verdict of a result: held, partly, not held, untested."""
    is_met: dict[bool, str]
    """What the marks before a claim's conditions say."""
    enlarge: str
    measured: str
    """What unfolds the plot of a claim that can be tried."""
    not_measured: str
    not_here: str
    plot_format: str
    """The alternative text of a plot, by the `title` of its claim."""
    again_format: str
    """When a claim was measured; the command that measures it again follows."""
    figures_help: str
    """How to read the measurements."""

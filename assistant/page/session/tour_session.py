"""The state of one open tour: one per browser tab, kept on the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assistant.page.i18n.languages import LANGUAGES, TOUR_LANGUAGES, ChatTexts, TourTexts

if TYPE_CHECKING:
    from assistant.tour.answers import TourAnswer
    from assistant.tour.example_rows import Vote
    from assistant.tour.word_chain import WordChain


@dataclass
class TourSession:
    """The state of one tab. Handlers change it in place; views read it."""

    language: str = "en"
    runs: dict[str, int] = field(default_factory=dict)
    """Number of the latest run of each screen. An older run ends when it finds a newer number."""
    busy: set[str] = field(default_factory=set)
    """Screens on which something is being written."""
    errors: dict[str, str] = field(default_factory=dict)
    """By screen, what went wrong last."""

    question: str = ""
    """What the word chain answers."""
    chain: WordChain | None = None
    is_chain_chosen: bool = False
    """Whether the visitor chose one of its tokens."""
    chains: list[tuple[int, str]] = field(default_factory=list)
    """Seed and text of each finished answer to `question` that was drawn whole, in the order of drawing."""

    messages: dict[str, str] = field(default_factory=dict)
    """By screen, the message that is answered side by side."""
    sides: dict[str, dict[str, TourAnswer]] = field(default_factory=dict)
    """By screen, the answers by the names of their headings."""
    aligned: tuple[str, str] | None = None
    """Version and stage of the aligned answer, if there is one."""

    votes: list[Vote] = field(default_factory=list)
    """On the two answers: a thumb on one or on each, or one other vote."""
    correction: str = ""
    """The better answer that was written last; another vote leaves it in its field."""
    rows: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What the votes became, each row with its format."""

    @property
    def texts(self) -> TourTexts:
        """The tour's texts in this tab's language."""
        return TOUR_LANGUAGES[self.language]

    @property
    def chat_texts(self) -> ChatTexts:
        """The chat page's texts in this tab's language."""
        return LANGUAGES[self.language]

    def begin(self, screen: str) -> int:
        """Begin a run on a screen: the number by which it knows whether it is still the latest."""
        self.runs[screen] = self.runs.get(screen, 0) + 1
        self.busy.add(screen)
        self.errors.pop(screen, None)
        return self.runs[screen]

    def is_latest(self, screen: str, run: int) -> bool:
        """Whether no later run has begun on the screen."""
        return self.runs.get(screen) == run

    def end(self, screen: str, run: int) -> None:
        """End a run."""
        if self.is_latest(screen, run):
            self.busy.discard(screen)

"""The state of one open tour: one per browser tab, kept on the server."""

from __future__ import annotations

from dataclasses import dataclass

from assistant.page.i18n.languages import LANGUAGES, TOUR_LANGUAGES, ChatTexts, TourTexts


@dataclass
class TourSession:
    """The state of one tab. Handlers change it in place; views read it."""

    language: str = "en"

    @property
    def texts(self) -> TourTexts:
        """The tour's texts in this tab's language."""
        return TOUR_LANGUAGES[self.language]

    @property
    def chat_texts(self) -> ChatTexts:
        """The chat page's texts in this tab's language."""
        return LANGUAGES[self.language]

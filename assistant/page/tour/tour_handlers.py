"""Handlers of the tour's events. Each takes the tab's session, changes it, and returns the HTML of blocks by name."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from assistant.page.i18n.languages import TOUR_LANGUAGES
from assistant.page.session.tour_session import TourSession
from assistant.page.tour import tour_views as views

Drawn = dict[str, Markup]

EventData = dict[str, Any]
"""What the browser sent with the event: anything, from anybody; and `browser_language`, from its header."""


class TourHandlers:
    """Handlers of the tour's events."""

    def open(self, session: TourSession, data: EventData) -> Drawn:
        """Draw the page after it was loaded, in the language that the browser remembers."""
        wanted = (data.get("language"), data["browser_language"])
        session.language = next(code for code in wanted if isinstance(code, str) and code in TOUR_LANGUAGES)
        return self._draw(session)

    def language(self, session: TourSession, data: EventData) -> Drawn:
        """Switch to the next language."""
        codes = list(TOUR_LANGUAGES)
        session.language = codes[(codes.index(session.language) + 1) % len(codes)]
        return self._draw(session)

    def _draw(self, session: TourSession) -> Drawn:
        """The whole page."""
        drawn = {"head": views.head(session), "intro": views.intro(session)}
        for name in views.CLAIMS:
            drawn |= {name: views.screen(session, name), f"{name}-onward": views.onward(session, name)}
        return drawn

"""The languages of the chat page and of the tour, and the texts of errors in them.

A language is one `ChatTexts` and one `TourTexts` object, so that a missing translation fails on import. Tests look for
empty texts, and for texts elsewhere in the page's code and templates.
"""

from __future__ import annotations

from assistant.page.i18n.chat_chinese import CHINESE
from assistant.page.i18n.chat_english import ENGLISH
from assistant.page.i18n.chat_texts import ChatTexts
from assistant.page.i18n.tour_chinese import TOUR_CHINESE
from assistant.page.i18n.tour_english import TOUR_ENGLISH
from assistant.page.i18n.tour_texts import TourTexts

__all__ = [
    "CHINESE",
    "ENGLISH",
    "LANGUAGES",
    "TOUR_LANGUAGES",
    "ChatTexts",
    "TourTexts",
    "browser_language",
    "explained",
]

LANGUAGES = {texts.code: texts for texts in (ENGLISH, CHINESE)}
TOUR_LANGUAGES = {texts.code: texts for texts in (TOUR_ENGLISH, TOUR_CHINESE)}


def browser_language(accept_language: str) -> str:
    """The page's language for an `Accept-Language` header: the first listed language that the page has.

    Browsers list languages in order of preference, so that the weights can be ignored.
    """
    for part in accept_language.split(","):
        code = part.split(";")[0].strip().lower().split("-")[0]
        if code in LANGUAGES:
            return code
    return ENGLISH.code


def explained(texts: ChatTexts, error: Exception) -> str:
    """The text for an error, by its class or its nearest base class that has one. Its own message is for the log."""
    by_class = (texts.errors.get(kind.__name__) for kind in type(error).__mro__)
    return next((text for text in by_class if text), texts.unexpected).format_map(vars(error))

"""Every word the page shows, in English and Chinese, from one place.

A language is one `ChatTexts` value. A missing translation is therefore a missing argument, which fails on import;
the tests also look for empty texts and for page code that shows a text of its own.
"""

from __future__ import annotations

from assistant.page.i18n.chat_chinese import CHINESE
from assistant.page.i18n.chat_english import ENGLISH
from assistant.page.i18n.chat_texts import ChatTexts

__all__ = ["CHINESE", "ENGLISH", "LANGUAGES", "ChatTexts", "browser_language", "explained"]

LANGUAGES = {texts.code: texts for texts in (ENGLISH, CHINESE)}


def browser_language(accept_language: str) -> str:
    """The page's language for an `Accept-Language` header: the first one listed that the page speaks.

    Browsers list languages in order of preference, so the weights need not be read.
    """
    for part in accept_language.split(","):
        code = part.split(";")[0].strip().lower().split("-")[0]
        if code in LANGUAGES:
            return code
    return ENGLISH.code


def explained(texts: ChatTexts, error: Exception) -> str:
    """What an error means for the person, by its nearest named class. Its own sentence is for whoever runs the app."""
    named = (texts.errors.get(kind.__name__) for kind in type(error).__mro__)
    return next((text for text in named if text), texts.unexpected).format_map(vars(error))

"""Every word the dashboard shows, in English and Chinese."""

from __future__ import annotations

from assistant.errors import ConversationError, EngineError, PromptError
from assistant.page.i18n import languages as chat_words
from assistant.page.i18n.dashboard_chinese import CHINESE
from assistant.page.i18n.dashboard_english import ENGLISH
from assistant.page.i18n.dashboard_texts import DashboardTexts
from assistant.page.i18n.loop_chinese import in_chinese, report_in_chinese

__all__ = ["LANGUAGES", "DashboardTexts", "said", "said_in_report", "told"]

LANGUAGES = {texts.code: texts for texts in (ENGLISH, CHINESE)}


def said(texts: DashboardTexts, text: str) -> str:
    """A sentence of the loop's, which it writes in English, in the page's language."""
    return in_chinese(text) if texts.code == CHINESE.code else text


def said_in_report(texts: DashboardTexts, markdown: str) -> str:
    """A cycle's report, likewise."""
    return report_in_chinese(markdown) if texts.code == CHINESE.code else markdown


def told(texts: DashboardTexts, error: Exception) -> str:
    """An error in the page's language, with the details that an admin needs.

    In Chinese by its sentence, where that is known; else by its kind, as the chat page tells it, with the sentence
    behind it unless the kind says it all.
    """
    text = str(error)
    if texts.code != CHINESE.code:
        return text
    if (known := in_chinese(text)) != text:
        return known
    kind = chat_words.explained(chat_words.CHINESE, error)
    if isinstance(error, ConversationError | EngineError | PromptError):
        return kind
    return texts.details_format.format(kind=kind, details=text)

"""The languages of the dashboard, and the texts of errors in them."""

from __future__ import annotations

from assistant.errors import ConversationError, EngineError, PromptError
from assistant.events.describe import describe
from assistant.events.event_error import event_of
from assistant.page.i18n import languages as chat_languages
from assistant.page.i18n.dashboard_chinese import CHINESE
from assistant.page.i18n.dashboard_english import ENGLISH
from assistant.page.i18n.dashboard_texts import DashboardTexts

__all__ = ["LANGUAGES", "DashboardTexts", "error_text"]

LANGUAGES = {texts.code: texts for texts in (ENGLISH, CHINESE)}


def error_text(texts: DashboardTexts, error: Exception) -> str:
    """An error in the page's language, with the details that an admin needs.

    English shows the error's own text. In Chinese an error that carries an event is described; any other is explained
    by its class, as the chat page does, with its English text behind unless the explanation says it all.
    """
    if texts.code == ENGLISH.code:
        return str(error)
    event = event_of(error)
    if event.code != "error":
        return describe(event, texts.code)
    explanation = chat_languages.explained(chat_languages.LANGUAGES[texts.code], error)
    if isinstance(error, ConversationError | EngineError | PromptError):
        return explanation
    return texts.details_format.format(kind=explanation, details=event.params["text"])

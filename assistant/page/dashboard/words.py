"""Every word the dashboard shows, in English and Chinese."""

from __future__ import annotations

from assistant.page.dashboard.chinese import CHINESE
from assistant.page.dashboard.english import ENGLISH
from assistant.page.dashboard.loop_chinese import in_chinese, report_in_chinese
from assistant.page.dashboard.vocabulary import DashboardWords

__all__ = ["LANGUAGES", "DashboardWords", "said", "said_in_report"]

LANGUAGES = {words.code: words for words in (ENGLISH, CHINESE)}


def said(words: DashboardWords, text: str) -> str:
    """A sentence of the loop's, which it writes in English, in the page's language."""
    return in_chinese(text) if words.code == CHINESE.code else text


def said_in_report(words: DashboardWords, markdown: str) -> str:
    """A cycle's report, likewise."""
    return report_in_chinese(markdown) if words.code == CHINESE.code else markdown

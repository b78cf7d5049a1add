"""Every word the dashboard shows, in English and Chinese."""

from __future__ import annotations

from assistant.page.dashboard.chinese import CHINESE
from assistant.page.dashboard.english import ENGLISH
from assistant.page.dashboard.vocabulary import DashboardWords

__all__ = ["LANGUAGES", "DashboardWords"]

LANGUAGES = {words.code: words for words in (ENGLISH, CHINESE)}

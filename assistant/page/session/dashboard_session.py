"""What one open dashboard knows. Lives on the server, one per browser tab; nothing of it says who is an admin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from assistant.page.i18n.dashboard_languages import LANGUAGES, DashboardWords

if TYPE_CHECKING:
    from assistant.chat.reply_stream import Update

SKIP: Any = gr.skip()


class Screen(NamedTuple):
    """New values of the page's blocks, in the order in which `page.py` lists them; SKIP leaves one alone."""

    head: Any = SKIP
    live: Any = SKIP
    body: Any = SKIP
    duel: Any = SKIP
    panel: Any = SKIP


@dataclass
class Duel:
    """A message that two versions answer."""

    prompt: str = ""
    first: str = ""
    second: str = ""
    think: bool = True
    left: Update | None = None
    right: Update | None = None
    writing: bool = False
    choice: str | None = None


@dataclass
class DashboardSession:
    """The state of one tab. Handlers change it in place; the views draw it."""

    language: str = "en"
    view: str = "overview"
    notice: str = ""
    notice_is_error: bool = False
    working: bool = False  # a cycle was seen at work when the page was last drawn
    plan: list[str] = field(default_factory=list)  # what a cycle would do, in its words
    candidate: str = ""  # chosen for a live comparison
    duel: Duel = field(default_factory=Duel)
    run: int = 0  # number of the latest duel; an older one that finds a newer number ends itself
    drawn: int = 0  # how often the page was drawn: the same notice twice is two notices

    @property
    def words(self) -> DashboardWords:
        """The texts in this tab's language."""
        return LANGUAGES[self.language]

    def say(self, text: str, error: bool = False) -> None:
        """Show a line on top."""
        self.notice, self.notice_is_error = text, error

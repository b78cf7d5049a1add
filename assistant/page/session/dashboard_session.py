"""The state of one open dashboard: one per browser tab, kept on the server. Nothing in it says who is an admin."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from assistant.events.event import Event
from assistant.page.i18n.dashboard_languages import LANGUAGES, DashboardTexts

if TYPE_CHECKING:
    from assistant.chat.reply_stream import Update

SKIP: Any = gr.skip()


class DashboardUpdate(NamedTuple):
    """New values of the page's blocks, in the order of `dashboard_page.py`; SKIP leaves a block as it is."""

    head: Any = SKIP
    status: Any = SKIP
    body: Any = SKIP
    answers: Any = SKIP
    panel: Any = SKIP


@dataclass
class SideBySide:
    """A message that two versions answer."""

    prompt: str = ""
    version_a: str = ""
    version_b: str = ""
    think: bool | None = None
    """None until the admin has decided."""
    left: Update | None = None
    right: Update | None = None
    writing: bool = False
    choice: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether both answers are written, neither stopped nor failed: else there is nothing to choose between."""
        sides = (self.left, self.right)
        return not self.writing and all(side and side.finish_reason in ("end", "length") for side in sides)

    @property
    def is_same(self) -> bool:
        """Whether both are whole and the same, the thought too, so that there is nothing to choose between."""
        left, right = self.left, self.right
        if left is None or right is None or {left.finish_reason, right.finish_reason} != {"end"}:
            return False
        return (left.thought.strip(), left.answer.strip()) == (right.thought.strip(), right.answer.strip())


@dataclass
class DashboardSession:
    """The state of one tab. Handlers change it in place; views read it."""

    language: str = "en"
    view: str = "overview"
    notice: str = ""
    notice_is_error: bool = False
    cycle_running: bool = False
    """Whether a cycle was running when the page was last drawn."""
    plan: list[Event] = field(default_factory=list)
    """What a cycle would do: the events of a dry run."""
    candidate: str = ""
    """The version that the form for a live comparison begins with."""
    side_by_side: SideBySide = field(default_factory=SideBySide)
    asked: set[str] = field(default_factory=set)
    """Questions that this tab was offered: the same answers leave nothing to choose, and would again."""
    run: int = 0
    """Number of the latest side-by-side run. An older run stops when it finds a newer number."""
    drawn: int = 0
    """How often the page was drawn, so that a screen reader announces a repeated notice again."""

    @property
    def texts(self) -> DashboardTexts:
        """The texts in this tab's language."""
        return LANGUAGES[self.language]

    def notify(self, text: str, error: bool = False) -> None:
        """Show a notice on top of the page; an empty `text` clears it."""
        self.notice, self.notice_is_error = text, error

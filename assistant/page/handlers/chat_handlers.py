"""What happens on each click: named functions between the page's events and the chat.

Each takes the tab's session, changes it, and returns a `Screen`. Errors meant for people become a line
under the conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.page.handlers.branching import Branching
from assistant.page.handlers.conversation_list import Shelving
from assistant.page.handlers.opening import Opening
from assistant.page.handlers.panels import Panels
from assistant.page.handlers.rating import Judging
from assistant.page.handlers.sending import Sending

if TYPE_CHECKING:
    from assistant.page.handlers.shared import Desk


class Handlers:
    """All handlers over one `Desk`, by what they are about."""

    def __init__(self, desk: Desk) -> None:
        self.opening = Opening(desk)
        self.sending = Sending(desk)
        self.branching = Branching(desk)
        self.judging = Judging(desk)
        self.shelving = Shelving(desk)
        self.panels = Panels(desk)

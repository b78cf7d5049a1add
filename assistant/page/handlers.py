"""What happens on each click: named functions between the page's events and the chat.

Each takes the tab's session, changes it, and returns a `Screen`. Errors meant for people become a line
under the conversation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.page.branching import Branching
from assistant.page.judging import Judging
from assistant.page.opening import Opening
from assistant.page.panels import Panels
from assistant.page.sending import Sending
from assistant.page.shelving import Shelving

if TYPE_CHECKING:
    from assistant.page.desk import Desk


class Handlers:
    """All handlers over one `Desk`, by what they are about."""

    def __init__(self, desk: Desk) -> None:
        self.opening = Opening(desk)
        self.sending = Sending(desk)
        self.branching = Branching(desk)
        self.judging = Judging(desk)
        self.shelving = Shelving(desk)
        self.panels = Panels(desk)

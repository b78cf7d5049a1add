"""What the dashboard stands on: the chat with its engine, the store, the levers, and the door."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from assistant.admin.actions import Control
    from assistant.auth.admins import Admins
    from assistant.chat.chat import Chat
    from assistant.registry.versions import Manifest, Versions
    from feedback_store import FeedbackStore


@dataclass(frozen=True)
class Office:
    """All that handlers and views of the dashboard use."""

    chat: Chat
    store: FeedbackStore
    control: Control
    admins: Admins

    @property
    def home(self) -> Path:
        """The folder of feedback and versions."""
        return self.control.home

    @property
    def versions(self) -> Versions:
        """The registry."""
        return self.control.versions

    def candidates(self) -> list[Manifest]:
        """Versions that the gate promoted over the one that is released now, the newest first."""
        released = self.versions.released()
        return [
            one
            for one in reversed(self.versions.servable())
            if one.id != released
            and one.gate is not None
            and (one.gate.get("verdict"), one.gate.get("released")) == ("promote", released)
        ]

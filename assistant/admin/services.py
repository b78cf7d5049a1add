"""The services of the app that the dashboard uses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.registry import live_comparison

if TYPE_CHECKING:
    from assistant.admin.actions import AdminActions
    from assistant.auth.admins import Admins
    from assistant.chat.chat import Chat
    from assistant.registry.versions import Manifest, Versions
    from feedback_store import FeedbackStore


@dataclass(frozen=True)
class AdminServices:
    """Services that the handlers and views of the dashboard share."""

    chat: Chat
    store: FeedbackStore
    actions: AdminActions
    admins: Admins

    @property
    def home(self) -> Path:
        """The data directory: feedback, versions and cycles."""
        return self.actions.home

    @property
    def versions(self) -> Versions:
        """The registry of versions."""
        return self.actions.versions

    def candidates(self) -> list[Manifest]:
        """Versions that may be compared live with the released one, the newest first: promoted, or left to people."""
        released = self.versions.released()
        return [
            manifest
            for manifest in reversed(self.versions.servable())
            if manifest.id != released and live_comparison.may_be_tried(manifest.gate, released)
        ]

    def can_roll_back(self) -> bool:
        """Whether more than one version has been released so far."""
        return self.versions.released_before() is not None

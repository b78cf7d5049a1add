"""Versions without weights, for tests of the registry and the dashboard."""

from __future__ import annotations

from typing import Any

from assistant.bases.base import Base
from assistant.registry.versions import Manifest, Versions, now


def add(versions: Versions, parent: str | None = None, **more: Any) -> str:
    """Add a version without weights; its id."""
    with versions.staging() as folder:
        base = more.pop("base", Base("starter", ""))
        manifest = Manifest(versions.next_id(), base, parent, more.pop("stage", "kto"), now(), **more)
        return versions.add(manifest, folder).id

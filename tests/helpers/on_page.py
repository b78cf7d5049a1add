"""Small steps over the page's handlers, without a browser."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from assistant.page.handlers.chat_handlers import Handlers
from assistant.page.handlers.updates import Screen
from assistant.page.session.chat_session import Session


def event(order: int = 1, **data: Any) -> Any:
    """What the browser sends with an event."""
    return SimpleNamespace(order=order, **data)


def request(accept_language: str = "en") -> Any:
    return SimpleNamespace(headers={"accept-language": accept_language})


def collect(screens: Any) -> list[Screen]:
    async def run() -> list[Screen]:
        return [screen async for screen in screens]

    return asyncio.run(run())


def say(handlers: Handlers, session: Session, text: str) -> list[Screen]:
    return collect(handlers.sending.send(text, session))


def shown(screen: Screen) -> str:
    return "".join(screen.view)

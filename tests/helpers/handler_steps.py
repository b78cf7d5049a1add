"""Calls of the page's handlers without a browser."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from assistant.page.chat_events import ChatHandlers
from assistant.page.handlers.page_update import PageUpdate
from assistant.page.session.chat_session import ChatSession


def event(order: int = 1, **data: Any) -> Any:
    """An event as the browser sends it."""
    return SimpleNamespace(order=order, **data)


def request(accept_language: str = "en") -> Any:
    return SimpleNamespace(headers={"accept-language": accept_language})


def collect(screens: Any) -> list[PageUpdate]:
    async def run() -> list[PageUpdate]:
        return [screen async for screen in screens]

    return asyncio.run(run())


def say(handlers: ChatHandlers, session: ChatSession, text: str) -> list[PageUpdate]:
    return collect(handlers.sending.send(text, session))


def shown(screen: PageUpdate) -> str:
    return "".join(screen.conversation)

"""What an update sends to a tab: of the conversation and the list, the blocks that the tab does not have."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from assistant.page.handlers.page_update import SKIP, PageUpdate
from assistant.page.session.chat_session import ChatSession
from assistant.page.views import sidebar


class _Patches:
    """The patches of one event."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self._session = next(argument for argument in arguments if isinstance(argument, ChatSession))
        self._messages, self._titles = self._session.sent_messages.shown, self._session.sent_titles.shown

    def patch(self, update: PageUpdate) -> PageUpdate:
        session, conversation, titles = self._session, update.conversation, update.conversation_list
        if conversation is not SKIP:
            attributes = {
                "data-state": sidebar.state(session),
                "data-busy": "yes" if session.busy else "",
                "data-conversation": session.conversation or "",
                "data-title": sidebar.title(session),
            }
            conversation = session.sent_messages.update(conversation, attributes, self._messages)
        if titles is not SKIP:
            attributes = {"aria-label": session.texts.conversations, "lang": session.language}
            titles = session.sent_titles.update(titles, attributes, self._titles)
        return update._replace(
            conversation=conversation,
            conversation_list=titles,
            header=self._unless_sent("header", update.header),
            footnote=self._unless_sent("footnote", update.footnote),
            sidebar_bottom=self._unless_sent("sidebar_bottom", update.sidebar_bottom),
        )

    def _unless_sent(self, part: str, html: Any) -> Any:
        """HTML, or SKIP if the tab has the same already."""
        sent = self._session.sent_parts
        if html is SKIP or sent.get(part) == html:
            return SKIP
        sent[part] = html
        return html


def in_patches(handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler`, but with patches in the updates that it returns or streams."""
    if inspect.isasyncgenfunction(handler):

        @functools.wraps(handler)
        async def stream(*arguments: Any) -> AsyncGenerator[PageUpdate, None]:
            patches = _Patches(arguments)
            async with aclosing(handler(*arguments)) as updates:
                async for update in updates:
                    yield patches.patch(update)

        return stream

    if inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def call_async(*arguments: Any) -> PageUpdate:
            patches = _Patches(arguments)
            return patches.patch(await handler(*arguments))

        return call_async

    @functools.wraps(handler)
    def call(*arguments: Any) -> PageUpdate:
        patches = _Patches(arguments)
        return patches.patch(handler(*arguments))

    return call

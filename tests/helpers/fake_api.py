"""The API over scripted answers, without a port, a thread or a model: requests reach it directly."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from helpers.fake_chat import FakeChat
from starlette.applications import Starlette

from assistant.api.routes import routes
from assistant.auth.pseudonyms import Raters


@asynccontextmanager
async def fake_api(chat: FakeChat) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API over this chat."""
    application = Starlette(routes=routes(chat, Raters(chat.path.parent)))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application), base_url="http://localhost"
    ) as client:
        yield client


async def completed(client: httpx.AsyncClient, *texts: str, **fields: Any) -> dict[str, Any]:
    """The completion of a conversation whose messages are a user's and the assistant's in turn."""
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(texts)]
    body = {"model": "thumbtune", "messages": messages} | fields
    answer = await client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())

"""OpenAI's own client over scripted answers: what it sends and raises, without a model or a port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import openai
import pytest
from helpers.fake_api import fake_api
from helpers.fake_chat import FakeChat
from openai.types.chat import ChatCompletionMessageParam
from pydantic import BaseModel

QUESTION: ChatCompletionMessageParam = {"role": "user", "content": "347 + 285"}
SAID = "The answer is **632**."


class Sum(BaseModel):
    """What structured output is asked for."""

    value: int


@asynccontextmanager
async def official(chat: FakeChat, base: str = "http://localhost/v1") -> AsyncIterator[openai.AsyncOpenAI]:
    """The client, whose requests reach the API directly."""
    async with fake_api(chat) as client:
        yield openai.AsyncOpenAI(base_url=base, api_key="k", http_client=client, max_retries=0)


@pytest.fixture
def short_window() -> FakeChat:
    chat = FakeChat()
    chat.window = 200
    return chat


@pytest.mark.parametrize("base", ["http://localhost/v1", "http://localhost/v1/"])
async def test_stop_texts_choices_and_log_probabilities(chat: FakeChat, base: str) -> None:
    async with official(chat, base) as client:
        completion = await client.chat.completions.create(
            model="thumbtune", messages=[QUESTION], stop=[" **"], n=2, logprobs=True, top_logprobs=0
        )
    for choice in completion.choices:
        assert (choice.message.content, choice.finish_reason) == ("The answer is", "stop")
        assert choice.logprobs is not None
        tokens = choice.logprobs.content or []
        said = b"".join(bytes(token.bytes or []) for token in tokens).decode()
        assert said.endswith("</think>\n\nThe answer is")
    assert completion.usage is not None


async def test_a_conversation_is_streamed_and_goes_on(chat: FakeChat) -> None:
    async with official(chat) as client:
        async with client.chat.completions.stream(
            model="thumbtune", messages=[QUESTION], user="ann"
        ) as stream:
            text = "".join([event.delta async for event in stream if event.type == "content.delta"])
            final = await stream.get_final_completion()
        assert text == final.choices[0].message.content == SAID
        more: list[ChatCompletionMessageParam] = [
            QUESTION,
            {"role": "assistant", "content": text},
            {"role": "user", "content": "and now?"},
        ]
        await client.chat.completions.create(model="thumbtune", messages=more, user="ann")
    assert len(chat.owners) == 1


async def test_each_refusal_is_the_clients_own_exception(short_window: FakeChat) -> None:
    async with official(short_window) as client:
        create = client.chat.completions.create
        with pytest.raises(openai.BadRequestError, match="Shorten it") as refusal:
            await create(model="thumbtune", messages=[{"role": "user", "content": "x" * 300}])
        assert refusal.value.code == "context_length_exceeded"
        # By these words litellm knows the error.
        assert "This model's maximum context length is" in refusal.value.message
        short_window.has_formats = False
        with pytest.raises(openai.BadRequestError, match="cannot hold an answer") as refusal:
            await client.chat.completions.parse(model="thumbtune", messages=[QUESTION], response_format=Sum)
        assert refusal.value.param == "response_format"
        with pytest.raises(openai.NotFoundError, match="nothing at '/v1/embeddings'"):
            await client.embeddings.create(model="thumbtune", input="text")
        with pytest.raises(openai.NotFoundError, match="There is no model 'gpt-4'"):
            await create(model="gpt-4", messages=[QUESTION])
        with pytest.raises(openai.InternalServerError, match="stopped answering"):
            await create(model="thumbtune", messages=[{"role": "user", "content": "broken please"}])


async def test_a_text_is_completed(chat: FakeChat) -> None:
    async with official(chat) as client:
        completion = await client.completions.create(model="thumbtune", prompt="347 + 285", max_tokens=50)
        assert completion.choices[0].text == SAID
        chunks = await client.completions.create(model="thumbtune", prompt="347 + 285", stream=True)
        assert "".join([chunk.choices[0].text async for chunk in chunks]) == SAID

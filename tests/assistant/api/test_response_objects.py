"""`/v1/responses` as the official client calls it: the text case, whole, streamed and continued."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from helpers.fake_api import fake_api
from helpers.fake_chat import FakeChat

SAID = "The answer is **632**."


@asynccontextmanager
async def official(chat: FakeChat) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official client, whose requests reach the API directly."""
    async with fake_api(chat) as client:
        yield openai.AsyncOpenAI(
            base_url="http://localhost/v1", api_key="k", http_client=client, max_retries=0
        )


@pytest.mark.parametrize("effort", ["none", "low"])
async def test_a_response_is_whole_and_streamed_the_same(chat: FakeChat, effort: Any) -> None:
    async with official(chat) as client:
        whole = await client.responses.create(
            model="thumbtune", input="347 + 285", instructions="Be brief.", reasoning={"effort": effort}
        )
        assert (whole.output_text, whole.status) == (SAID, "completed")
        kinds = ["reasoning", "message"] if effort == "low" else ["message"]
        assert [item.type for item in whole.output] == kinds
        async with client.responses.stream(
            model="thumbtune", input="347 + 285", reasoning={"effort": effort}
        ) as stream:
            events = [event async for event in stream]
            final = await stream.get_final_response()
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == final.output_text == SAID
    assert [event.sequence_number for event in events if hasattr(event, "sequence_number")] == list(
        range(len(events))
    )
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    path = chat.store.path(whole.id.removeprefix("resp_"))
    assert [(item.role, item.content) for item in path] == [
        ("system", "Be brief."),
        ("user", "347 + 285"),
        ("assistant", SAID),
    ]
    assert whole.usage is not None
    assert whole.usage.output_tokens == len(chat.store.reply(path[-1].id).completion_ids)


async def test_a_response_continues_an_earlier_one_or_its_items(chat: FakeChat) -> None:
    async with official(chat) as client:
        first = await client.responses.create(model="thumbtune", input="347 + 285", user="ann")
        more = [{"role": "user", "content": [{"type": "input_text", "text": "and now?"}]}]
        items = [{"role": "user", "content": "347 + 285"}, *(item.to_dict() for item in first.output), *more]
        by_items = await client.responses.create(model="thumbtune", input=items, user="ann")  # type: ignore[arg-type]
        by_id = await client.responses.create(
            model="thumbtune", input="and now?", previous_response_id=first.id, user="ann"
        )
        parents = [chat.store.path(item.id.removeprefix("resp_"))[-2].id for item in (by_items, by_id)]
        assert parents[0] == parents[1]
        assert len(chat.owners) == 1
        with pytest.raises(openai.NotFoundError):
            await client.responses.create(
                model="thumbtune", input="and now?", previous_response_id=first.id, user="bob"
            )


async def test_what_is_not_supported_is_refused_by_its_name(chat: FakeChat) -> None:
    fields: list[tuple[dict[str, Any], str]] = [
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "input"),
        ({"input": []}, "input"),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text"),
        ({"background": True}, "background"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ]
    async with official(chat) as client:
        for changed, param in fields:
            with pytest.raises(openai.BadRequestError) as refusal:
                await client.responses.create(**({"model": "thumbtune", "input": "hello"} | changed))
            assert str(refusal.value.param).startswith(param)
        with pytest.raises(openai.InternalServerError, match="stopped answering"):
            await client.responses.create(model="thumbtune", input="broken please")
    answered = {"finish": set(chat.finished.values())}
    assert answered == {"finish": {"error"}}


async def test_an_error_after_the_first_text_is_an_event(chat: FakeChat) -> None:
    chat.seconds_between = 0.02
    async with official(chat) as client:
        stream = await client.responses.create(model="thumbtune", input="broken please", stream=True)
        with pytest.raises(openai.APIError, match="stopped answering"):
            async for _ in stream:
                pass

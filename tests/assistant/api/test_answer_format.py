"""`response_format`: answers that follow a schema, and requests that cannot be followed, over scripted answers."""

import json
from typing import Any

import openai
import pytest
from helpers.fake_api import completed, fake_api, streamed
from helpers.fake_chat import FORMATTED, FakeChat
from pydantic import BaseModel

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"value": {"type": "integer"}},
    "required": ["value"],
    "additionalProperties": False,
}


def wanted(schema: Any = SCHEMA, **fields: Any) -> dict[str, Any]:
    """A `response_format` with this schema."""
    definition = {"name": "sum", "schema": schema} | fields
    return {
        "type": "json_schema",
        "json_schema": {name: value for name, value in definition.items() if value != ...},
    }


@pytest.mark.parametrize(
    ("form", "schema"),
    [
        (wanted(), SCHEMA),
        (wanted(strict=True, description="A sum."), SCHEMA),
        (wanted(schema=...), {"type": "object"}),
        ({"type": "json_object"}, {"type": "object"}),
        ({"type": "json_object", "schema": SCHEMA}, SCHEMA),
    ],
)
async def test_the_schema_binds_the_answer_and_not_the_thought(
    chat: FakeChat, form: dict[str, Any], schema: dict[str, Any]
) -> None:
    async with fake_api(chat) as client:
        completion = await completed(client, "347 + 285", response_format=form, n=2, tool_choice="none")
        chunks = await streamed(client, "347 + 285", response_format=form)
    for choice in completion["choices"]:
        assert choice["message"]["content"] == FORMATTED
        assert choice["message"]["reasoning_content"].startswith("7 + 5 = 12")
    texts = [choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]]
    assert "".join(texts) == FORMATTED
    # One request for the thought and one for the answer, of each of three replies.
    asked = [sampling.schema for sampling in chat.samplings]
    assert sorted(map(str, asked)) == sorted(["None", json.dumps(schema)] * 3)
    reply = chat.store.reply(completion["id"].removeprefix("chatcmpl-"))
    assert "".join(map(chr, reply.completion_ids)).endswith(f"</think>\n\n{FORMATTED}\0")
    assert reply.sampling["schema"] == json.dumps(schema)
    assert completion["usage"]["completion_tokens"] == 2 * len(reply.completion_ids)


async def test_without_a_thought_the_schema_binds_all_and_stop_texts_still_end_it(chat: FakeChat) -> None:
    async with fake_api(chat) as client:
        plain = await completed(client, "hello", response_format=wanted(), reasoning_effort="none")
        cut = await completed(client, "hello", response_format=wanted(), stop=": ", reasoning_effort="none")
    assert plain["choices"][0]["message"]["content"] == FORMATTED
    assert cut["choices"][0]["message"]["content"] == '{"value"'
    assert len(chat.samplings) == 2


async def test_an_answer_that_is_continued_from_its_middle_is_free(chat: FakeChat) -> None:
    async with fake_api(chat) as client:
        completion = await completed(client, "hello", response_format=wanted(), reasoning_effort="none")
    reply = chat.store.reply(completion["id"].removeprefix("chatcmpl-"))
    (rater,) = chat.owners.values()
    updates = [update async for update in chat.continue_with(reply.id, 3, ord("x"), rater=rater)]
    assert updates[-1].answer.startswith(FORMATTED[:3] + "x")
    assert chat.samplings[-1].schema is None


async def test_an_answer_that_leaves_its_format_is_an_error(chat: FakeChat) -> None:
    body = {"model": "thumbtune", "messages": [{"role": "user", "content": "stubborn"}]}
    async with fake_api(chat) as client:
        answer = await client.post("/v1/chat/completions", json=body | {"response_format": wanted()})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_error")
    assert "left its format" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("form", "param", "message"),
    [
        ({"type": "xml"}, "type", "'json_object', 'json_schema' or 'text', not 'xml'"),
        ({}, "type", "not 'None'"),
        ({"type": "json_schema"}, "json_schema", "an object with 'name' and 'schema'"),
        (wanted(name=...), "json_schema.name", "a name of letters"),
        (wanted(name="my sum"), "json_schema.name", "a name of letters"),
        (wanted(name="x" * 65), "json_schema.name", "at most 64 characters, and this name has 65"),
        (wanted(strict="yes"), "json_schema.strict", "true or false"),
        (wanted("integer"), "json_schema.schema", "a JSON schema, which is an object"),
        (wanted({"enum": ["x" * 120_000]}), "json_schema.schema", "at most 120,000 characters"),
        (wanted(json.loads('{"items": ' * 70 + "{}" + "}" * 70)), "json_schema.schema", "at most 64 levels"),
        (wanted({"type": "array"}, strict=True), "json_schema.schema", "its own type must be 'object'"),
        (
            wanted(SCHEMA | {"additionalProperties": True}, strict=True),
            "json_schema.schema",
            "'additionalProperties' must be false",
        ),
        (
            wanted(SCHEMA | {"properties": {"value": {}, "unit": {}}}, strict=True),
            "json_schema.schema",
            "'required' must name every property, and 'unit' is missing",
        ),
        (
            wanted(SCHEMA | {"properties": {"value": {"anyOf": [{"type": "object"}]}}}, strict=True),
            "json_schema.schema",
            "in properties.value.anyOf.0, 'additionalProperties' must be false",
        ),
        (
            wanted(SCHEMA | {"$defs": {"part": {"allOf": []}}}, strict=True),
            "json_schema.schema",
            "in $defs.part, 'allOf' is not permitted",
        ),
    ],
)
async def test_a_wrong_format_is_refused_by_its_name(
    chat: FakeChat, form: dict[str, Any], param: str, message: str
) -> None:
    body = {"model": "thumbtune", "messages": [{"role": "user", "content": "hello"}], "response_format": form}
    async with fake_api(chat) as client:
        answer = await client.post("/v1/chat/completions", json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, f"response_format.{param}")
        assert message in error["message"]
        if form.get("type") == "json_schema" and isinstance(form.get("json_schema"), dict):
            flat = {"type": "json_schema"} | form["json_schema"]
            response = {"model": "thumbtune", "input": "hello", "text": {"format": flat}}
            answer = await client.post("/v1/responses", json=response)
            error = answer.json()["error"]
            assert error["param"] == f"text.format.{param.removeprefix('json_schema.')}"
            assert error["message"].startswith(f"{error['param']}: ")
    assert chat.owners == {}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"min_tokens": 5}, "min_tokens"),
        ({"ignore_eos": True}, "ignore_eos"),
        ({"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "{"}]}, None),
    ],
)
async def test_what_contradicts_a_format_is_refused(
    chat: FakeChat, fields: dict[str, Any], param: str | None
) -> None:
    body = {"model": "thumbtune", "messages": [{"role": "user", "content": "hello"}]}
    async with fake_api(chat) as client:
        answer = await client.post(
            "/v1/chat/completions", json=body | {"response_format": {"type": "json_object"}} | fields
        )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param or "response_format")


async def test_an_engine_without_grammars_refuses_in_words(chat: FakeChat) -> None:
    chat.has_formats = False
    form = {"type": "json_object"}
    messages = [{"role": "user", "content": "hello"}]
    async with fake_api(chat) as client:
        for path, body, param in (
            ("chat/completions", {"messages": messages, "response_format": form}, "response_format"),
            ("responses", {"input": "hello", "text": {"format": form}}, "text.format"),
            ("completions", {"prompt": "hello", "response_format": form}, "response_format"),
        ):
            answer = await client.post(f"/v1/{path}", json={"model": "thumbtune"} | body)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
            assert "cannot hold an answer to a format" in answer.json()["error"]["message"]
    assert chat.owners == {}


ADD = {"type": "function", "function": {"name": "add", "parameters": SCHEMA}}
NAMED = {"type": "function", "function": {"name": "add"}}


@pytest.mark.parametrize(
    ("tools", "choice"),
    [([ADD], "required"), ([ADD, {"type": "function", "function": {"name": "b"}}], NAMED)],
)
async def test_a_call_that_is_demanded_has_arguments_that_follow_the_tools_schema(
    chat: FakeChat, tools: Any, choice: Any
) -> None:
    async with fake_api(chat) as client:
        completion = await completed(client, "347 + 285", tools=tools, tool_choice=choice)
        chunks = await streamed(client, "347 + 285", tools=tools, tool_choice=choice)
    (choice,) = completion["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert call["function"] == {"name": "add", "arguments": FORMATTED}
    assert (choice["message"]["content"], choice["finish_reason"]) == (None, "tool_calls")
    deltas = [entry["delta"] for chunk in chunks for entry in chunk["choices"]]
    calls = [part for delta in deltas for part in delta.get("tool_calls", [])]
    assert calls[0]["function"] == {"name": "add", "arguments": ""}
    assert calls[0]["id"].startswith("call_")
    assert "".join(part["function"]["arguments"] for part in calls) == FORMATTED
    assert not any(delta.get("content") for delta in deltas)
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert chat.samplings[-1].schema == json.dumps(SCHEMA)


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        ([], "required", "tool_choice"),
        ([ADD, {"type": "function", "function": {"name": "b"}}], "required", "tool_choice"),
        ([ADD], {"type": "function", "function": {"name": "other"}}, "tool_choice"),
        ([ADD], {"type": "function", "function": {"name": ["add"]}}, "tool_choice"),
        ([ADD], "add", "tool_choice"),
        (
            [{"type": "function", "function": {"name": "add", "parameters": 3}}],
            NAMED,
            "tools.function.parameters",
        ),
        (
            [{"type": "function", "function": {"name": "add", "strict": True, "parameters": {}}}],
            NAMED,
            "tools.function.parameters",
        ),
    ],
)
async def test_a_demand_that_cannot_be_met_is_refused_in_words(
    chat: FakeChat, tools: Any, choice: Any, param: str
) -> None:
    body = {"model": "thumbtune", "messages": [{"role": "user", "content": "hello"}]}
    async with fake_api(chat) as client:
        answer = await client.post(
            "/v1/chat/completions", json=body | {"tools": tools, "tool_choice": choice}
        )
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
        chat.has_formats = False
        answer = await client.post("/v1/chat/completions", json=body | {"tools": [ADD], "tool_choice": NAMED})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "tools")


class Sum(BaseModel):
    """What structured output is asked for."""

    value: int


async def test_the_official_client_parses_what_it_asked_for(chat: FakeChat) -> None:
    async with fake_api(chat) as client:
        official = openai.AsyncOpenAI(
            base_url="http://localhost/v1", api_key="k", http_client=client, max_retries=0
        )
        parsed = await official.chat.completions.parse(
            model="thumbtune", messages=[{"role": "user", "content": "347 + 285"}], response_format=Sum
        )
        assert parsed.choices[0].message.parsed == Sum(value=632)
        response = await official.responses.parse(model="thumbtune", input="347 + 285", text_format=Sum)
        assert response.output_parsed == Sum(value=632)
        text = await official.completions.create(
            model="thumbtune", prompt="hello", max_tokens=50, extra_body={"response_format": wanted()}
        )
        assert text.choices[0].text == FORMATTED

"""Existing clients: OpenAI's own, and Open WebUI, whose requests are sent here as its server sends them.

The shapes of Open WebUI are those of backend/open_webui/routers/openai.py and tasks.py in open-webui/open-webui:
they reach a provider without `metadata`, with the fields of a chat's or a model's own settings at the top level.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from helpers.api_server import Serving, serving_api

QUESTION = {"role": "user", "content": "What is 12 + 7?"}
USER_HEADERS = {
    "X-OpenWebUI-User-Name": "Ann",
    "X-OpenWebUI-User-Id": "5f0b",
    "X-OpenWebUI-User-Email": "ann@example.org",
    "X-OpenWebUI-User-Role": "user",
    "X-OpenWebUI-Chat-Id": "9c1d",
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving_api(tmp_path_factory.mktemp("api"), ("sk-one",)) as serving:
        yield serving


@pytest.fixture
def web_ui(api: Serving) -> Iterator[httpx.Client]:
    """A client like Open WebUI's server: a bearer key on every request, and the user in headers of its own."""
    headers = {"authorization": "Bearer sk-one", "content-type": "application/json", **USER_HEADERS}
    with httpx.Client(base_url=f"{api.url}/v1", timeout=240, headers=headers) as client:
        yield client


def streamed(client: httpx.Client, body: dict[str, Any]) -> tuple[str, str, dict[str, Any] | None]:
    """Stream a reply as Open WebUI parses it, line by line; returns its answer, thought and usage."""
    answer, thought, usage = "", "", None
    with client.stream("POST", "/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            data = line.removeprefix("data:").strip()
            if not line.startswith("data:") or data == "[DONE]":
                continue
            event = json.loads(data)
            assert "error" not in event
            usage = event.get("usage") or usage
            for choice in event.get("choices", []):
                answer += choice["delta"].get("content") or ""
                thought += choice["delta"].get("reasoning_content") or ""
    return answer, thought, usage


# Open WebUI


def test_open_webui_finds_models_that_it_can_list(web_ui: httpx.Client) -> None:
    models = web_ui.get("/models").json()
    assert models["object"] == "list"
    for model in models["data"]:
        assert isinstance(model["id"], str)
        # Open WebUI falls back to the id if the name is missing, but fails if the name is null.
        assert model.get("name", model["id"]) is not None
    assert "error" not in models


def test_a_chat_of_open_webui_streams_answer_thought_and_usage(api: Serving, web_ui: httpx.Client) -> None:
    body = {
        "stream": True,
        "model": "thumbtune",
        "messages": [{"role": "system", "content": "Be brief."}, QUESTION],
        "stream_options": {"include_usage": True},
        # Settings of one chat, as Open WebUI's controls send them.
        "temperature": 0,
        "top_p": 0.9,
        "max_tokens": 60,
        "seed": 0,
        "stop": ["\n\n\n"],
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "reasoning_effort": "medium",
        "logit_bias": {},
        "tools": None,
        "response_format": None,
    }
    answer, thought, usage = streamed(web_ui, body)
    assert answer
    assert thought
    assert usage is not None
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_browsers_own_connection_sends_its_whole_state_along(web_ui: httpx.Client) -> None:
    body = {
        "stream": True,
        "model": "thumbtune",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "What is 12 + 7?"}]}],
        "params": {},
        "files": None,
        "filter_ids": [],
        "tool_ids": None,
        "tool_servers": [],
        "features": {"image_generation": False, "code_interpreter": False, "web_search": False},
        "variables": {"{{USER_NAME}}": "Ann", "{{CURRENT_DATE}}": "2026-11-25"},
        "model_item": {"id": "thumbtune", "name": "thumbtune", "object": "model", "urlIdx": 0, "tags": []},
        "session_id": "UAd1VX5xVbP3PRjMAAAB",
        "chat_id": "0a5e",
        "id": "5b7c",
        "parent_id": None,
        "background_tasks": {"title_generation": True, "tags_generation": True},
        "metadata": {"chat_id": "0a5e", "features": {}, "variables": {}},
        "stream_options": {"include_usage": True},
        "max_tokens": 12,
    }
    answer, thought, usage = streamed(web_ui, body)
    assert answer or thought
    assert usage is not None
    assert usage["completion_tokens"] <= 12


@pytest.mark.parametrize("task", ["title_generation", "tags_generation", "follow_up_generation"])
def test_a_task_of_open_webui_is_answered_at_once(web_ui: httpx.Client, task: str) -> None:
    prompt = (
        "### Task:\nGenerate a concise, 3-5 word title with an emoji summarizing the chat history.\n"
        '### Output:\nJSON format: { "title": "your concise title here" }\n'
        "### Chat History:\n<chat_history>\nUSER: What is 12 + 7?\nASSISTANT: 19\n</chat_history>"
    )
    body = {
        "model": "thumbtune",
        "messages": [{"role": "user", "content": prompt}],
        "stream": False,
        "max_completion_tokens": 1000,
        "metadata": {
            "task": task,
            "task_body": {"model": "thumbtune", "messages": [QUESTION]},
            "chat_id": "0a5e",
        },
    }
    completion = web_ui.post("/chat/completions", json=body).json()
    assert isinstance(completion["choices"][0]["message"]["content"], str)
    assert completion["usage"]["completion_tokens"] >= 1


def test_a_next_turn_of_open_webui_continues_the_stored_conversation(
    api: Serving, web_ui: httpx.Client
) -> None:
    request = {
        "model": "thumbtune",
        "messages": [QUESTION],
        "stream": True,
        "temperature": 0,
        "max_tokens": 100,
    }
    answer, thought, _ = streamed(web_ui, request)
    reply = {"role": "assistant", "content": f"\n{answer}", "reasoning_content": thought}
    more = {
        **request,
        "messages": [QUESTION, reply, {"role": "user", "content": "What is 3 + 4?"}],
        "stream": False,
    }
    completion = web_ui.post("/chat/completions", json=more).json()
    path = api.store.path(completion["id"].removeprefix("chatcmpl-"))
    assert [message.role for message in path] == ["user", "assistant", "user", "assistant"]
    assert path[1].reply is not None
    assert path[1].reply.version == "v1"


def test_a_picture_is_refused_in_words_that_open_webui_shows(web_ui: httpx.Client) -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    body = {"model": "thumbtune", "messages": [{"role": "user", "content": parts}], "stream": True}
    answer = web_ui.post("/chat/completions", json=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert "only parts of the type 'text' are read here, not 'image_url'" in answer.json()["error"]["message"]


# OpenAI's client


def test_the_official_client_completes_streams_and_reads_errors(api: Serving) -> None:
    with openai.OpenAI(base_url=f"{api.url}/v1", api_key="sk-one", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["thumbtune", "v1"]
        whole = client.chat.completions.create(
            model="thumbtune",
            messages=[{"role": "user", "content": "What is 12 + 7?"}],
            temperature=0,
            max_completion_tokens=60,
            extra_body={"chat_template_kwargs": {"enable_thinking": True}},
        )
        assert whole.choices[0].finish_reason in ("stop", "length")
        chunks = client.chat.completions.create(
            model="thumbtune",
            messages=[{"role": "user", "content": "What is 12 + 7?"}],
            temperature=0,
            max_completion_tokens=60,
            stream=True,
            stream_options={"include_usage": True},
        )
        text, usage = "", None
        for chunk in chunks:
            usage = chunk.usage or usage
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
        assert text == whole.choices[0].message.content
        assert usage == whole.usage
        with pytest.raises(openai.NotFoundError, match="There is no model"):
            client.chat.completions.create(model="none", messages=[{"role": "user", "content": "x"}])
        with pytest.raises(openai.BadRequestError, match="less than or equal to 4"):
            client.chat.completions.create(
                model="thumbtune", messages=[{"role": "user", "content": "x"}], n=5
            )

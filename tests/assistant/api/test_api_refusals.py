"""Invalid requests get errors in OpenAI's shape, a disconnect ends the reply, and the server keeps serving."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from helpers.api_server import ASKED, QUESTION, Serving, complete, refused

from assistant.auth.pseudonyms import Raters
from assistant.serving import batch


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 7}]}, None),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, None),
        ({"messages": [{"role": "system", "content": "Be brief."}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "19"}]}, "messages"),
        ({"messages": [QUESTION, {"role": "tool", "content": "19"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "  "}]}, "messages"),
        ({"messages": [{"role": "user", "content": "\x00"}]}, None),
        ({"model": 7}, "model"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"max_tokens": "7"}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": 5, "min_tokens": 6}, "min_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": 100}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"seed": 2**70}, "seed"),
        ({"seed": "1"}, "seed"),
        ({"stop": ""}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"n": 5}, "n"),
        ({"n": 0}, "n"),
        ({"tools": [{"type": "function"}], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "function"}], "tool_choice": {"type": "function"}}, "tool_choice"),
        ({"functions": [{"name": "weather"}], "function_call": {"name": "weather"}}, "function_call"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"presence_penalty": 2.5}, "presence_penalty"),
        ({"frequency_penalty": -3}, "frequency_penalty"),
        ({"min_p": 1.5}, "min_p"),
        ({"reasoning_effort": "much"}, "reasoning_effort"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(
    client: httpx.Client, fields: dict[str, Any], param: str | None
) -> None:
    error = refused(client.post("/v1/chat/completions", json=ASKED | fields), 400)
    assert error["type"] == "invalid_request_error"
    if param is not None:
        assert error["param"] == param


def test_default_values_of_unsupported_fields_are_accepted(client: httpx.Client) -> None:
    plain = {
        "n": 1,
        "tools": [],
        "response_format": {"type": "text"},
        "presence_penalty": 0,
        "logit_bias": {},
    }
    assert complete(client, **plain, max_tokens=2, top_k=-1, stop=None, unknown_extra={"x": 1})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is not JSON"),
        (b"{", "The body is not JSON"),
        (b"nonsense", "The body is not JSON"),
        (b'{"model": NaN}', "NaN is no number in JSON"),
        (b"[" * 100_000, "brackets nested too deeply"),
        (b'"text"', "The body is not a JSON object"),
        (b"[]", "The body is not a JSON object"),
        (b"null", "The body is not a JSON object"),
        (b'{"model": "\xff\xfe"}', "The body is not UTF-8"),
        (
            b'{"model": "thumbtune", "messages": [{"role": "user", "content": "\\ud800"}]}',
            "half of a surrogate pair",
        ),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(client: httpx.Client, body: bytes, message: str) -> None:
    headers = {"content-type": "application/json"}
    error = refused(client.post("/v1/chat/completions", content=body, headers=headers), 400)
    assert message in error["message"]
    assert client.get("/health").status_code == 200


def test_a_body_over_eight_megabytes_is_refused(client: httpx.Client) -> None:
    large = ASKED | {"messages": [{"role": "user", "content": "x" * 8_000_001}]}
    assert refused(client.post("/v1/chat/completions", json=large), 413)["code"] == "body_too_large"


def test_a_message_of_a_megabyte_is_refused_without_blocking_others(client: httpx.Client) -> None:
    large = ASKED | {"messages": [{"role": "user", "content": "x " * 499_000}]}
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(client.post, "/v1/chat/completions", json=large) for _ in range(3)]
        assert complete(client, max_tokens=2)
        for answer in answers:
            assert refused(answer.result(), 400)["code"] == "context_length_exceeded"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_message_over_the_window_is_refused_clearly(client: httpx.Client, streamed: bool) -> None:
    large = {"messages": [{"role": "user", "content": "word " * 5_000}], "stream": streamed}
    error = refused(client.post("/v1/chat/completions", json=ASKED | large), 400)
    assert error["code"] == "context_length_exceeded"
    assert "Shorten it" in error["message"]


def test_an_unknown_model_is_refused_with_the_names_of_those_that_serve(client: httpx.Client) -> None:
    error = refused(client.post("/v1/chat/completions", json=ASKED | {"model": "gpt-4"}), 404)
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert "thumbtune, v1" in error["message"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_leaves_ends_its_reply_and_the_written_part_is_stored(
    api: Serving, streamed: bool
) -> None:
    endless = ASKED | {"stream": streamed, "ignore_eos": True, "max_tokens": 900, "user": f"gone {streamed}"}
    with httpx.Client(base_url=api.url, timeout=240 if streamed else 1.0) as leaving:
        if streamed:
            with leaving.stream("POST", "/v1/chat/completions", json=endless) as answer:
                assert next(answer.iter_raw())
        else:
            with pytest.raises(httpx.ReadTimeout):
                leaving.post("/v1/chat/completions", json=endless)
    served = api.engine._released
    rater = Raters(api.home).pseudonym(None, f"gone {streamed}")
    deadline = time.monotonic() + 200
    while served._requests or not api.store.conversations(rater) or not _ended(api, rater):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert _ended(api, rater) == "stopped"


def _ended(api: Serving, rater: str) -> str | None:
    head = api.store.conversations(rater)[0].head
    assert head is not None
    reply = api.store.path(head)[-1].reply
    return reply.finish_reason if reply else None


@pytest.mark.parametrize("streamed", [False, True])
def test_requests_beyond_the_limit_are_told_when_to_retry(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    monkeypatch.setattr(batch, "MAX_WAITING", -batch.MAX_RUNNING)
    answer = client.post("/v1/chat/completions", json=ASKED | {"stream": streamed})
    assert refused(answer, 429)["code"] == "busy"
    assert int(answer.headers["retry-after"]) > 0
    monkeypatch.undo()
    assert complete(client, max_tokens=2)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/completions", 405, "method_not_allowed"),
        ("POST", "/v1/embeddings", 404, "unknown_url"),
        ("GET", "/v1/models/a/b", 404, "unknown_url"),
        ("GET", "/v1/chat/completions", 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("GET", "/v1/", 404, "unknown_url"),
    ],
)
def test_an_unknown_path_gets_an_error_of_the_same_shape(
    client: httpx.Client, method: str, path: str, status: int, code: str
) -> None:
    assert refused(client.request(method, path), status)["code"] == code

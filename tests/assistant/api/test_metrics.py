"""`/metrics`: what Prometheus reads, counted over what has happened."""

import re

from helpers.fake_api import completed, fake_api
from helpers.fake_chat import FakeChat

SAMPLE = re.compile(r'thumbtune_(\w+)(\{(?:\w+="(?:[^"\\\n]|\\.)*",?)+\})? (\S+)')


def samples(text: str) -> dict[str, float]:
    """Each sample by its name and labels, after checking that every line has Prometheus's form."""
    values = {}
    for line in text.splitlines():
        if not line.startswith(("# HELP thumbtune_", "# TYPE thumbtune_")):
            match = SAMPLE.fullmatch(line)
            assert match, line
            values[match[1] + (match[2] or "")] = float(match[3])
    return values


async def test_requests_replies_and_tokens_are_counted(chat: FakeChat) -> None:
    async with fake_api(chat) as client:
        first = await completed(client, "hello")
        second = await completed(client, "347 + 285")
        await client.post("/v1/chat/completions", json={})
        await client.get("/v1/made/up")
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    values = samples(answer.text)
    assert values['requests_total{method="POST",path="/v1/chat/completions",status="200"}'] == 2
    assert values['requests_total{method="POST",path="/v1/chat/completions",status="400"}'] == 1
    assert values['requests_total{method="GET",path="/v1",status="404"}'] == 1
    assert values['replies_total{version="v1",finish_reason="end"}'] == 2
    for kind in ("prompt", "completion"):
        counted = sum(completion["usage"][f"{kind}_tokens"] for completion in (first, second))
        assert values[f"{kind}_tokens_total"] == counted
    assert values["replies_in_progress"] == 0
    assert values["up"] == values['released_version{version="v1"}'] == 1
    for name in ("first_token_seconds", "reply_seconds"):
        assert values[f'{name}_bucket{{le="+Inf"}}'] == values[f"{name}_count"] == 2
        assert values[f"{name}_sum"] >= 0

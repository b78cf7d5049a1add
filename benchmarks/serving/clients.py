"""HTTP clients for the serving benchmarks: all ask at the same time, once each, and read a stream."""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

TEMPERATURE = 0.3
PATIENCE = 900.0
ROUNDS = 3
ENOUGH_SECONDS = 20.0
"""A load that has taken this long is not repeated."""


@dataclass(frozen=True)
class Result:
    """Measurements of one system under a number of concurrent clients."""

    system: str
    clients: int
    tokens_per_second: float
    """Median of the rounds; a round ends with its last reply."""
    first_token_p50: float
    """Seconds to the first token, over the replies of all rounds; p95 likewise."""
    first_token_p95: float
    failed: int


Client = Callable[[httpx.AsyncClient, int], Awaitable[float]]
"""Asks question number n and reads the whole reply; returns the seconds until its first token."""


def question(number: int) -> str:
    """A question that no other client asks."""
    return f"What is {347 + number} + {285 + 7 * number}?"


async def over_api(model: str, tokens: int, web: httpx.AsyncClient, number: int) -> float:
    """Stream one chat completion; returns the seconds until its first token."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question(number)}],
        "max_tokens": tokens,
        "temperature": TEMPERATURE,
        "stream": True,
    }
    began, first_token_seconds = time.perf_counter(), None
    async with web.stream("POST", "/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if '"error"' in line:
                raise RuntimeError(line)
            if first_token_seconds is None and line.startswith("data: {"):
                event = json.loads(line.removeprefix("data: "))
                delta = event["choices"][0]["delta"] if event.get("choices") else {}
                if delta.get("content") or delta.get("reasoning_content"):
                    first_token_seconds = time.perf_counter() - began
    assert first_token_seconds is not None
    return first_token_seconds


async def over_gradio(arguments: list[Any], web: httpx.AsyncClient, number: int) -> float:
    """Stream one call of a Gradio app's endpoint `/chat`; returns the seconds until its first token."""
    began, first_token_seconds = time.perf_counter(), None
    event = await web.post("/gradio_api/call/chat", json={"data": [question(number), *arguments]})
    event.raise_for_status()
    async with web.stream("GET", f"/gradio_api/call/chat/{event.json()['event_id']}") as answer:
        async for line in answer.aiter_lines():
            if line == "event: error":
                raise RuntimeError("the call failed")
            if first_token_seconds is None and line.startswith("data: ["):
                last = json.loads(line.removeprefix("data: "))[0]
                if last if isinstance(last, str) else last["thought"] + last["answer"]:
                    first_token_seconds = time.perf_counter() - began
    assert first_token_seconds is not None
    return first_token_seconds


async def measured(system: str, url: str, client: Client, clients: int, tokens: int) -> Result:
    """Measure up to ROUNDS rounds in which all clients ask at the same time; every reply has `tokens` tokens."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as web:
        return await repeated(system, partial_round(client, web, clients), tokens)


def partial_round(
    client: Client, web: httpx.AsyncClient, clients: int
) -> Callable[[int], Awaitable[list[float | BaseException]]]:
    """A function that runs the round with a given number; no question occurs in two rounds."""

    async def once(number: int) -> list[float | BaseException]:
        numbers = range(number * clients, (number + 1) * clients)
        return await asyncio.gather(*(client(web, number) for number in numbers), return_exceptions=True)

    return once


async def repeated(
    system: str, run_round: Callable[[int], Awaitable[list[float | BaseException]]], tokens: int
) -> Result:
    """Run rounds and summarise them. `run_round` returns each client's seconds to the first token, or its exception."""
    rates: list[float] = []
    first_tokens: list[float] = []
    failures: list[BaseException] = []
    clients = spent = 0.0
    while len(rates) < ROUNDS and spent < ENOUGH_SECONDS:
        began = time.perf_counter()
        done = await run_round(len(rates))
        seconds = time.perf_counter() - began
        good = [outcome for outcome in done if not isinstance(outcome, BaseException)]
        failures += [outcome for outcome in done if isinstance(outcome, BaseException)]
        clients, spent = len(done), spent + seconds
        first_tokens += good
        rates.append(len(good) * tokens / seconds)
    for error in {repr(outcome) for outcome in failures}:
        print(f"  {system}: {error}", file=sys.stderr)
    first_tokens = sorted(first_tokens) or [float("nan")]
    p50, p95 = (
        first_tokens[min(int(len(first_tokens) * share), len(first_tokens) - 1)] for share in (0.5, 0.95)
    )
    return Result(system, int(clients), statistics.median(rates), p50, p95, len(failures))

"""Clients over HTTP for the benchmarks of serving: all ask at once, each once, and read a stream."""

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
"""A load that took longer is not repeated."""


@dataclass(frozen=True)
class Result:
    """What one system did for so many clients at once."""

    system: str
    clients: int
    tokens_per_second: float
    """Median of the rounds; a round ends with its last reply."""
    first_token_p50: float
    """In seconds, of all rounds together; so is p95."""
    first_token_p95: float
    failed: int


Client = Callable[[httpx.AsyncClient, int], Awaitable[float]]
"""Asks question n and reads the whole reply; gives the seconds until its first token."""


def question(number: int) -> str:
    """One that no other client asks."""
    return f"What is {347 + number} + {285 + 7 * number}?"


async def over_api(model: str, tokens: int, web: httpx.AsyncClient, number: int) -> float:
    """One streamed chat completion."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question(number)}],
        "max_tokens": tokens,
        "temperature": TEMPERATURE,
        "stream": True,
    }
    began, first = time.perf_counter(), None
    async with web.stream("POST", "/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if '"error"' in line:
                raise RuntimeError(line)
            if first is None and line.startswith("data: {"):
                event = json.loads(line.removeprefix("data: "))
                delta = event["choices"][0]["delta"] if event.get("choices") else {}
                if delta.get("content") or delta.get("reasoning_content"):
                    first = time.perf_counter() - began
    assert first is not None
    return first


async def over_gradio(arguments: list[Any], web: httpx.AsyncClient, number: int) -> float:
    """One streamed call of a Gradio app's endpoint `/chat`."""
    began, first = time.perf_counter(), None
    event = await web.post("/gradio_api/call/chat", json={"data": [question(number), *arguments]})
    event.raise_for_status()
    async with web.stream("GET", f"/gradio_api/call/chat/{event.json()['event_id']}") as answer:
        async for line in answer.aiter_lines():
            if line == "event: error":
                raise RuntimeError("the call failed")
            if first is None and line.startswith("data: ["):
                last = json.loads(line.removeprefix("data: "))[0]
                if last if isinstance(last, str) else last["thought"] + last["answer"]:
                    first = time.perf_counter() - began
    assert first is not None
    return first


async def measured(system: str, url: str, client: Client, clients: int, tokens: int) -> Result:
    """All clients at once, once each, in up to ROUNDS rounds; every reply has `tokens` tokens."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as web:
        return await repeated(system, partial_round(client, web, clients), tokens)


def partial_round(
    client: Client, web: httpx.AsyncClient, clients: int
) -> Callable[[int], Awaitable[list[float | BaseException]]]:
    """One round of `clients` over `web`, by its number: nobody asks what was asked in another round."""

    async def once(number: int) -> list[float | BaseException]:
        numbers = range(number * clients, (number + 1) * clients)
        return await asyncio.gather(*(client(web, number) for number in numbers), return_exceptions=True)

    return once


async def repeated(
    system: str, once: Callable[[int], Awaitable[list[float | BaseException]]], tokens: int
) -> Result:
    """The rounds as one line of the table; `once` gives each client's first token in seconds, or its exception."""
    rates: list[float] = []
    firsts: list[float] = []
    failures: list[BaseException] = []
    clients = spent = 0.0
    while len(rates) < ROUNDS and spent < ENOUGH_SECONDS:
        began = time.perf_counter()
        done = await once(len(rates))
        seconds = time.perf_counter() - began
        good = [outcome for outcome in done if not isinstance(outcome, BaseException)]
        failures += [outcome for outcome in done if isinstance(outcome, BaseException)]
        clients, spent = len(done), spent + seconds
        firsts += good
        rates.append(len(good) * tokens / seconds)
    for error in {repr(outcome) for outcome in failures}:
        print(f"  {system}: {error}", file=sys.stderr)
    firsts = sorted(firsts) or [float("nan")]
    p50, p95 = (firsts[min(int(len(firsts) * share), len(firsts) - 1)] for share in (0.5, 0.95))
    return Result(system, int(clients), statistics.median(rates), p50, p95, len(failures))

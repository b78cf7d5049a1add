"""Compare this app on llama.cpp with llama.cpp's own HTTP server on the same file, and with the engine on transformers.

    python -m benchmarks.serving.llama_cpp_server [--model smollm2] [--clients 1,16,64] [--tokens 100] [--rounds 3]

Each system is a process of its own, and they take turns: every round asks each system in the same order. All clients
ask at the same time over HTTP and read a stream; every reply has `--tokens` tokens, because the end is ignored. The
server of llama.cpp is the one in the package xllamacpp, with prompts as token ids, because the converted file has no
texts of tokens. Prints medians of the rounds, the slowest twentieth's first token, and each process's resident memory.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.serving.clients import PATIENCE, TEMPERATURE, Client, partial_round, question
from benchmarks.serving.many_clients import process

SLOTS = 64
CONTEXT = 22_528
"""Tokens of all replies together: what the app gives SmolLM2 by default."""


def serve(file: Path, port: int) -> None:
    """Run llama.cpp's own server, as xllamacpp brings it."""
    from xllamacpp import CommonParams, Server

    params = CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel, params.kv_unified = CONTEXT, SLOTS, True
    params.port, params.cache_ram_mib, params.verbosity = port, 0, -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = psutil.cpu_count() or 1
    server = Server(params)
    while server:
        time.sleep(3600)


async def over_api(tokens: int, web: httpx.AsyncClient, number: int) -> float:
    """Stream a chat completion of the app; returns the seconds until its first token."""
    body = {
        "model": "thumbtune",
        "messages": [{"role": "user", "content": question(number)}],
        "max_tokens": tokens,
        "temperature": TEMPERATURE,
        "ignore_eos": True,
        "stream": True,
    }
    return await _first_line(web, "/v1/chat/completions", body, b'"content"')


async def over_ids(prompts: Any, tokens: int, web: httpx.AsyncClient, number: int) -> float:
    """Stream a completion of llama.cpp's server; returns the seconds until its first token."""
    body = {
        "prompt": prompts(number),
        "n_predict": tokens,
        "temperature": TEMPERATURE,
        "samplers": ["temperature"],
        "ignore_eos": True,
        "stream": True,
    }
    return await _first_line(web, "/completion", body, b'"content"')


async def _first_line(web: httpx.AsyncClient, path: str, body: dict[str, Any], mark: bytes) -> float:
    began, first = time.perf_counter(), None
    async with web.stream("POST", path, json=body) as answer:
        answer.raise_for_status()
        async for part in answer.aiter_bytes():
            if first is None and mark in part and b'"content":""' not in part:
                first = time.perf_counter() - began
    if first is None:
        raise RuntimeError("the reply had no token")
    return first


def converted(home: Path, model: str) -> tuple[Path, Any]:
    """The file that the app serves for `model`, and a function from a question's number to its prompt's ids."""
    from assistant.registry.first_version import version_to_serve
    from assistant.serving import prompt
    from assistant.serving.llama_cpp.llama_base import LlamaBase

    base = LlamaBase.read(version_to_serve(home, model).manifest.base, home, 2**28)

    def prompt_ids(number: int) -> list[int]:
        messages = [{"role": "user", "content": question(number)}]
        return prompt.render(base.tokenizer, messages, False)

    return base.file, prompt_ids


def main() -> None:
    """Measure the systems in turn, and print the table."""
    from tests.helpers.running_app import command, free_port

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--clients", default="1,16,64")
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=Path, help="only run llama.cpp's own server on this file")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.port)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        home = Path(folder) / "home"
        home.mkdir()
        file, prompts = converted(home, options.model)
        here = [sys.executable, "-m", "benchmarks.serving.llama_cpp_server", "--serve", str(file)]
        systems: list[tuple[str, str, Client, psutil.Process]] = []
        for name, path, client, system_command in (
            ("llama.cpp's server", "/health", partial(over_ids, prompts, options.tokens), here),
            (
                "our app, llama.cpp",
                "/health",
                partial(over_api, options.tokens),
                command("--home", str(home)),
            ),
            (
                "our app, transformers",
                "/health",
                partial(over_api, options.tokens),
                command("--home", str(home), "--engine", "transformers"),
            ),
        ):
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            running.enter_context(process([*system_command, "--port", str(port)], url, path))
            newest = max(psutil.Process().children(), key=lambda child: child.create_time())
            systems.append((name, url, client, newest))
        results: dict[tuple[str, int], list[tuple[float, list[float]]]] = {}
        for number in range(-1, options.rounds):  # the first round warms up
            for count in map(int, options.clients.split(",")):
                for name, url, client, _ in systems:
                    outcome = asyncio.run(_round(url, client, count, number, options.tokens))
                    if number >= 0:
                        results.setdefault((name, count), []).append(outcome)
        memory = {name: server.memory_info().rss / 2**20 for name, _, _, server in systems}
    print("| System | Clients | Tokens/s | First token p95 | Resident |\n|---|---|---|---|---|")
    for (name, count), rounds in sorted(results.items(), key=lambda item: (item[0][1], item[0][0])):
        rate = statistics.median(outcome[0] for outcome in rounds)
        firsts = sorted(first for outcome in rounds for first in outcome[1])
        p95 = firsts[min(int(len(firsts) * 0.95), len(firsts) - 1)]
        print(f"| {name} | {count} | {rate:,.0f} | {p95:.3f} s | {memory[name]:,.0f} MiB |")
    return None


async def _round(url: str, client: Client, count: int, number: int, tokens: int) -> tuple[float, list[float]]:
    """Tokens a second of all clients together, and each client's seconds to its first token."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as web:
        began = time.perf_counter()
        firsts = await partial_round(client, web, count)(number + 1)
        seconds = time.perf_counter() - began
    failed = [outcome for outcome in firsts if isinstance(outcome, BaseException)]
    if failed:
        raise RuntimeError(f"{len(failed)} of {count} replies of {url} failed: {failed[0]!r}")
    return count * tokens / seconds, [first for first in firsts if not isinstance(first, BaseException)]


if __name__ == "__main__":
    main()

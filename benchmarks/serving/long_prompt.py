"""Measure how long a short question waits while a long prompt is read, and after whoever sent that one has left.

    python -m benchmarks.serving.long_prompt [--tokens 8000] [--rounds 2]

SmolLM2 on llama.cpp, in this process. "Whole" gives llama.cpp the long prompt as one, "in pieces" as the app does
(`assistant/serving/llama_cpp/prompt_reading.py`); both are measured in turn, each time over an empty cache.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.llama_cpp import prompt_reading
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine
from benchmarks.serving.clients import question

SHORT = Sampling(temperature=0.0, max_new_tokens=20, ignore_eos=True)
PAUSE = 3.0
"""Seconds between two questions of the person beside."""


@dataclass
class Waits:
    """Seconds of one way to read."""

    alone: list[float] = field(default_factory=list)
    """From the long prompt to its first token, with nobody beside."""
    beside: list[float] = field(default_factory=list)
    """The same with a person beside who asks short questions."""
    short: list[float] = field(default_factory=list)
    """Whole replies of that person."""
    after: list[float] = field(default_factory=list)
    """Whole reply to a short question right after a long prompt was left."""


async def seconds_of(engine: LlamaCppEngine, ids: list[int], sampling: Sampling) -> float:
    """Seconds until a reply has ended."""
    began = time.perf_counter()
    with engine.lease() as served:
        async for _ in served.stream(ids, sampling):
            pass
    return time.perf_counter() - began


async def measure(engine: LlamaCppEngine, tokens: int, number: int, waits: Waits) -> None:
    """Add one round to `waits`."""
    first = Sampling(temperature=0.0, max_new_tokens=1)

    def long(first_token: int) -> list[int]:
        return [first_token, *(100 + place * 7919 % 40_000 for place in range(tokens - 1))]

    with engine.lease() as served:
        short = [
            prompt.render(served.tokenizer, [{"role": "user", "content": question(number * 1000 + i)}], False)
            for i in range(1000)
        ]
    await seconds_of(engine, short.pop(), SHORT)
    waits.alone.append(await seconds_of(engine, long(20), first))
    reading = asyncio.create_task(seconds_of(engine, long(21), first))
    while not reading.done():
        await asyncio.sleep(PAUSE)
        if not reading.done():
            waits.short.append(await seconds_of(engine, short.pop(), SHORT))
    waits.beside.append(await reading)
    left = asyncio.create_task(seconds_of(engine, long(22), first))
    await asyncio.sleep(PAUSE)
    left.cancel()
    waits.after.append(await seconds_of(engine, short.pop(), SHORT))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=8000, help="of the long prompt")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    ways = {"whole": Waits(), "in pieces": Waits()}
    piece = prompt_reading.PIECE
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        version = version_to_serve(home, "smollm2")
        for number in range(options.rounds):
            for way, waits in ways.items():
                prompt_reading.PIECE = 10**9 if way == "whole" else piece
                engine = LlamaCppEngine(Versions(home), version)
                asyncio.run(measure(engine, options.tokens, number, waits))
                engine.close()
    print(
        "| Long prompt | First token, alone | First token, with a person beside | That person's reply, median | "
        "Longest | Reply after the long prompt was left |\n|---|---|---|---|---|---|"
    )
    for way, waits in ways.items():
        middle = [statistics.median(values) for values in (waits.alone, waits.beside, waits.short)]
        print(
            f"| {way} | {' | '.join(f'{value:.1f} s' for value in middle)} | {max(waits.short):.1f} s | "
            f"{statistics.median(waits.after):.1f} s |"
        )


if __name__ == "__main__":
    main()

"""Measure how long people wait where two versions answer at the same time, as in a live comparison.

    python -m benchmarks.serving.two_versions [--people 2,16] [--seconds 30]

Two adapters of SmolLM2 are trained for a moment, so that they differ. People ask one question after the other, half of
them version v2 and half v3, and every reply has 100 tokens; beside it, the same people all ask v2. "In turn" is one
llama.cpp for both versions, "together" a lane for each (`assistant/serving/llama_cpp/lane.py`), opened before.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.llama_cpp import llama_server
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine
from benchmarks import ROOT
from benchmarks.serving.clients import question

TOKENS = 100


@dataclass(frozen=True)
class Reply:
    """One reply: whose it was, and the seconds until its first token and until its end."""

    version: str
    first: float
    whole: float


def make_versions(home: Path) -> None:
    """Train v2 and v3 in a new home."""
    version_to_serve(home, "smollm2")
    rows = home / "rows.jsonl"
    with rows.open("w") as file:
        for number in range(8):
            messages = [{"role": "user", "content": question(number)}]
            row = {"messages": messages, "think": False, "thought": None, "answer": f"{number}."}
            file.write(json.dumps(row) + "\n")
    for seed in (1, 2):
        stage = ["sft", "--home", str(home), "--demonstrations", str(rows)]
        command = [sys.executable, "-m", "alignment", *stage, "--epochs", "1", "--seed", str(seed)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


async def asked(engine: LlamaCppEngine, version: str, person: int, until: float) -> list[Reply]:
    """One person's replies."""
    replies = []
    while time.perf_counter() < until:
        number = (person + 1) * 1000 + len(replies)
        sampling = Sampling(temperature=0.7, seed=number, max_new_tokens=TOKENS, ignore_eos=True)
        began, first = time.perf_counter(), None
        with engine.lease(version) as served:
            ids = prompt.render(served.tokenizer, [{"role": "user", "content": question(number)}], False)
            async for chunk in served.stream(ids, sampling):
                if chunk.token_ids and first is None:
                    first = time.perf_counter() - began
        assert first is not None
        replies.append(Reply(version, first, time.perf_counter() - began))
        await asyncio.sleep(0.5)
    return replies


async def load(engine: LlamaCppEngine, versions: list[str], people: int, seconds: float) -> None:
    """Print one line for each of the versions that people ask at the same time."""
    await asyncio.gather(*(asked(engine, version, -1, time.perf_counter() + 0.1) for version in versions))
    began = time.perf_counter()
    lists = await asyncio.gather(
        *(
            asked(engine, versions[person % len(versions)], person, began + seconds)
            for person in range(people)
        )
    )
    replies = [reply for mine in lists for reply in mine]
    rate = len(replies) * TOKENS / (time.perf_counter() - began)
    memory = psutil.Process().memory_full_info().uss / 2**20
    for version in versions:
        firsts = sorted(reply.first for reply in replies if reply.version == version)
        whole = statistics.median(reply.whole for reply in replies if reply.version == version)
        way = "in turn" if llama_server.LANES == 1 else "together"
        print(
            f"| {way} | {people} | {version} of {' and '.join(versions)} | {statistics.median(firsts):.1f} s | "
            f"{firsts[-1]:.1f} s | {whole:.1f} s | {rate:.0f} | {memory:,.0f} MiB |",
            flush=True,
        )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", default="2,16", help="numbers of people, with commas between them")
    parser.add_argument("--seconds", type=float, default=30.0, help="after which nobody asks again")
    options = parser.parse_args()
    print(
        "| Versions | People | Version | First token, median | First token, longest | Whole reply, median | "
        "Tokens/s | Memory |\n|---|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_versions(home)
        registry = Versions(home)
        for lanes in (1, 2):
            llama_server.LANES = lanes
            for people in map(int, options.people.split(",")):
                engine = LlamaCppEngine(registry, registry.open("v2"))
                engine.prepare("v3")
                if lanes == 1:
                    asyncio.run(load(engine, ["v2"], people, options.seconds))
                asyncio.run(load(engine, ["v2", "v3"], people, options.seconds))
                engine.close()


if __name__ == "__main__":
    main()

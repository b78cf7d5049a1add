"""Measure how llama.cpp's threads should wait for each other, on a machine of our own and on one that is shared.

    python -m benchmarks.serving.waiting_threads [--model smollm2] [--tokens 200] [--rounds 3]

A token takes hundreds of products, and after each the threads wait for the slowest. They can sleep until they are
woken, turn for a while and then sleep (GOMP_SPINCOUNT, in turns), or turn for milliseconds, as OpenMP does by itself.
One reply is written by the engine of `python app.py` in a process of its own for each way, alone and beside a program
that keeps one core busy. Prints medians of the rounds, in which the ways take turns.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from benchmarks import ROOT

WAYS = {
    "sleep at once": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
    "100 turns": {"GOMP_SPINCOUNT": "100"},
    "500 turns, as the app": {"GOMP_SPINCOUNT": "500"},
    "2,000 turns": {"GOMP_SPINCOUNT": "2000"},
    "10,000 turns": {"GOMP_SPINCOUNT": "10000"},
    "300,000 turns, OpenMP's own": {"GOMP_SPINCOUNT": "300000"},
}


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy meanwhile."""
    program = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        program.kill()
        program.wait()


def serve(model: str, home: Path, tokens: int) -> float:
    """Tokens per second of one reply."""
    from assistant.registry.first_version import version_to_serve
    from assistant.registry.versions import Versions
    from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine
    from benchmarks.serving.reply_speed import speed

    engine = LlamaCppEngine(Versions(home), version_to_serve(home, model))
    try:
        asyncio.run(speed(engine, 4))
        return asyncio.run(speed(engine, tokens))
    finally:
        engine.close()


def main() -> None:
    """Print one line per way to wait."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--tokens", type=int, default=200, help="tokens of a reply")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", metavar="HOME", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        print(json.dumps(serve(options.model, Path(options.serve), options.tokens)))
        return
    rates: dict[tuple[str, bool], list[float]] = {}
    with tempfile.TemporaryDirectory() as home:
        own = ["--serve", home, f"--model={options.model}", f"--tokens={options.tokens}"]
        command = [sys.executable, "-m", "benchmarks.serving.waiting_threads", *own]
        for number in range(options.rounds):
            for way, environment in WAYS.items():
                for shared in (False, True):
                    with busy_core() if shared else nullcontext():
                        done = subprocess.run(
                            command,
                            cwd=ROOT,
                            stdout=subprocess.PIPE,
                            text=True,
                            check=True,
                            env={**os.environ, **environment},
                        )
                    rates.setdefault((way, shared), []).append(json.loads(done.stdout.splitlines()[-1]))
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    print("| A thread that waits | Tokens/s alone | Beside a busy program |\n|---|---|---|")
    for way in WAYS:
        print(
            f"| {way} | {statistics.median(rates[way, False]):.0f} | {statistics.median(rates[way, True]):.0f} |"
        )


if __name__ == "__main__":
    main()

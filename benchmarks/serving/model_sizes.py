"""Measure how fast llama.cpp serves models of the shapes that people use, and what memory that takes.

    python -m benchmarks.serving.model_sizes [--shapes SmolLM2-360M Qwen3-0.6B] [--tokens 48]

Random weights have the speed of trained ones, so that nothing is fetched. Each shape is served in a process of its own,
by the engine that `python app.py` uses on a CPU: as trained (bfloat16), and with --quantize q8_0 and q4_1.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine
from benchmarks import ROOT
from benchmarks.serving.reply_speed import speed

SHARED: dict[str, Any] = {"max_position_embeddings": 4096, "bos_token_id": None, "eos_token_id": 2}


LLAMAS = {
    "SmolLM2-135M": (49152, 576, 1536, 30, 9, 3),
    "SmolLM2-360M": (49152, 960, 2560, 32, 15, 5),
    "Llama-3.2-1B": (128256, 2048, 8192, 16, 32, 8),
    "SmolLM2-1.7B": (49152, 2048, 8192, 24, 32, 32),
}
"""Vocabulary, width, inner width, layers, heads, and heads of keys and values, as the models' own cards give them."""
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 500_000.0,
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
GEMMAS = {"Gemma-3-270M": (640, 2048, 18), "Gemma-3-1B": (1152, 6912, 26)}
"""Width, inner width, layers."""
SHAPES = (
    *("SmolLM2-135M", "Gemma-3-270M", "SmolLM2-360M", "Qwen2.5-0.5B", "Qwen3-0.6B"),
    *("Gemma-3-1B", "Llama-3.2-1B", "SmolLM2-1.7B"),
)
ROUNDINGS = ("none", "q8_0", "q4_1")


def shape(name: str) -> Any:
    """The configuration of a shape, with a window of 4,096 tokens and tied embeddings."""
    # Late, here and below: the process that serves has no model library, as the app has none.
    from transformers import Gemma3TextConfig, LlamaConfig, Qwen2Config

    from benchmarks.serving.memory_limit import QWEN3

    if name == "Qwen3-0.6B":
        return QWEN3
    if name == "Qwen2.5-0.5B":
        return Qwen2Config(
            vocab_size=151936,
            hidden_size=896,
            intermediate_size=4864,
            num_hidden_layers=24,
            num_attention_heads=14,
            num_key_value_heads=2,
            tie_word_embeddings=True,
            **SHARED,
        )
    if name in GEMMAS:
        width, inner, layers = GEMMAS[name]
        return Gemma3TextConfig(
            vocab_size=262_144,
            hidden_size=width,
            intermediate_size=inner,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=1,
            sliding_window=512,
            **SHARED,
        )
    vocabulary, width, inner, layers, heads, kept = LLAMAS[name]
    return LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=inner,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kept,
        tie_word_embeddings=True,
        rope_parameters=LLAMA3_ROPE if name.startswith("Llama") else None,
        **SHARED,
    )


def serve(folder: Path, rounding: str, tokens: int) -> dict[str, float]:
    """Tokens per second of one reply, and the process's resident memory in MiB, with the model of `folder`."""
    home = folder / f"home-{rounding}"
    version = version_to_serve(home, str(folder / "model"))
    bits = None if rounding == "none" else rounding
    engine = LlamaCppEngine(Versions(home), version, quantize=bits)  # type: ignore[arg-type]
    try:
        asyncio.run(speed(engine, 4))
        rate = asyncio.run(speed(engine, tokens))
        return {"tokens": rate, "memory": psutil.Process().memory_info().rss / 2**20}
    finally:
        engine.close()


def main() -> None:
    """Print one line per shape and rounding."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--tokens", type=int, default=48, help="tokens of a reply")
    parser.add_argument("--serve", nargs=2, metavar=("FOLDER", "ROUNDING"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        print(json.dumps(serve(Path(options.serve[0]), options.serve[1], options.tokens)))
        return
    from benchmarks.serving.memory_limit import make

    print("| Shape | Parameters | Weights | Tokens/s | Resident |\n|---|---|---|---|---|", flush=True)
    for name in options.shapes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            parameters = make(folder / "model", shape(name))
            for rounding in ROUNDINGS:
                own = ["--serve", str(folder), rounding, f"--tokens={options.tokens}"]
                command = [sys.executable, "-m", "benchmarks.serving.model_sizes", *own]
                done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
                result = json.loads(done.stdout.splitlines()[-1])
                print(
                    f"| {name} | {parameters / 1e6:,.0f}M | {'bfloat16' if rounding == 'none' else rounding} | "
                    f"{result['tokens']:.1f} | {result['memory']:,.0f} MiB |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

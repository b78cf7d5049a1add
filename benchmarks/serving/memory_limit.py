"""Compare the speed for one person on a model of Qwen3-0.6B's shape with the limit that memory bandwidth sets.

    python -m benchmarks.serving.memory_limit [--tokens 24] [--dtype fp32,bf16]

Each token reads every weight once, so no engine is faster than memory bandwidth divided by the bytes of the weights.
The bandwidth is measured by summing a tensor larger than any cache. Random weights have the same speed as trained ones.
Also prints a profile of `generate`.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen3Config

from assistant.bases.base import STARTER_FOLDER
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.serving.loading import Placement, load_for_serving, quiet_libraries
from assistant.serving.transformers_engine import TransformersEngine
from benchmarks.serving.reply_speed import speed


def bandwidth() -> float:
    """Bytes per second that all cores together read from memory, the best of five runs."""
    large = torch.ones(2**28)
    best = 0.0
    for _ in range(5):
        began = time.perf_counter()
        large.sum()
        best = max(best, large.nbytes / (time.perf_counter() - began))
    return best


QWEN3 = Qwen3Config(
    vocab_size=151936,
    hidden_size=1024,
    intermediate_size=3072,
    num_hidden_layers=28,
    num_attention_heads=16,
    num_key_value_heads=8,
    head_dim=128,
    max_position_embeddings=4096,
    tie_word_embeddings=True,
    bos_token_id=None,
    eos_token_id=2,
)
"""The shape of Qwen3-0.6B."""


def make(folder: Path, config: Any) -> int:
    """Save a model of this shape with random weights, and the starter's tokenizer; returns its number of parameters."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model = model.to_empty(device="cpu").to(torch.bfloat16)
    model.tie_weights()
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.02)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(STARTER_FOLDER / "base").save_pretrained(folder)
    return int(model.num_parameters())


def profile(home: Path, placement: Placement, tokens: int) -> str:
    """A profile of `generate`: the same model code without the engine's threads."""
    loaded = load_for_serving(version_to_serve(home, "starter"), home, placement)
    ids = torch.arange(5, 37)[None]
    with torch.profiler.profile() as profile:
        loaded.model.generate(
            ids, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, pad_token_id=0
        )
    return str(
        profile.key_averages().table(sort_by="self_cpu_time_total", row_limit=8, max_name_column_width=40)
    )


def main() -> None:
    """Print the bandwidth, and for each dtype the speed, its limit and a profile."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--dtype", default="fp32,bf16")
    options = parser.parse_args()
    quiet_libraries()
    reads = bandwidth()
    print(f"memory: {reads / 1e9:.1f} GB/s read by {torch.get_num_threads()} cores")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make(folder / "model", QWEN3)
        home = folder / "home"
        version = version_to_serve(home, str(folder / "model"))
        for dtype in options.dtype.split(","):
            placement = Placement(device="cpu", dtype=dtype)
            engine = TransformersEngine(Versions(home), version, placement)
            weights = sum(parameter.nbytes for parameter in engine._released.loaded.model.parameters())
            asyncio.run(speed(engine, 4))
            rate, limit = asyncio.run(speed(engine, options.tokens)), reads / weights
            engine.close()
            print(
                f"{dtype}: {rate:.1f} tokens/s, the limit is {limit:.1f} ({rate / limit * 100:.0f} %)",
                flush=True,
            )
            del engine
            print(profile(home, placement, 8), flush=True)


if __name__ == "__main__":
    main()

"""Compare the greedy text of llama.cpp with that of transformers in float32, on many prompts and models.

    python -m benchmarks.serving.same_text [--models smollm2 starter "toy qwen3"] [--prompts 200] [--tokens 40]

Each model writes to the same questions by both. Where two texts part, the first differing tokens are looked up in
transformers' own distribution: a near-tie is one whose two tokens it holds to be equally likely within 0.1 nats, so
that rounding decides; anything wider would be a mistake in the conversion. `smollm2` and `starter` (with its adapter)
are the project's models, the others toys with random weights of the families that llama.cpp serves here.
"""

import argparse
import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from alignment.generation import generate
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Version, Versions
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine
from assistant.serving.loading import Loaded, Placement, end_tokens, load_for_serving, quiet_libraries
from benchmarks.loop.taste import questions

NEAR = 0.1
"""Nats."""
BATCH = 50
OURS = ("smollm2", "starter")


@dataclass(frozen=True)
class Text:
    """A prompt and what a model wrote to it greedily, as token ids."""

    prompt_ids: list[int]
    completion_ids: list[int]


def by_transformers(loaded: Loaded, prompts: list[list[int]], tokens: int) -> list[Text]:
    """The model's texts in float32."""
    ends, texts = end_tokens(loaded.model, loaded.tokenizer), []
    for start in tqdm(range(0, len(prompts), BATCH), desc="transformers", leave=False):
        batch = prompts[start : start + BATCH]
        texts += [
            Text(ids, written)
            for ids, written in zip(
                batch, generate(loaded.model, batch, [tokens] * len(batch), ends), strict=True
            )
        ]
    return texts


async def by_llama_cpp(version: Version, home: Path, prompts: list[list[int]], tokens: int) -> list[Text]:
    """The same model's texts as the app serves it, one after the other."""
    engine = LlamaCppEngine(Versions(home), version, 2**28)
    greedy, texts = Sampling(temperature=0.0, max_new_tokens=tokens), []
    with engine.lease() as served:
        for ids in tqdm(prompts, desc="llama.cpp", leave=False):
            written = [token async for chunk in served.stream(ids, greedy) for token in chunk.token_ids]
            texts.append(Text(ids, written))
    engine.close()
    return texts


@torch.inference_mode()
def gap(loaded: Loaded, expected: Text, found: Text) -> float:
    """By how many nats transformers prefers its own token where both texts part; 0 if they are the same."""
    pairs = zip(expected.completion_ids, found.completion_ids, strict=False)
    place = next((number for number, (one, other) in enumerate(pairs) if one != other), None)
    if place is None:
        return 0.0
    ids = torch.tensor([[*expected.prompt_ids, *expected.completion_ids[:place]]])
    row = loaded.model(ids, logits_to_keep=1).logits[0, -1].log_softmax(-1)
    return float(row[expected.completion_ids[place]] - row[found.completion_ids[place]])


def compare(name: str, home: Path, source: str, count: int, tokens: int) -> None:
    """Print one row of the table."""
    version = version_to_serve(home, source)
    loaded = load_for_serving(version, home, Placement(device="cpu", dtype="fp32"))
    asked = (questions(held_out=True, seed=1) + questions(held_out=False, seed=1))[:count]
    prompts = [prompt.render(loaded.tokenizer, [{"role": "user", "content": text}], False) for text in asked]
    expected = by_transformers(loaded, prompts, tokens)
    found = asyncio.run(by_llama_cpp(version, home, prompts, tokens))
    pairs = list(zip(expected, found, strict=True))
    differing = [pair for pair in pairs if pair[0].completion_ids != pair[1].completion_ids]
    gaps = [gap(loaded, *pair) for pair in differing]
    print(
        f"| {name} | {len(pairs)} | {len(pairs) - len(differing)} | {sum(one <= NEAR for one in gaps)} | "
        f"{sum(one > NEAR for one in gaps)} | {max(gaps, default=0.0):.3f} |",
        flush=True,
    )


def main() -> None:
    """Compare every model, and print the table."""
    from tests.helpers.toy_models import make

    toys = ("llama3.2", "qwen2.5", "qwen3", "gemma3", "smollm3")
    known = [*OURS, *(f"toy {name}" for name in toys)]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", choices=known, default=known)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=40)
    options = parser.parse_args()
    quiet_libraries()
    print("| Model | Prompts | Same text | Near-ties | Other differences | Widest gap, nats |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in options.models:
        with tempfile.TemporaryDirectory() as folder:
            home, source = Path(folder) / "home", name
            if name not in OURS:
                source = str(make(name.removeprefix("toy "), Path(folder) / "model"))
            compare(name, home, source, options.prompts, options.tokens)


if __name__ == "__main__":
    main()

"""Measure what rounding its weights costs a model: served log-probabilities and texts beside those in float32.

    python -m benchmarks.serving.rounding [--model smollm2] [--prompts 20] [--tokens 40]

For each way to round, llama.cpp scores the greedy replies of transformers in float32 on the same dequantised weights,
and writes greedy replies of its own. Prints the difference of the log-probabilities in nats a token, mean and largest,
how many of the replies are the same, and how long a token took llama.cpp for one person.
"""

import argparse
import asyncio
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import get_args

import torch

from assistant.bases.base import FileBits
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Version, Versions
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine
from assistant.serving.loading import load_for_serving, quiet_libraries

QUESTIONS = (
    "What is the capital of France?",
    "Why is the sky blue?",
    "What is photosynthesis?",
    "Correct this sentence: He don't likes apples.",
    "Name three fruits.",
    "What does a baker do?",
    "Write one sentence about winter.",
    "How many days are in a week?",
    "What is the opposite of hot?",
    "Explain what a noun is.",
    "Who wrote Romeo and Juliet?",
    "Give me a tip for sleeping better.",
    "What is the largest planet?",
    "Make this polite: Give me the report.",
    "What is rain?",
    "Which animal says moo?",
    "What is the chemical symbol of water?",
    "Why do leaves fall in autumn?",
    "What is a prime number?",
    "Describe the sea in five words.",
)

Reference = tuple[list[int], list[int], list[float]]
"""Prompt, greedy completion, and the log-probability of each of its tokens, in float32."""


def references(version: Version, home: Path, count: int, tokens: int) -> list[Reference]:
    """Greedy completions of transformers in float32."""
    loaded = load_for_serving(version, home)
    found = []
    for question in QUESTIONS[:count]:
        ids = prompt.render(loaded.tokenizer, [{"role": "user", "content": question}], False)
        with torch.inference_mode():
            whole = loaded.model.generate(torch.tensor([ids]), max_new_tokens=tokens, do_sample=False)
            rows = loaded.model(whole).logits[0, len(ids) - 1 : -1].log_softmax(-1)
        completion = whole[0, len(ids) :].tolist()
        found.append((ids, completion, [float(row[t]) for row, t in zip(rows, completion, strict=True)]))
    return found


def compare(
    version: Version, home: Path, quantize: FileBits | None, references: list[Reference], tokens: int
) -> None:
    """Print one row of the table."""
    engine = LlamaCppEngine(Versions(home), version, 2**28, quantize)
    greedy, differences, same, seconds = Sampling(temperature=0.0, max_new_tokens=tokens), [], 0, []
    with engine.lease() as served:

        async def written(ids: list[int]) -> list[int]:
            return [token async for chunk in served.stream(ids, greedy) for token in chunk.token_ids]

        for ids, completion, logps in references:
            scores = served.score(ids, completion, greedy, 1)
            differences += [
                abs(math.log(max(score.probability, 1e-9)) - logp)
                for score, logp in zip(scores, logps, strict=True)
            ]
            began = time.perf_counter()
            own = asyncio.run(written(ids))
            seconds.append((time.perf_counter() - began) / len(own))
            same += own == completion
    engine.close()
    print(
        f"| {quantize or 'as trained'} | {statistics.mean(differences):.4f} | {max(differences):.3f} | "
        f"{same} of {len(references)} | {1000 * statistics.median(seconds):.1f} |",
        flush=True,
    )


def main() -> None:
    """Compare every way to round, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--prompts", type=int, default=len(QUESTIONS))
    parser.add_argument("--tokens", type=int, default=40)
    options = parser.parse_args()
    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        version = version_to_serve(home, options.model)
        expected = references(version, home, options.prompts, options.tokens)
        print("| Weights | Mean difference | Largest | Same replies | Milliseconds a token |")
        print("|---|---|---|---|---|")
        for quantize in (None, *get_args(FileBits)):
            compare(version, home, quantize, expected, options.tokens)


if __name__ == "__main__":
    main()

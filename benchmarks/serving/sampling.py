"""How the settings by which replies are drawn change what a model answers: facts, loops, ends, and variety.

    python -m benchmarks.serving.sampling [--facts 160] [SETTINGS ...]

SETTINGS are such as temperature=0.2,top_p=0.9; without any, the default of unknown models and SmolLM2's own are
compared. SmolLM2 is asked facts of `benchmarks/loop/facts.jsonl`, once each, and 40 general questions twice each with
other seeds. A fact is right if the first sentence names it. The intervals are Wilson's, 95 %.
"""

import argparse
import asyncio
import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from alignment.evaluation.retention import is_repeated
from assistant.bases.built_in_cards import SMOLLM2_CARD
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import DEFAULT_TEMPERATURE, Sampling
from assistant.serving import prompt
from assistant.serving.engine import Engine
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine
from benchmarks.loop.facts import read_facts
from benchmarks.serving.thoughts import QUESTIONS
from feedback_store.stats.intervals import wilson

AT_ONCE = 8
LONGEST, LONGEST_FACT = 200, 60
"""Tokens of an answer. A fact needs one sentence."""

Answer = tuple[str, bool]
"""Its text, and whether the model ended it."""


async def answers(engine: Engine, asked: Sequence[tuple[str, Sampling]]) -> list[Answer]:
    """The answers to questions, each drawn by its own settings, AT_ONCE at a time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def answer(question: str, sampling: Sampling) -> Answer:
        async with free:
            with engine.lease() as served:
                ids = prompt.render(served.tokenizer, [{"role": "user", "content": question}], False)
                chunks = [chunk async for chunk in served.stream(ids, sampling)]
                text = prompt.decode(served.tokenizer, [id for chunk in chunks for id in chunk.token_ids])
                return text, chunks[-1].finish_reason == "end"

    return await asyncio.gather(*(answer(*one) for one in asked))


def parsed(text: str) -> Sampling:
    """Settings such as temperature=0.2,top_p=0.9."""
    values = dict(part.split("=", 1) for part in text.split(","))
    return Sampling(
        **{name: int(value) if name == "top_k" else float(value) for name, value in values.items()}
    )


def main() -> None:
    """Ask everything with each of the settings; print a row for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    own = ",".join(f"{name}={value:g}" for name, value in SMOLLM2_CARD.sampling.items())
    parser.add_argument("settings", nargs="*", default=[f"temperature={DEFAULT_TEMPERATURE}", own])
    parser.add_argument("--facts", type=int, default=160)
    options = parser.parse_args()
    facts = random.Random("sampling").sample(read_facts(), options.facts)
    print(f"{'settings':40} {'facts right':>22} {'no end':>8} {'loops':>6} {'two alike':>10}")
    with tempfile.TemporaryDirectory() as folder:
        engine = LlamaCppEngine(Versions(Path(folder)), version_to_serve(Path(folder), "smollm2"))
        try:
            for text in options.settings:
                sampling = replace(parsed(text), max_new_tokens=LONGEST)
                short = replace(sampling, max_new_tokens=LONGEST_FACT)
                told = asyncio.run(
                    answers(
                        engine,
                        [(fact.asked(0), replace(short, seed=number)) for number, fact in enumerate(facts)],
                    )
                )
                right = sum(fact.is_right(answer) for fact, (answer, _) in zip(facts, told, strict=True))
                said = asyncio.run(
                    answers(
                        engine,
                        [
                            (question, replace(sampling, seed=seed))
                            for question in QUESTIONS
                            for seed in (1, 2)
                        ],
                    )
                )
                share = wilson(right, len(facts))
                alike = sum(
                    first[0] == second[0] for first, second in zip(said[::2], said[1::2], strict=True)
                )
                print(
                    f"{text:40} {right:4} of {len(facts)} [{100 * share.low:.0f}, {100 * share.high:.0f}] %"
                    f" {sum(not ended for _, ended in said):>5}/{len(said)}"
                    f" {sum(is_repeated(answer) for answer, _ in said):>3}/{len(said)}"
                    f" {alike:>6}/{len(QUESTIONS)}",
                    flush=True,
                )
        finally:
            engine.close()


if __name__ == "__main__":
    main()

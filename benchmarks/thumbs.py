"""A hundred thumbs to a released next version, timed; and what they changed.

    python -m benchmarks.thumbs [--thumbs 100] [--learning-rate 1e-4]

A simulated person asks two-step word problems and gives a thumb up to an answer that is right and names its unit,
a thumb down to any other. Then `kto` and `release` run as commands. The habit is measured on held-out problems.
"""

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from alignment.evaluation.answering import answer
from alignment.evaluation.shares import cells, table
from alignment.starter.corpus import task
from alignment.starter.suite_files import suite_task
from alignment.suites.starter_suite import select_tasks
from alignment.suites.task_file import judge
from assistant.chat.chat import Chat
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving.loading import load_for_serving, quiet_libraries
from assistant.serving.transformers_engine import TransformersEngine
from benchmarks import ROOT
from feedback_store import FeedbackStore


async def chat_and_rate(home: Path, thumbs: int, seed: int) -> dict[int, int]:
    """Chat on the starter and store a thumb for each answer; how many of each."""
    versions = Versions(home)
    engine = TransformersEngine(versions, version_to_serve(home, None))
    given = {1: 0, -1: 0}
    rng = random.Random(seed)
    try:
        with FeedbackStore.open(home / "feedback.db") as store:
            chat = Chat(store, engine, Sampling(temperature=0.8, max_new_tokens=400))

            async def one(number: int) -> None:
                asked = task(rng, "en" if number % 2 else "zh", "word_two_step", "train")
                last = [update async for update in chat.reply(asked.question, think=True, rater="person")][-1]
                checked = judge(suite_task(asked), last.answer)
                vote = 1 if checked.correct and checked.has_unit else -1
                given[vote] += 1
                chat.library.rate(last.reply_id, vote, [], "", "person")

            for start in range(0, thumbs, 16):
                await asyncio.gather(*(one(number) for number in range(start, min(start + 16, thumbs))))
    finally:
        engine.close()
    return given


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--thumbs", type=int, default=100)
    parser.add_argument("--each", type=int, default=200, help="held-out problems a language")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("kto", nargs="*", help="flags for the stage, after --")
    options = parser.parse_args()
    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        given = asyncio.run(chat_and_rate(home, options.thumbs, options.seed))
        print(f"thumbs: {given[1]} up, {given[-1]} down", flush=True)
        began = time.monotonic()
        for command in (["kto", *options.kto], ["release", "v2"]):
            subprocess.run(
                [sys.executable, "-m", "alignment", *command, "--home", str(home)], cwd=ROOT, check=True
            )
        print(f"thumbs to a released v2: {time.monotonic() - began:.0f} s", flush=True)
        tasks = select_tasks(("word_two_step",), options.each, seed=2)
        for version in ("v1", "v2"):
            loaded = load_for_serving(Versions(home).open(version), home)
            print(f"\n{version}\n{table(cells(answer(loaded, tasks, think=True)))}", flush=True)


if __name__ == "__main__":
    main()

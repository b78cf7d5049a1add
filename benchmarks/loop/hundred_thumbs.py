"""Time the way from a hundred thumbs to a released next version, and measure what the thumbs changed.

    python -m benchmarks.loop.hundred_thumbs [--thumbs 100] [--learning-rate 1e-4]

A simulated person asks two-step word problems and gives a thumb up to an answer that is right and names its unit,
a thumb down to any other. Then `kto` and `release` run as commands. The habit is measured on held-out problems.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from alignment.evaluation.answering import answer
from alignment.evaluation.shares import cells, table
from alignment.suites.starter_suite import select_tasks
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving.loading import load_for_serving, quiet_libraries
from benchmarks import ROOT
from benchmarks.loop.simulated_people import People, chat_and_rate

PERSON = People(
    kinds=("word_two_step",),
    answers=1,
    raters=1,
    noise=0.0,
    sampling=Sampling(temperature=0.8, max_new_tokens=400),
)
"""One person who asks each problem once and never errs."""


def main() -> None:
    """Chat, train, release and evaluate; print the times and both versions' shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--thumbs", type=int, default=100)
    parser.add_argument("--each", type=int, default=200, help="held-out problems per language")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("kto", nargs="*", help="flags for the stage, after --")
    options = parser.parse_args()
    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        thumbs = chat_and_rate(home, options.thumbs, PERSON, options.seed)
        print(f"thumbs: {thumbs.up} up, {thumbs.of - thumbs.up} down", flush=True)
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

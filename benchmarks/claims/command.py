"""Measure the claims about how a text predictor becomes an assistant, and write docs/claims.md.

    python -m benchmarks.claims [CLAIM …] [--out build/claims] [--quick] [--document]

Each claim is measured part by part, and a part that --out holds is not measured again: started again after an
interruption, the command goes on where it was. The seeds of a claim are measured beside each other, each in a process
of its own. A finished claim becomes docs/claims/CLAIM.json, and from these files the plots and both documents are made.
--document makes them without measuring anything. --quick measures all claims at a size that says nothing, in about five
minutes, and writes its documents below --out.
"""

import argparse
import functools
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from alignment.training.output_version import libraries
from assistant.serving.loading import quiet_libraries
from benchmarks import ROOT
from benchmarks.claims import (
    alignment_beats_size,
    base_and_assistant,
    chain_of_thought,
    document,
    loss_and_optimisation,
    occasionally_good,
    range_and_data,
    reward_model_saves_people,
    scarce_pairs,
    two_languages,
    word_chain,
)
from benchmarks.claims.claim import Measured
from benchmarks.claims.context import Context
from feedback_store.atomic_files import write_atomically

CLAIMS = {
    "word_chain": word_chain,
    "range_and_data": range_and_data,
    "base_and_assistant": base_and_assistant,
    "scarce_pairs": scarce_pairs,
    "two_languages": two_languages,
    "loss_and_optimisation": loss_and_optimisation,
    "occasionally_good": occasionally_good,
    "reward_model_saves_people": reward_model_saves_people,
    "chain_of_thought": chain_of_thought,
    "alignment_beats_size": alignment_beats_size,
}
"""The claims by name, in the order in which an assistant is made."""
WITHOUT_SEEDS = ("word_chain", "chain_of_thought")
"""Claims that train nothing."""


def measure_seeds(name: str, out: Path) -> None:
    """Measure a claim's parts seed by seed, all seeds at once.

    Raises SystemExit if one fails; the parts that are finished are kept.
    """
    seeds = Context(out).seeds
    # Each takes its share of the cores: more threads than cores slow all of them down.
    threads = str(max(1, (os.cpu_count() or 1) // len(seeds)))
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.claims", name, "--out", str(out), "--seed", str(seed)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": threads},
            # Ctrl-C reaches a whole terminal; this process stops the others, without their tracebacks.
            preexec_fn=functools.partial(signal.signal, signal.SIGINT, signal.SIG_IGN),
        )
        for seed in seeds
    ]
    try:
        failed = [str(seed) for seed, process in zip(seeds, processes, strict=True) if process.wait()]
    except KeyboardInterrupt:
        for process in processes:
            process.terminate()
            process.wait()
        raise
    if failed:
        raise SystemExit(f"{name}: seed {', '.join(failed)} failed, see above. Started again, this goes on.")


def measure(name: str, context: Context, docs: Path) -> None:
    """Measure what is missing of a claim, and write its result and the documents."""
    measured = CLAIMS[name].run(context)
    path = docs / "claims" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result(name, context, measured), ensure_ascii=False, indent=1)
    write_atomically(path, text + "\n")
    document.write(docs, CLAIMS)


def result(name: str, context: Context, measured: Measured) -> document.Result:
    """What was measured, and by which command, when, on which machine and in which parts."""
    parts = context.parts()
    return {
        "command": document.command(name) + (" --quick" if context.quick else ""),
        "quick": context.quick,
        "date": datetime.fromtimestamp(parts[-1]["ended"], UTC).date().isoformat(),
        "machine": {"cpu": cpu_model(), "cores": os.cpu_count()},
        "minutes": round(sum(part["seconds"] for part in parts) / 60, 1),
        "libraries": libraries(),
        "log": [[part["part"], part["seconds"]] for part in parts],
        "measured": measured,
    }


def before_measuring(finished: int, path: Path) -> str:
    """What there is already: how many parts are `finished`, and how long the last result at `path` took."""
    kept = f"parts finished before and kept: {finished}" if finished else "nothing is measured yet"
    if not path.exists():
        return kept
    last = json.loads(path.read_text())
    return f"{kept}; the last time it took {last['minutes']:g} minutes of processor time"


def cpu_model() -> str:
    """The name of the processor, as the system gives it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main(arguments: list[str] | None = None) -> None:
    """Measure the named claims, or all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.claims",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help=f"all if left out: {', '.join(CLAIMS)}")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "claims", help="keeps finished parts")
    parser.add_argument("--quick", action="store_true", help="only show that the program works")
    parser.add_argument("--seed", type=int, help="measure the parts of this seed only, and write no document")
    parser.add_argument("--document", action="store_true", help="measure nothing: write the documents anew")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.claims if name not in CLAIMS]:
        parser.error(f"there is no claim {', '.join(unknown)}. Known: {', '.join(CLAIMS)}.")
    docs = options.out / "quick" / "docs" if options.quick else ROOT / "docs"
    if options.document:
        document.write(docs, CLAIMS)
        return
    try:
        measure_all(options.claims or list(CLAIMS), options, docs)
    except KeyboardInterrupt:
        raise SystemExit("Stopped. What is finished is kept: the same command goes on from there.") from None


def measure_all(names: Sequence[str], options: argparse.Namespace, docs: Path) -> None:
    """Measure claims one after the other; with a seed, only its parts."""
    quiet_libraries()
    out = options.out.absolute()
    for name in names:
        began = time.monotonic()
        context = Context(out / ("quick" if options.quick else "full") / name, options.quick, options.seed)
        if options.seed is not None:
            CLAIMS[name].run(context)
            continue
        print(
            f"{name}: {before_measuring(len(context.parts()), docs / 'claims' / f'{name}.json')}", flush=True
        )
        if not options.quick and name not in WITHOUT_SEEDS:
            measure_seeds(name, out)
        measure(name, context, docs)
        print(
            f"{name}: {docs / document.FILES['en']}, {(time.monotonic() - began) / 60:.1f} minutes",
            flush=True,
        )

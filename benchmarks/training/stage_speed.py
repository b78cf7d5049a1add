"""Compare speed and memory of each stage with plain TRL, and of PPO with the PPO trainer of TRL 1.12.

    python -m benchmarks.training.stage_speed --folder build/alignment [--runs 3] [--parts stages ppo]

Stages: tokens per second (episodes for RLOO) and the peak memory of the process, in the setting of `speed_setting.py`.
The two sides alternate, each run in a process of its own, and the table shows medians. PPO: a policy of 60 million
random weights, with the same reward model, prompts, batch, response length and epochs on both sides; TRL 1.12 runs in a
virtual environment that is created here once. The folder keeps finished runs, so that a stopped benchmark resumes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from alignment.data.raw_text import join_documents
from assistant.bases.base import STARTER, Base
from assistant.registry.first_version import version_to_serve
from assistant.serving.loading import load_tokenizer
from benchmarks import ROOT
from benchmarks.training import ppo_setting
from benchmarks.training.rated_home import rate_rows, write_rows
from benchmarks.training.speed_setting import (
    BATCH,
    BLOCK,
    NEW_TOKENS,
    RATE,
    STAGES,
    TEMPERATURE,
    UPDATES,
    blocks_an_update,
    rows,
)
from feedback_store.atomic_files import write_atomically

PINS = ("trl==1.12.*", "transformers==5.23.0", "torch==2.13.0", "peft==0.21.2", "accelerate==1.15.0")
"""TRL 1.12 with the other libraries as pinned in requirements-train.txt."""
SIDES = ("plain", "ours")


def measured(command: Sequence[str], output_path: Path) -> dict[str, Any]:
    """Run a process that writes measurements to `output_path`; returns them with its peak memory in MiB."""
    log = output_path.with_suffix(".log")
    with log.open("w", encoding="utf-8") as output:
        running = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=output, stderr=output)
        _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {running.returncode}; see {log}")
    # Linux reports ru_maxrss in KiB.
    return {**json.loads(output_path.read_text(encoding="utf-8")), "memory": usage.ru_maxrss / 1024}


def ours(stage: str, folder: Path) -> list[str]:
    """The command that runs our stage in the setting of the plain script."""
    same = [f"--learning_rate={RATE}", "--evaluations=1", "--seed=1"]
    if stage != "rloo":
        same += ["--epochs=1", "--warmup=0.1", f"--batch_size={BATCH}"]
    if stage in ("sft", "reward", "dpo", "kto"):
        same.append(f"--min_steps={UPDATES}")
    own = {
        "pretrain": [
            *("--text", str(folder / "text.txt"), f"--block_length={BLOCK}", "--optimizer=adamw"),
            *("--weight_decay=0", f"--batch_size={blocks_an_update()}"),
        ],
        "sft": ["--demonstrations", str(folder / "rows.jsonl")],
        "reward": ["--pairs", str(folder / "pairs.jsonl")],
        "dpo": ["--pairs", str(folder / "pairs.jsonl")],
        "kto": [],
        "rloo": [
            # TRL's alone has neither.
            "--missing_end_penalty=0",
            "--preflight_prompts=2",
            *(
                "--prompts",
                str(folder / "rows.jsonl"),
                "--reward_functions",
                "benchmarks.training.speed_setting:evens",
            ),
            *(f"--updates={UPDATES}", f"--batch_size={BATCH // 4}", f"--max_new_tokens={NEW_TOKENS}"),
            f"--temperature={TEMPERATURE}",
        ],
    }[stage]
    return [
        sys.executable,
        "-m",
        "alignment",
        stage,
        "--home",
        str(folder / "home"),
        "--parent=v1",
        *own,
        *same,
    ]


def stage_cell(stage: str, side: str, folder: Path, output_path: Path) -> dict[str, Any]:
    """Run one side of a stage once; returns its measurements."""
    if side == "plain":
        script = [sys.executable, "-m", "benchmarks.training.plain_trl", stage]
        return measured(
            [*script, "--rows", str(folder / "rows.jsonl"), "--output", str(output_path)], output_path
        )
    output_path.write_text("{}", encoding="utf-8")
    results = measured(ours(stage, folder), output_path)
    version = output_path.with_suffix(".log").read_text(encoding="utf-8").split()[-1]
    manifest = json.loads((folder / "home" / "versions" / version / "manifest.json").read_text())
    return {**results, "seconds": manifest["metrics"]["seconds"]}


def prepare(folder: Path, _: Path) -> dict[str, int]:
    """Make a home with thumbs and the files of rows; returns the tokens (RLOO: episodes) in a run of each stage."""
    home = folder / "home"
    version_to_serve(home, "starter")
    tokenizer = load_tokenizer(Base(STARTER, ""), home)
    training_rows = rows(tokenizer, BATCH * UPDATES)
    pairs = [
        {"messages": row["messages"], "think": True, "chosen": row["right"], "rejected": row["wrong"]}
        for row in training_rows
    ]
    for name, lines in (("rows", training_rows), ("pairs", pairs)):
        write_rows(folder / f"{name}.jsonl", lines)
    text = "\n\n".join(row["text"] for row in training_rows)
    blocks = blocks_an_update() * UPDATES
    ids = join_documents([text], tokenizer, tokenizer.eos_token_id)
    # Slightly more tokens than the blocks hold, and too few for any to be held out.
    (folder / "text.txt").write_text(tokenizer.decode(ids[: blocks * BLOCK + 8]), encoding="utf-8")
    rate_rows(home, "v1", tokenizer, training_rows)
    right, wrong, prompts = (sum(row["tokens"][at] for row in training_rows) for at in (1, 2, 0))
    completions = sum(row["tokens"][1 if row["label"] else 2] for row in training_rows)
    pair = 2 * prompts + right + wrong
    return {
        "pretrain": blocks * BLOCK,
        "sft": prompts + right,
        "reward": pair,
        "dpo": pair,
        "kto": prompts + completions,
        "rloo": BATCH * UPDATES,
    }


def environment(folder: Path) -> Path:
    """Path of the Python of a virtual environment with TRL 1.12, which is created if missing."""
    python = folder / "trl-1.12" / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (folder / "trl-1.12.ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / "trl-1.12")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PINS], check=True)
        (folder / "trl-1.12.ready").touch()
    return python


def ppo_cell(side: str, folder: Path, output_path: Path) -> dict[str, Any]:
    """Run all PPO updates of one side; returns its measurements."""
    ppo_setting.write(folder / "ppo")
    python = str(environment(folder)) if side == "plain" else sys.executable
    script = "benchmarks.training.trl_ppo" if side == "plain" else "benchmarks.training.our_ppo"
    return measured(
        [python, "-m", script, "--folder", str(folder / "ppo"), "--output", str(output_path)], output_path
    )


def medians(cells: Sequence[dict[str, Any]], key: str) -> float:
    """The median of a measurement over all runs."""
    return statistics.median(cell[key] for cell in cells)


def stages_table(results: dict[str, dict[str, list[dict[str, Any]]]], counts: dict[str, int]) -> str:
    """A Markdown table with one line per stage: the medians of both sides, and their ratios."""
    lines = [
        "| stage | plain TRL, a second | Thumbtune, a second | ratio | plain TRL, MiB | Thumbtune, MiB | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for stage, sides in results.items():
        plain_rate, ours_rate = (counts[stage] / medians(sides[side], "seconds") for side in SIDES)
        plain_memory, ours_memory = (medians(sides[side], "memory") for side in SIDES)
        unit = "episodes" if stage == "rloo" else "tokens"
        lines.append(
            f"| {stage} | {plain_rate:,.1f} {unit} | {ours_rate:,.1f} {unit} | {ours_rate / plain_rate:.2f} | "
            f"{plain_memory:,.0f} | {ours_memory:,.0f} | {ours_memory / plain_memory:.2f} |"
        )
    return "\n".join(lines)


def ppo_table(results: dict[str, dict[str, Any]]) -> str:
    """A Markdown table with one line per side: speed, memory, and mean rewards at the start and the end."""
    lines = [
        "| PPO | episodes a second | added memory, MiB | reward, first update | reward, last quarter |",
        "|---|---|---|---|---|",
    ]
    for side, name in zip(SIDES, ("TRL 1.12, LoRA", "Thumbtune"), strict=True):
        result = results[side]
        last = result["scores"][-max(1, len(result["scores"]) // 4) :]
        lines.append(
            f"| {name} | {result['episodes'] / result['seconds']:.2f} | {result['memory'] - result['before']:,.0f} | "
            f"{result['scores'][0]:.3f} | {statistics.fmean(last):.3f} |"
        )
    plain, mine = (results[side] for side in SIDES)
    speed = (mine["episodes"] / mine["seconds"]) / (plain["episodes"] / plain["seconds"])
    added = (mine["memory"] - mine["before"]) / (plain["memory"] - plain["before"])
    return "\n".join([*lines, f"| ratio | {speed:.2f} | {added:.2f} | | |"])


def plot(speeds: dict[str, float], ppo: dict[str, dict[str, Any]], path: Path) -> None:
    """Plot speeds as multiples of plain TRL's, and the reward of both PPO trainers by episode."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    left.barh(list(speeds)[::-1], list(speeds.values())[::-1], color="#0a7d55")
    left.axvline(1, color="#444444", linewidth=0.8)
    left.set_xlabel("speed, times TRL's")
    for side, name, colour in (("plain", "TRL 1.12", "#888888"), ("ours", "Thumbtune", "#0a7d55")):
        result = ppo.get(side)
        if result is not None:
            episodes = [result["batch"] * (number + 1) for number in range(len(result["scores"]))]
            right.plot(episodes, result["scores"], label=name, color=colour)
    right.set(xlabel="PPO, episodes", ylabel="reward")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    pyplot.close(figure)


def main() -> None:
    """Run the missing measurements; print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="keeps the results of finished runs")
    parser.add_argument("--runs", type=int, default=3, help="number of runs of each stage and side")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--parts", nargs="+", choices=("stages", "ppo"), default=["stages", "ppo"])
    parser.add_argument("--minutes", type=float, help="start no further run after this many minutes")
    parser.add_argument("--plot", type=Path, help="also plot the results to this file")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")

    def once(name: str, make: Callable[..., Any], *arguments: Any) -> Any:
        path = folder / "cells" / f"{name}.json"
        if not path.exists():
            if time.monotonic() > ends:
                raise SystemExit(f"the time is over; next is {name}")
            path.parent.mkdir(exist_ok=True)
            print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
            result = make(*arguments, folder, path.with_suffix(".told"))
            write_atomically(path, json.dumps(result) + "\n")
        return json.loads(path.read_text(encoding="utf-8"))

    speeds: dict[str, float] = {}
    ppo: dict[str, dict[str, Any]] = {}
    if "stages" in options.parts:
        counts = once("rows", prepare)
        results: dict[str, dict[str, list[dict[str, Any]]]] = {
            stage: {side: [] for side in SIDES} for stage in options.stages
        }
        for number in range(options.runs):
            for stage in options.stages:
                for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                    name = f"{stage}-{side}-{number + 1}"
                    results[stage][side].append(once(name, stage_cell, stage, side))
        print(stages_table(results, counts), flush=True)
        for stage, sides in results.items():
            speeds[stage] = medians(sides["plain"], "seconds") / medians(sides["ours"], "seconds")
    if "ppo" in options.parts:
        for side in SIDES:
            ppo[side] = once(f"ppo-{side}", ppo_cell, side)
        print(ppo_table(ppo))
        rates = {side: result["episodes"] / result["seconds"] for side, result in ppo.items()}
        speeds["ppo"] = rates["ours"] / rates["plain"]
    if options.plot:
        plot(speeds, ppo, options.plot)


if __name__ == "__main__":
    main()

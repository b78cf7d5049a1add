"""Each stage beside plain TRL, and our PPO beside the one that TRL 1.12 still had: speed and memory.

    python -m benchmarks.training.stage_speed --folder build/alignment [--runs 3] [--parts stages ppo]

Stages: tokens (episodes, of RLOO) a second and the process's peak memory, in the setting of `speed_setting.py`; both
sides take turns, each run in a process of its own, and the table shows medians. PPO: a policy of 60 million random
weights, the same judge, prompts, batch, response length and epochs on both sides; TRL 1.12 runs in an environment that
is made here once. What is done is kept in the folder, and a run that was stopped goes on.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from alignment.data.raw_text import join_documents
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import STARTER, Base, write_atomically
from assistant.serving import prompt
from assistant.serving.loading import load_tokenizer
from benchmarks import ROOT
from benchmarks.training import ppo_setting
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
from feedback_store import FeedbackStore, NewReply

PINS = ("trl==1.12.*", "transformers==5.23.0", "torch==2.13.0", "peft==0.21.2", "accelerate==1.15.0")
"""TRL 1.12 runs with the libraries that stand in requirements-train.txt."""
SIDES = ("plain", "ours")


def measured(command: Sequence[str], output_path: Path) -> dict[str, Any]:
    """Run a process that writes its figures to `told`; these, and the most memory that it held, in MiB."""
    log = output_path.with_suffix(".log")
    with log.open("w", encoding="utf-8") as output:
        running = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=output, stderr=output)
        _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {running.returncode}; see {log}")
    # Linux counts in KiB.
    return {**json.loads(output_path.read_text(encoding="utf-8")), "memory": usage.ru_maxrss / 1024}


def ours(stage: str, folder: Path) -> list[str]:
    """The stage as a command, in the setting of the plain script."""
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
    """One run of one side."""
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
    """A home with thumbs, files of rows, and how many tokens (episodes) a run of each stage passes over."""
    home = folder / "home"
    version_to_serve(home, None)
    tokenizer = load_tokenizer(Base(STARTER, ""), home)
    some = rows(tokenizer, BATCH * UPDATES)
    pairs = [
        {"messages": row["messages"], "think": True, "chosen": row["right"], "rejected": row["wrong"]}
        for row in some
    ]
    for name, lines in (("rows", some), ("pairs", pairs)):
        _write(folder / f"{name}.jsonl", lines)
    text = "\n\n".join(row["text"] for row in some)
    blocks = blocks_an_update() * UPDATES
    ids = join_documents([text], tokenizer, tokenizer.eos_token_id)
    # A few tokens more than the blocks hold, and too few for any to be held out.
    (folder / "text.txt").write_text(tokenizer.decode(ids[: blocks * BLOCK + 8]), encoding="utf-8")
    _rate(home, tokenizer, some)
    right, wrong, prompts = (sum(row["tokens"][at] for row in some) for at in (1, 2, 0))
    completions = sum(row["tokens"][1 if row["label"] else 2] for row in some)
    pair = 2 * prompts + right + wrong
    return {
        "pretrain": blocks * BLOCK,
        "sft": prompts + right,
        "reward": pair,
        "dpo": pair,
        "kto": prompts + completions,
        "rloo": BATCH * UPDATES,
    }


def _write(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def _rate(home: Path, tokenizer: Any, some: Sequence[dict[str, Any]]) -> None:
    with FeedbackStore.open(home / "feedback.db") as store:
        for row in some:
            side = row["right"] if row["label"] else row["wrong"]
            conversation = store.new_conversation("person")
            message = store.add_message(conversation, None, "user", row["messages"][-1]["content"])
            reply = NewReply(
                id=uuid.uuid4().hex,
                conversation_id=conversation,
                parent_id=message.id,
                thought=side["thought"],
                answer=side["answer"],
                think=True,
                sampling={},
                seed=1,
                version="v1",
                prompt_ids=prompt.render(tokenizer, row["messages"], think=True),
                completion_ids=prompt.completion(tokenizer, **side, think=True),
                finish_reason="end",
                first_token_seconds=0.0,
                seconds=0.0,
                thought_seconds=None,
            )
            store.add_reply(reply)
            store.rate(reply.id, "person", 1 if row["label"] else -1)


def environment(folder: Path) -> Path:
    """The Python of an environment with TRL 1.12, made where there is none yet."""
    python = folder / "trl-1.12" / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (folder / "trl-1.12.ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / "trl-1.12")], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *PINS], check=True)
        (folder / "trl-1.12.ready").touch()
    return python


def ppo_cell(side: str, folder: Path, output_path: Path) -> dict[str, Any]:
    """All updates of one side."""
    ppo_setting.write(folder / "ppo")
    python = str(environment(folder)) if side == "plain" else sys.executable
    script = "benchmarks.training.trl_ppo" if side == "plain" else "benchmarks.training.our_ppo"
    return measured(
        [python, "-m", script, "--folder", str(folder / "ppo"), "--output", str(output_path)], output_path
    )


def medians(cells: Sequence[dict[str, Any]], what: str) -> float:
    """Of all runs."""
    return statistics.median(cell[what] for cell in cells)


def stages_table(results: dict[str, dict[str, list[dict[str, Any]]]], counts: dict[str, int]) -> str:
    """A line a stage: both sides' medians, and their ratios."""
    lines = [
        "| stage | plain TRL, a second | Thumbtune, a second | ratio | plain TRL, MiB | Thumbtune, MiB | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for stage, sides in results.items():
        plain, mine = (counts[stage] / medians(sides[side], "seconds") for side in SIDES)
        held, holds = (medians(sides[side], "memory") for side in SIDES)
        unit = "episodes" if stage == "rloo" else "tokens"
        lines.append(
            f"| {stage} | {plain:,.1f} {unit} | {mine:,.1f} {unit} | {mine / plain:.2f} | "
            f"{held:,.0f} | {holds:,.0f} | {holds / held:.2f} |"
        )
    return "\n".join(lines)


def ppo_table(results: dict[str, dict[str, Any]]) -> str:
    """A line a side; the reward is that of the last quarter of all updates."""
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
    """Speeds as multiples of plain TRL's, and both PPOs' reward by episode."""
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
    """Do what is not done yet; print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="what is done is kept here")
    parser.add_argument("--runs", type=int, default=3, help="of each stage and side")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    parser.add_argument("--parts", nargs="+", choices=("stages", "ppo"), default=["stages", "ppo"])
    parser.add_argument("--minutes", type=float, help="begin no further run after so many")
    parser.add_argument("--plot", type=Path, help="also draw them")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")

    def once(name: str, make: Callable[..., Any], *arguments: Any) -> Any:
        kept = folder / "cells" / f"{name}.json"
        if not kept.exists():
            if time.monotonic() > ends:
                raise SystemExit(f"the time is over; next is {name}")
            kept.parent.mkdir(exist_ok=True)
            print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr, flush=True)
            result = make(*arguments, folder, kept.with_suffix(".told"))
            write_atomically(kept, json.dumps(result) + "\n")
        return json.loads(kept.read_text(encoding="utf-8"))

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

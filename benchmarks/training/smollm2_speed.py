"""Compare `kto` and `dpo` on SmolLM2 with plain TRL: tokens a second, peak memory, and held-out loss.

    python -m benchmarks.training.smollm2_speed --folder build/smollm2 [--runs 3] [--stages kto dpo]

80 rows for training and 16 held out, made of the sections of this project's documents: the answers have some 60 to 450
tokens, as a chat model's have. The worse answers repeat their first line, as small models do, so that there is
something to learn and held-out losses can be compared. The two sides alternate, each run in a process of its own with
the same rows, batch, updates and precision; the table shows medians. The folder keeps finished runs, so that a stopped
benchmark resumes.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from alignment.data.splits import is_held_out
from assistant.bases.base_source import fetched_folder
from assistant.registry.first_version import version_to_serve
from assistant.serving import prompt
from assistant.serving.loading import load_tokenizer
from benchmarks import ROOT
from benchmarks.training.rated_home import rate_rows, write_rows
from benchmarks.training.stage_speed import SIDES, measured, medians
from feedback_store.atomic_files import write_atomically

STAGES = ("kto", "dpo")
BATCH, RATE, RANK, SEED = 8, 1e-4, 16, 1
TRAINING, HELD_OUT = 80, 16
LINES = 10
"""Lines of a document in an answer, at most."""
LENGTHS = range(60, 451)
"""Tokens of an answer."""


def updates(rows: int) -> int:
    """Updates of one pass."""
    return -(-rows // BATCH)


def sections(tokenizer: Any) -> list[tuple[str, str]]:
    """(title, text) of the documents' sections, a few whole lines of each as one answer."""
    found = []
    for path in sorted((ROOT / "docs").glob("*.md")):
        for section in path.read_text(encoding="utf-8").split("\n## ")[1:]:
            title, *lines = section.split("\n")
            for part in range(0, len(lines), LINES):
                text = "\n".join(lines[part : part + LINES]).strip()
                while len(tokenizer(text).input_ids) >= LENGTHS.stop - 1:
                    text = text.rpartition("\n")[0]
                if len(tokenizer(text).input_ids) >= LENGTHS.start:
                    found.append((f"{title}, part {part // LINES + 1}", text))
    return found


def repeated(text: str) -> str:
    """The first line of `text` over and over, about as long as the whole."""
    line = text.split("\n")[0]
    return "\n".join([line] * max(2, round(len(text) / (len(line) + 1))))


def rows(tokenizer: Any) -> dict[str, list[dict[str, Any]]]:
    """Training and held-out rows, with the columns that either side reads; every second one has a thumb down."""
    made: dict[str, list[dict[str, Any]]] = {"training": [], "held_out": []}
    for title, text in sections(tokenizer):
        messages = [{"role": "user", "content": f"Tell me about this: {title}."}]
        right, wrong = ({"thought": "", "answer": answer} for answer in (text, repeated(text)))
        prompt_ids = prompt.render(tokenizer, messages, think=False)
        chosen, rejected = (prompt.completion(tokenizer, **side, think=False) for side in (right, wrong))
        part = made["held_out" if is_held_out(messages) else "training"]
        label = len(part) % 2 == 0
        # TRL's trainers append the end token themselves.
        texts = [tokenizer.decode(ids[:-1]) for ids in (chosen, rejected)]
        part.append(
            {
                "messages": messages,
                "think": False,
                "right": right,
                "wrong": wrong,
                "prompt": tokenizer.decode(prompt_ids),
                "chosen": texts[0],
                "rejected": texts[1],
                "completion": texts[0] if label else texts[1],
                "label": label,
                "tokens": [len(prompt_ids), len(chosen), len(rejected)],
            }
        )
    counts = {"training": TRAINING, "held_out": HELD_OUT}
    if missing := {name: len(made[name]) for name, count in counts.items() if len(made[name]) < count}:
        raise SystemExit(f"The documents have too few sections: {missing} of {counts}.")
    return {name: part[: counts[name]] for name, part in made.items()}


def prepare(folder: Path) -> dict[str, int]:
    """Make a home with thumbs, the rows, and the base's folder; returns the tokens of a run of each stage."""
    home = folder / "home"
    version = version_to_serve(home, "smollm2")
    base = version.manifest.base
    (folder / "base.txt").write_text(str(fetched_folder(base, home)), encoding="utf-8")
    tokenizer = load_tokenizer(base, home)
    made = rows(tokenizer)
    for name, part in made.items():
        write_rows(folder / f"{name}.jsonl", part)
    every = [*made["training"], *made["held_out"]]
    pairs = [
        {"messages": row["messages"], "think": False, "chosen": row["right"], "rejected": row["wrong"]}
        for row in every
    ]
    write_rows(folder / "pairs.jsonl", pairs)
    rate_rows(home, version.id, tokenizer, every)
    training = made["training"]
    prompts, right, wrong = (sum(row["tokens"][at] for row in training) for at in range(3))
    completions = sum(row["tokens"][1 if row["label"] else 2] for row in training)
    return {"kto": prompts + completions, "dpo": 2 * prompts + right + wrong}


def ours(stage: str, folder: Path) -> list[str]:
    """The command that runs our stage in the setting of the plain script."""
    data = [] if stage == "kto" else ["--pairs", str(folder / "pairs.jsonl")]
    setting = [f"--learning_rate={RATE}", f"--batch_size={BATCH}", f"--lora_r={RANK}", f"--seed={SEED}"]
    passes = ["--epochs=1", "--min_steps=1", "--warmup=0.1", "--evaluations=1"]
    home = ["--home", str(folder / "home"), "--parent=v1"]
    return [sys.executable, "-m", "alignment", stage, *home, *data, *setting, *passes]


def cell(stage: str, side: str, folder: Path, output_path: Path) -> dict[str, Any]:
    """Run one side of a stage once; returns its measurements."""
    if side == "plain":
        script = [sys.executable, "-m", "benchmarks.training.smollm2_trl", stage]
        return measured([*script, "--folder", str(folder), "--output", str(output_path)], output_path)
    output_path.write_text("{}", encoding="utf-8")
    results = measured(ours(stage, folder), output_path)
    version = output_path.with_suffix(".log").read_text(encoding="utf-8").split()[-1]
    manifest = json.loads((folder / "home" / "versions" / version / "manifest.json").read_text())
    metrics = manifest["metrics"]
    if metrics["steps"] != updates(TRAINING):
        raise SystemExit(f"{stage} took {metrics['steps']} updates, not {updates(TRAINING)}")
    return {**results, "seconds": metrics["seconds"], "held_out_loss": metrics["held_out_loss"]}


def table(results: dict[str, dict[str, list[dict[str, Any]]]], tokens: dict[str, int]) -> str:
    """A Markdown table with one line per stage and side: medians, and ratios to plain TRL."""
    lines = [
        "| stage | side | tokens a second | peak memory, MiB | held-out loss |",
        "|---|---|---|---|---|",
    ]
    for stage, sides in results.items():
        for side, name in zip(SIDES, ("plain TRL", "Thumbtune"), strict=True):
            seconds, memory, loss = (
                medians(sides[side], key) for key in ("seconds", "memory", "held_out_loss")
            )
            lines.append(
                f"| {stage} | {name} | {tokens[stage] / seconds:,.0f} | {memory:,.0f} | {loss:.4f} |"
            )
        speed, memory, loss = (
            medians(sides[over], key) / medians(sides[under], key)
            for over, under, key in (
                ("plain", "ours", "seconds"),
                ("ours", "plain", "memory"),
                ("ours", "plain", "held_out_loss"),
            )
        )
        lines.append(f"| {stage} | ratio | {speed:.2f} | {memory:.2f} | {loss:.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the missing measurements; print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="keeps the results of finished runs")
    parser.add_argument("--runs", type=int, default=3, help="number of runs of each stage and side")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    options = parser.parse_args()
    folder = options.folder.resolve()
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    prepared = folder / "tokens.json"
    if not prepared.exists():
        write_atomically(prepared, json.dumps(prepare(folder)) + "\n")
    results: dict[str, dict[str, list[dict[str, Any]]]] = {
        stage: {side: [] for side in SIDES} for stage in options.stages
    }
    for number in range(1, options.runs + 1):
        for stage in options.stages:
            for side in SIDES if number % 2 else SIDES[::-1]:
                path = folder / "cells" / f"{stage}-{side}-{number}.json"
                if not path.exists():
                    print(f"{time.strftime('%H:%M:%S')} {path.stem}", file=sys.stderr, flush=True)
                    result = cell(stage, side, folder, path.with_suffix(".measured"))
                    write_atomically(path, json.dumps(result) + "\n")
                results[stage][side].append(json.loads(path.read_text(encoding="utf-8")))
    print(table(results, json.loads(prepared.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()

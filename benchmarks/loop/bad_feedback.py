"""Measure how often the gate promotes a candidate trained on random or inverted feedback.

    python -m benchmarks.loop.bad_feedback random --cycles 40 --output random.jsonl
    python -m benchmarks.loop.bad_feedback flipped --cycles 20 --output flipped.jsonl
    python -m benchmarks.loop.bad_feedback honest --cycles 5 --output honest.jsonl

Each cycle begins in a new home. Simulated people chat with v1 and give 64 thumbs, which are drawn at random
("random"), all inverted ("flipped"), or sincere with one thumb in ten wrong ("honest"; this shows that such small
cycles can promote at all). Then `cycle` runs unchanged: it trains a candidate by KTO, both versions answer the same
held-out problems, and the gate decides. Only the sizes are small: 24 updates, and 122 problems in both thinking modes
(two steps, three steps, hard multiplication, and other kinds as guards) from a new suite for each cycle. So few
problems cannot show that a guard is within 5 points, so its margin is 15 here. Cycles that --output already holds are
not run again. Exit code 1 if more candidates were promoted than allowed: 2 of 40 for random, none for flipped thumbs.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from alignment.__main__ import main as alignment
from alignment.cycle import cycle_state
from alignment.starter.suite_files import suite
from assistant.serving.loading import quiet_libraries
from benchmarks.loop.simulated_people import People, chat_and_rate
from feedback_store.stats.intervals import wilson

THUMBS, RATERS = 64, 20
PEOPLE = {
    "random": People(answers=1, raters=RATERS, random=True),
    "flipped": People(answers=1, raters=RATERS, noise=0.0, saboteurs=RATERS),
    "honest": People(answers=1, raters=RATERS),
}
AT_MOST = {"random": 0.05, "flipped": 0.0, "honest": 1.0}
PRIMARY = ("word_two_step", "word_three_step", "multiplication_hard")
GUARDED = ("addition", "comparison", "concept", "identity", "word_one_step")
POLICY: dict[str, Any] = {
    "gate": {"minimum_prompts": 40, "margin": 0.15},
    "evaluate": {"suite": "suite.jsonl", "primary": list(PRIMARY), "retention": 40, "prompts": 8},
    "cycle": {"minimum_judgements": 10**6, "minimum_thumbs": 40, "stages": ["kto"]},
}


def run(labels: str, number: int) -> dict[str, Any]:
    """Run one cycle in a new home; returns the thumbs, the gate's verdicts with reasons, and the outcome."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        thumbs = chat_and_rate(home, THUMBS, PEOPLE[labels], seed=number)
        tasks = [*suite(PRIMARY, 12, 5000 + number), *suite(GUARDED, 5, 5000 + number)]
        (home / "suite.jsonl").write_text("".join(json.dumps(asdict(task)) + "\n" for task in tasks))
        (home / "policy.yaml").write_text(yaml.safe_dump(POLICY))
        # The home keeps the output of the cycle; print only one line per cycle here.
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            code = alignment(["cycle", "--home", folder, "--policy", str(home / "policy.yaml")])
        if code:
            sys.exit(f"cycle {number} ended with code {code}")
        state = cycle_state.cycles(home)[-1].state
        return {
            "labels": labels,
            "number": number,
            "up": thumbs.up,
            "of": thumbs.of,
            "verdicts": [decision["verdict"] for decision in state["decisions"]],
            "reasons": [reason["text"] for decision in state["decisions"] for reason in decision["reasons"]],
            "notes": state.get("notes", []),
            "outcome": state["outcome"]["what"],
            "seconds": round(time.monotonic() - began),
        }


def main() -> None:
    """Run the missing cycles; print one line per cycle and the share that was promoted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("labels", choices=PEOPLE)
    parser.add_argument("--cycles", type=int, default=40)
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="JSON Lines file with one line per cycle; new cycles are appended",
    )
    options = parser.parse_args()
    quiet_libraries()
    lines = options.output.read_text().splitlines() if options.output.exists() else []
    rows = {row["number"]: row for row in map(json.loads, lines) if row["labels"] == options.labels}
    for number in range(1, options.cycles + 1):
        if number not in rows:
            rows[number] = run(options.labels, number)
            with options.output.open("a") as file:
                file.write(json.dumps(rows[number]) + "\n")
        row = rows[number]
        print(
            f"{number:>3}  {row['up']:>2} of {row['of']} thumbs up  {', '.join(row['verdicts']) or row['notes']}  "
            f"{row['seconds']} s",
            flush=True,
        )
    done = [rows[number] for number in range(1, options.cycles + 1)]
    promoted = sum("promote" in row["verdicts"] for row in done)
    judged = sum(bool(row["verdicts"]) for row in done)
    share = wilson(promoted, len(done))
    interval = f"{100 * share.low:.0f} to {100 * share.high:.0f} %"
    print(
        f"{options.labels}: {promoted} of {len(done)} cycles promoted ({interval}); {judged} had a candidate"
    )
    sys.exit(share.value > AT_MOST[options.labels])


if __name__ == "__main__":
    main()

"""Repeat the whole loop: people chat and rate, a cycle trains, the gate decides, the next version serves.

    python -m benchmarks.loop.repeated_cycles --home HOME [--cycles 5] [--thumbs 300] [--plot circle.svg]

Simulated people ask word problems of two and three steps, and like an answer that is right and names the unit. One
thumb in ten is wrong, and one of the twenty people always gives the opposite thumb. They rate without a pause, so that
reports call many of them a flood. Before each cycle and after the last, the released version answers held-out problems,
greedily and with thinking; training sees none of them, and the gate draws others. The habit is to name the unit (of
two-step problems), the skill to get three-step problems right.

HOME is a home like any other (`python app.py --home HOME`) and keeps everything. After an interruption the same command
resumes where it was; with more --cycles it adds to them. Exit code 1 if one of the checks at the end fails.
"""

import argparse
import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from alignment.cycle import cycle_state
from alignment.evaluation.answering import answer
from alignment.starter.suite_files import suite
from assistant.registry.first_version import version_to_serve
from assistant.serving.loading import load_for_serving, quiet_libraries
from benchmarks import ROOT
from benchmarks.loop.simulated_people import People, chat_and_rate
from feedback_store import FeedbackStore
from feedback_store.atomic_files import write_atomically
from feedback_store.stats.intervals import wilson

POLICY: dict[str, Any] = {"cycle": {"stages": ["kto"], "minimum_judgements": 100}}
"""The default policy, except for the stages and for the judgements that 300 thumbs on 75 questions give two reward
models. KTO learns from every thumb; these thumbs form only about fifty pairs, too few for DPO, and PPO takes longer
than the ten minutes that a cycle may take."""
SEED = 1000
"""Seed of the held-out problems asked here; the gate draws its own with the number of its cycle."""
LINES = {"habit": "#0a7d55", "skill": "#b3541e", "thumbs up": "#4a5ba8"}

Row = dict[str, Any]
"""One round: the thumbs for the released version, its held-out shares, and the cycle that followed."""


def main() -> None:
    """Run rounds until there are --cycles cycles, then check the promises."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="a new folder, or the one of an earlier run")
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--thumbs", type=int, default=300, help="new thumbs before each cycle")
    parser.add_argument("--each", type=int, default=150, help="held-out problems per kind and language")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="also write the rows to this JSON file")
    parser.add_argument("--plot", type=Path, help="also plot the rows to this file")
    options = parser.parse_args()
    quiet_libraries()
    rounds = Rounds(options.home)
    print(f"{'cycles':>6} {'version':>7}" + "".join(f"{name:>18}" for name in COLUMNS) + "  candidates")
    for number in range(options.cycles + 1):
        rounds.do(number, "thumbs up", lambda n=number: chat(options, rounds.rows, n))
        rounds.do(number, "held out", lambda: measure(options.home, options.each))
        if number < options.cycles:
            rounds.do(number, "cycle", lambda n=number: cycle(options.home, n, POLICY))
        print(line(number, rounds.rows[number]), flush=True)
    rows = rounds.rows[: options.cycles + 1]
    guards = guard_findings(options.home, rows)
    if options.output:
        options.output.write_text(json.dumps({"rounds": rows, "guards": guards}, indent=1) + "\n")
    if options.plot:
        plot(rows, options.plot)
    kept = promises(rows, guards)
    for text, holds in kept.items():
        print(f"{'kept  ' if holds else 'BROKEN'} {text}")
    sys.exit(not all(kept.values()))


class Rounds:
    """The finished steps of all rounds, in HOME/rounds.json; a step that it holds is not run again."""

    def __init__(self, home: Path) -> None:
        self._path = home / "rounds.json"
        self.rows: list[Row] = json.loads(self._path.read_text()) if self._path.exists() else []

    def do(self, number: int, step: str, work: Any) -> None:
        """Run a step of a round unless it is finished, and record its result."""
        if number == len(self.rows):
            self.rows.append({})
        if step not in self.rows[number]:
            result = work()
            self.rows[number][step] = result
            write_atomically(self._path, json.dumps(self.rows, indent=1) + "\n")


def chat(options: argparse.Namespace, rows: Sequence[Row], number: int) -> Row:
    """Let people chat with the released version until this round has its thumbs; returns the share of thumbs up."""

    def rate(missing: int) -> None:
        # The seed depends on the missing thumbs, so that a resumed round does not repeat its questions.
        seed = 10**6 * options.seed + 10**3 * number + missing
        chat_and_rate(options.home, missing, People(saboteurs=1), seed)

    return rated_round(options.home, options.thumbs, rows, number, rate)


def rated_round(home: Path, each: int, rows: Sequence[Row], number: int, rate: Callable[[int], None]) -> Row:
    """The share of thumbs up in a round, once it has at least `each` thumbs; `rate` gives the missing ones."""
    home.mkdir(parents=True, exist_ok=True)
    up_before, before = (sum(row["thumbs up"][key] for row in rows[:number]) for key in ("count", "of"))
    while (missing := before + each - sum(thumbs(home))) > 0:
        rate(missing)
    up, down = thumbs(home)
    return asdict(wilson(up - up_before, up + down - before))


def thumbs(home: Path) -> tuple[int, int]:
    """The numbers of thumbs up and of thumbs down in the store."""
    with FeedbackStore.open_home(home) as store:
        counted = store.counts()["ratings"]
    return counted["up"], counted["down"]


def measure(home: Path, each: int) -> Row:
    """The released version's shares on held-out problems."""
    version = version_to_serve(home, "starter")
    tasks = suite(("word_two_step", "word_three_step"), each, SEED)
    answers = answer(load_for_serving(version, home), tasks, think=True)
    two = [reply for reply in answers if reply.task.kind == "word_two_step"]
    three = [reply for reply in answers if reply.task.kind == "word_three_step"]
    return {
        "version": version.id,
        "habit": asdict(wilson(sum(reply.has_unit is True for reply in two), len(two))),
        "two right": asdict(wilson(sum(reply.correct for reply in two), len(two))),
        "skill": asdict(wilson(sum(reply.correct for reply in three), len(three))),
    }


def cycle(home: Path, number: int, policy: dict[str, Any]) -> Row:
    """Run one cycle with the command that a timer would run; returns its decisions and its seconds."""
    path = home / "policy.yaml"
    path.write_text(yaml.safe_dump(policy))
    began, before = time.monotonic(), cycle_state.cycles(home)
    if len([earlier for earlier in before if "ended" in earlier.state]) <= number:
        # Terminated, this program takes the cycle along, which would go on training in the home by itself.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
        command = [sys.executable, "-m", "alignment", "cycle", "--home", str(home), "--policy", str(path)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
    if len(cycle_state.cycles(home)) <= number:
        raise SystemExit("No cycle began, for the reason above. Give more thumbs a round with --thumbs.")
    state = cycle_state.cycles(home)[number].state
    stages = {candidate["version"]: candidate["stage"] for candidate in state["candidates"]}
    return {
        "seconds": round(time.monotonic() - began),
        # If the cycle was interrupted and resumed, `seconds` covers only the part after the interruption.
        "went on": len(before) > number,
        "steps": state["seconds"],
        "suspects": [f"{suspect['rater']}: {suspect['what']}" for suspect in state["suspects"]],
        "candidates": {
            decision["candidate"]: f"{stages[decision['candidate']]}: {decision['verdict']}"
            for decision in state["decisions"]
        },
        "notes": state.get("notes", []),
        "outcome": state["outcome"],
    }


def guard_findings(home: Path, rows: Sequence[Row]) -> dict[str, str]:
    """The findings of the gate's guards for the newest version compared with the oldest."""
    oldest, newest = (rows[at]["held out"]["version"] for at in (0, -1))
    if oldest == newest:
        return {}
    path = home / f"{newest}-against-{oldest}.json"
    if not path.exists():
        command = ["evaluate", newest, "--against", oldest, "--home", str(home), "--output", str(path)]
        subprocess.run([sys.executable, "-m", "alignment", *command], cwd=ROOT, check=True, stdout=sys.stderr)
    reasons = json.loads(path.read_text())["decision"]["reasons"]
    return {reason["text"]: reason["finding"] for reason in reasons if reason["kind"] == "guard"}


def promises(rows: Sequence[Row], guards: dict[str, str]) -> dict[str, bool]:
    """Whether each promise, described in words, was kept."""
    measured = [row["held out"] for row in rows]
    slowest = max(row["cycle"]["seconds"] for row in rows[:-1])
    gain = measured[-1]["skill"]["value"] - measured[0]["skill"]["value"]
    return {
        f"the habit is at 90 % or more: {percent(measured[-1]['habit'])}": measured[-1]["habit"]["value"]
        >= 0.9,
        f"the skill is up by 10 points or more: {100 * gain:+.1f}": gain >= 0.1,
        "neither falls from one version to the next beyond the intervals": all(
            new[name]["high"] >= old[name]["low"]
            for name in ("habit", "skill")
            for old, new in itertools.pairwise(measured)
        ),
        f"the last version breaks no guard against the first ({len(guards)} guards)": "worse"
        not in guards.values(),
        f"each cycle takes less than ten minutes: {slowest} s at most": slowest < 600,
    }


COLUMNS = ("thumbs up", "habit", "two right", "skill", "cycle")


def percent(share: Row) -> str:
    """A share with its interval, in percent."""
    return f"{100 * share['value']:.0f} [{100 * share['low']:.0f}, {100 * share['high']:.0f}]"


def line(number: int, row: Row) -> str:
    """A row of the table."""
    shares = {**row["held out"], "thumbs up": row["thumbs up"]}
    cells = [percent(shares[name]) for name in COLUMNS[:-1]]
    after = row.get("cycle", {"candidates": {}})
    cells.append(f"{after['seconds']} s" if "seconds" in after else "")
    judged = ", ".join(f"{version} {verdict}" for version, verdict in after["candidates"].items())
    return f"{number:>6} {shares['version']:>7}" + "".join(f"{cell:>18}" for cell in cells) + f"  {judged}"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Plot every share by cycle and version, with its interval."""
    labels = {
        "habit": "names the unit, held out",
        "skill": "three steps right, held out",
        "thumbs up": "thumbs up",
    }
    shares = [{**row["held out"], "thumbs up": row["thumbs up"]} for row in rows]
    lines = {labels[name]: ([row[name] for row in shares], colour) for name, colour in LINES.items()}
    plot_shares(lines, [row["version"] for row in shares], path)


def plot_shares(lines: dict[str, tuple[Sequence[Row], str]], versions: Sequence[str], path: Path) -> None:
    """Plot lines, each a share with its interval for every round and a colour; `versions`: released in each round."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for label, (shares, colour) in lines.items():
        values = [100 * share["value"] for share in shares]
        below = [100 * (share["value"] - share["low"]) for share in shares]
        above = [100 * (share["high"] - share["value"]) for share in shares]
        axes.errorbar(
            range(len(shares)), values, [below, above], label=label, color=colour, marker="o", capsize=3
        )
    axes.set_xticks(range(len(versions)), [f"{number}\n{version}" for number, version in enumerate(versions)])
    axes.set(xlabel="cycles, and the version that is released after them", ylabel="%", ylim=(0, 102))
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


if __name__ == "__main__":
    main()

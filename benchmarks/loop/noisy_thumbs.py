"""Measure what each stage learns from noisy thumbs: a habit, a skill, and side effects on all other tasks.

    python -m benchmarks.loop.noisy_thumbs --folder build/thumbs [--thumbs 500] [--stages dpo kto ppo] [--seeds 1 2 3]
    python -m benchmarks.loop.noisy_thumbs --folder build/thumbs --stages kto "kto --beta=0.1"

Simulated people ask word problems of two and three steps, get four answers to each, and like an answer that is right
and names the unit; one thumb in ten is wrong. Then each stage runs as a command on the resulting store, `ppo` after
`reward`, which learns from the same thumbs. The new version and its parent answer the same held-out tasks; each seed
draws its own people and tasks. The habit is naming the unit (two steps), the skill is being right (three steps).

The folder keeps the result of every finished part, so that a run that was stopped resumes where it was.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from alignment.evaluation.answering import answer
from alignment.evaluation.paired_tests import Paired, bounds
from alignment.scoring import reward_model
from alignment.starter.suite_files import KINDS, suite
from alignment.suites.task_file import Task
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.serving import prompt
from assistant.serving.loading import load_for_serving, quiet_libraries
from benchmarks import ROOT
from benchmarks.loop.simulated_people import People, chat_and_rate, likes
from feedback_store.atomic_files import write_atomically

HABIT, SKILL = "word_two_step", "word_three_step"
DIRECT = ("comparison", "concept", "division", "identity", "outside", "smalltalk")
"""Kinds that v1 often gets right without thinking; only on these can a stage lose anything."""
TRIES = 4
"""Number of answers to each question, from which the test pairs of the reward model are chosen."""
FLAGS = {"ppo": ["--updates=30"]}
"""Flags of a stage that differ from its defaults."""


def once(path: Path, make: Callable[..., Any], *arguments: Any) -> Any:
    """The result of `make`, cached as JSON at `path`."""
    if not path.exists():
        result = make(*arguments)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(result, indent=1) + "\n")
    return json.loads(path.read_text(encoding="utf-8"))


def with_thumbs(folder: Path, thumbs: int, seed: int) -> dict[str, Any]:
    """Make a home and let simulated people chat with v1 and rate it; returns the counts of thumbs and the seconds."""
    home = folder / "home"
    if home.exists():
        raise SystemExit(f"{home} is incomplete: a run was stopped while people chatted. Remove it.")
    version_to_serve(home, "starter")
    began = time.monotonic()
    counts = chat_and_rate(home, thumbs, People(noise=0.1), seed)
    return {
        "up": counts.up,
        "deserved": counts.deserved,
        "of": counts.of,
        "seconds": time.monotonic() - began,
    }


def stage_with_flags(text: str) -> str:
    """Checks an argument: a stage, and after it flags for it."""
    if text.partition(" ")[0] not in ("dpo", "kto", "ppo"):
        raise argparse.ArgumentTypeError(f"{text!r} does not begin with dpo, kto or ppo")
    return text


def learned(folder: Path, stage_and_flags: str, seed: int) -> dict[str, Any]:
    """Train a version on the thumbs of the home; returns its id, its manifest's metrics, and the seconds."""
    home = folder / "home"
    stage, *given = stage_and_flags.split()
    flags = [*FLAGS.get(stage, []), *given, f"--seed={seed}"]
    seconds = 0.0
    if stage == "ppo":
        judge = once(folder / "reward.json", learned, folder, "reward", seed)
        flags.append(f"--reward={judge['version']}")
        seconds = judge["seconds"]
    began = time.monotonic()
    command = [sys.executable, "-m", "alignment", stage, "--home", str(home), "--parent", "v1", *flags]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    seconds += time.monotonic() - began
    version = done.stdout.split()[-1]
    return {"version": version, "seconds": seconds, "metrics": Versions(home).open(version).manifest.metrics}


def answered(home: Path, version: str, seed: int, each: int, guarded: int) -> dict[str, list[bool]]:
    """Whether each held-out answer is right, or names its unit, by "kind, mode, measure", in task order."""
    loaded = load_for_serving(Versions(home).open(version), home)
    others = [kind for kind in KINDS if kind not in (HABIT, SKILL)]
    tasks_by_mode = {
        True: [*suite((HABIT, SKILL), each, seed), *suite(others, guarded, seed)],
        False: suite(DIRECT, guarded, seed),
    }
    outcomes: dict[str, list[bool]] = {}
    for think, tasks in tasks_by_mode.items():
        for reply in answer(loaded, tasks, think):
            name = f"{reply.task.kind}, {'thinking' if think else 'direct'}"
            outcomes.setdefault(f"{name}, right", []).append(reply.correct)
            if reply.task.kind == HABIT:
                outcomes.setdefault(f"{name}, unit", []).append(bool(reply.has_unit))
    return outcomes


def pairs(home: Path, seed: int, each: int) -> list[dict[str, Any]]:
    """Pairs of v1's answers to a held-out question that differ only in naming the unit, or only in being right."""
    loaded = load_for_serving(Versions(home).open("v1"), home)
    tasks = suite((HABIT, SKILL), each, seed)
    answers = [answer(loaded, tasks, True, temperature=1.0, seed=n) for n in range(TRIES)]
    result = []
    for task, replies in zip(tasks, zip(*answers, strict=True), strict=True):
        for differing in ("unit", "right"):
            # Where the other property is the same, people's taste decides which answer is better.
            alike = [reply for reply in replies if (reply.correct if differing == "unit" else reply.has_unit)]
            good, bad = (
                [reply for reply in alike if likes(task, reply.answer) is side] for side in (True, False)
            )
            if good and bad:
                result.append(
                    {"what": differing, "kind": task.kind} | _tokens(loaded.tokenizer, task, good[0], bad[0])
                )
    return result


def _tokens(tokenizer: Any, task: Task, good: Any, bad: Any) -> dict[str, list[int]]:
    prompt_ids = prompt.render(tokenizer, list(task.messages), think=True)
    return {
        side: prompt_ids + prompt.completion(tokenizer, reply.thought, reply.answer, think=True)
        for side, reply in (("good", good), ("bad", bad))
    }


def agreement(home: Path, version: str, judged: Sequence[dict[str, Any]]) -> dict[str, list[bool]]:
    """Whether the reward model scores the better answer of each pair higher, by what the pair differs in."""
    scorer = reward_model.load(Versions(home).open(version), home)
    good, bad = (scorer([pair[side] for pair in judged]) for side in ("good", "bad"))
    agrees: dict[str, list[bool]] = {"unit": [], "right": []}
    for pair, better, worse in zip(judged, good, bad, strict=True):
        agrees[pair["what"]].append(better > worse)
    return agrees


def share(values: Sequence[bool]) -> str:
    """Percentage with Wilson's 95 % interval."""
    interval = binomtest(sum(values), len(values)).proportion_ci(method="wilson")
    return f"{100 * sum(values) / len(values):.1f} [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"


def difference(before: Sequence[bool], after: Sequence[bool]) -> str:
    """Gain of `after` over `before` on the same tasks in percentage points, with Tango's 95 % interval."""
    change = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    low, high = bounds(Paired(change, binary=True), 0.025)
    return f"{100 * change.mean():+.1f} [{100 * low:+.0f}, {100 * high:+.0f}]"


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def report(results: dict[str, Any], stages: Sequence[str], seeds: Sequence[int]) -> str:
    """The tables: habit and skill by stage and seed, all other cells over the seeds, and the reward models."""
    habit, skill = f"{HABIT}, thinking, unit", f"{SKILL}, thinking, right"
    rows = [["stage", "seed", "habit, v1", "habit", "skill, v1", "skill", "seconds"]]
    for stage in stages:
        for seed in seeds:
            result = results[str(seed)]
            before, after = result["v1"], result[stage]["answers"]
            both = [share(side[name]) for name in (habit, skill) for side in (before, after)]
            rows.append([stage, str(seed), *both, f"{result[stage]['seconds']:.0f}"])
    others = sorted(set(results[str(seeds[0])]["v1"]) - {habit, skill})
    guards = [["other cells, points gained", "tasks", *stages]]
    for name in others:
        sides = {
            stage: [
                [value for seed in seeds for value in side(results[str(seed)])[name]]
                for side in (
                    lambda result: result["v1"],
                    lambda result, stage=stage: result[stage]["answers"],
                )
            ]
            for stage in stages
        }
        count = str(len(next(iter(sides.values()))[0]))
        guards.append([name, count, *(difference(*sides[stage]) for stage in stages)])
    judges = [
        ["judge", "habit: two right answers, one with its unit", "skill: two answers with units, one right"]
    ]
    judges += [
        [f"seed {seed}", *(share(results[str(seed)]["judge"][kind]) for kind in ("unit", "right"))]
        for seed in seeds
        if "judge" in results[str(seed)]
    ]
    thumbs = [
        f"seed {seed}: {results[str(seed)]['thumbs']['up']} of {results[str(seed)]['thumbs']['of']} thumbs up, "
        f"{results[str(seed)]['thumbs']['deserved']} deserved"
        for seed in seeds
    ]
    parts = [
        table(rows),
        table(guards),
        *([table(judges)] if len(judges) > 1 else []),
        "; ".join(thumbs) + ".",
    ]
    return "\n\n".join(parts)


def run_seed(options: argparse.Namespace, seed: int, ends: float) -> dict[str, Any]:
    """Run all parts of one seed that are not finished yet; returns their results."""
    folder: Path = options.folder / f"seed-{seed}"
    home = folder / "home"

    def part(name: str, make: Callable[..., Any], *arguments: Any) -> Any:
        path = folder / f"{name}.json"
        if not path.exists() and time.monotonic() > ends:
            raise SystemExit(f"the time is over; next is {path}")
        print(f"{time.strftime('%H:%M:%S')} {path}", file=sys.stderr, flush=True)
        return once(path, make, *arguments)

    def answers(name: str, version: str) -> dict[str, list[bool]]:
        return part(f"{name}-answers", answered, home, version, 1000 + seed, options.each, options.guarded)

    results = {"thumbs": part("thumbs", with_thumbs, folder, options.thumbs, seed), "v1": answers("v1", "v1")}
    if any(stage.startswith("ppo") for stage in options.stages):
        judge = part("reward", learned, folder, "reward", seed)
        judged = part("pairs", pairs, home, 2000 + seed, options.each // 2)
        results["judge"] = part("judge", agreement, home, judge["version"], judged)
    for stage in options.stages:
        results[stage] = part(stage, learned, folder, stage, seed)
        results[stage]["answers"] = answers(stage, results[stage]["version"])
    return results


def main() -> None:
    """Run the missing parts, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="keeps the results of finished parts")
    parser.add_argument("--thumbs", type=int, default=500)
    parser.add_argument(
        "--stages", nargs="+", type=stage_with_flags, metavar="STAGE", default=["dpo", "kto", "ppo"]
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument(
        "--each", type=int, default=100, help="held-out tasks per language for habit and skill"
    )
    parser.add_argument(
        "--guarded", type=int, default=20, help="held-out tasks per language for each other cell"
    )
    parser.add_argument("--minutes", type=float, help="start no further part after this many minutes")
    options = parser.parse_args()
    quiet_libraries()
    ends = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    results = {str(seed): run_seed(options, seed, ends) for seed in options.seeds}
    print(report(results, options.stages, options.seeds))


if __name__ == "__main__":
    main()

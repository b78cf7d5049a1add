"""What noisy thumbs change: every stage that learns from them, on a habit, on a skill, and on all the rest.

    python -m benchmarks.loop.noisy_thumbs --folder build/thumbs [--thumbs 500] [--stages dpo kto ppo] [--seeds 1 2 3]

Simulated people ask word problems of two and three steps, four answers each, and like what is right and names its
unit; one thumb in ten slips. Then a stage runs as a command, on the store that they left: `ppo` after `reward`, which
learns from the same thumbs. The child and its parent answer the same held-out tasks; each seed draws people and tasks
of its own. The habit is naming the unit (two steps), the skill is being right (three steps).

Every part is kept in the folder as it is done, and is not done again: a run that was stopped goes on.
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
from assistant.registry.versions import Versions, write_atomically
from assistant.serving import prompt
from assistant.serving.loading import load_for_serving, quiet_libraries
from benchmarks import ROOT
from benchmarks.loop.simulated_people import People, chat_and_rate, likes

HABIT, SKILL = "word_two_step", "word_three_step"
DIRECT = ("comparison", "concept", "division", "identity", "outside", "smalltalk")
"""Kinds that v1 often gets right without thinking; of the others there is nothing to lose."""
TRIES = 4
"""Answers to each question from which a judge's pairs are made."""
FLAGS = {"ppo": ["--updates=30"]}
"""Flags of a stage beside the defaults."""


def once(path: Path, make: Callable[..., Any], *arguments: Any) -> Any:
    """What `make` gave the first time, kept as JSON."""
    if not path.exists():
        result = make(*arguments)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(result, indent=1) + "\n")
    return json.loads(path.read_text(encoding="utf-8"))


def with_thumbs(folder: Path, thumbs: int, seed: int) -> dict[str, Any]:
    """A home whose v1 was chatted with and rated."""
    home = folder / "home"
    if home.exists():
        raise SystemExit(f"{home} was left by a run that was stopped while people chatted. Remove it.")
    version_to_serve(home, None)
    began = time.monotonic()
    counts = chat_and_rate(home, thumbs, People(noise=0.1), seed)
    return {
        "up": counts.up,
        "deserved": counts.deserved,
        "of": counts.of,
        "seconds": time.monotonic() - began,
    }


def learned(folder: Path, stage: str, seed: int) -> dict[str, Any]:
    """The version that a stage makes of the home's thumbs, its manifest's metrics, and the seconds it took."""
    home = folder / "home"
    flags = [*FLAGS.get(stage, []), f"--seed={seed}"]
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
    """Held-out tasks, by "kind, mode, measure": right or not, and with its unit or not, in the order of asking."""
    loaded = load_for_serving(Versions(home).open(version), home)
    others = [kind for kind in KINDS if kind not in (HABIT, SKILL)]
    asked = {
        True: [*suite((HABIT, SKILL), each, seed), *suite(others, guarded, seed)],
        False: suite(DIRECT, guarded, seed),
    }
    found: dict[str, list[bool]] = {}
    for think, tasks in asked.items():
        for one in answer(loaded, tasks, think):
            name = f"{one.task.kind}, {'thinking' if think else 'direct'}"
            found.setdefault(f"{name}, right", []).append(one.correct)
            if one.task.kind == HABIT:
                found.setdefault(f"{name}, unit", []).append(bool(one.has_unit))
    return found


def pairs(home: Path, seed: int, each: int) -> list[dict[str, Any]]:
    """Two answers of v1 to one held-out question that differ in one thing: the unit, or being right."""
    loaded = load_for_serving(Versions(home).open("v1"), home)
    tasks = suite((HABIT, SKILL), each, seed)
    tries = [answer(loaded, tasks, True, temperature=1.0, seed=n) for n in range(TRIES)]
    found = []
    for task, said in zip(tasks, zip(*tries, strict=True), strict=True):
        for what in ("unit", "right"):
            # With the other thing alike, people's taste decides which is the better one.
            alike = [one for one in said if (one.correct if what == "unit" else one.has_unit)]
            good, bad = ([one for one in alike if likes(task, one.answer) is side] for side in (True, False))
            if good and bad:
                found.append(
                    {"what": what, "kind": task.kind} | _tokens(loaded.tokenizer, task, good[0], bad[0])
                )
    return found


def _tokens(tokenizer: Any, task: Task, good: Any, bad: Any) -> dict[str, list[int]]:
    asked = prompt.render(tokenizer, list(task.messages), think=True)
    return {
        side: asked + prompt.completion(tokenizer, one.thought, one.answer, think=True)
        for side, one in (("good", good), ("bad", bad))
    }


def agreement(home: Path, version: str, judged: Sequence[dict[str, Any]]) -> dict[str, list[bool]]:
    """Whether the judge scores the better answer higher, by what the pair differs in."""
    scorer = reward_model.load(Versions(home).open(version), home)
    good, bad = (scorer([pair[side] for pair in judged]) for side in ("good", "bad"))
    found: dict[str, list[bool]] = {"unit": [], "right": []}
    for pair, better, worse in zip(judged, good, bad, strict=True):
        found[pair["what"]].append(better > worse)
    return found


def share(values: Sequence[bool]) -> str:
    """Percent with Wilson's 95 % interval."""
    interval = binomtest(sum(values), len(values)).proportion_ci(method="wilson")
    return f"{100 * sum(values) / len(values):.1f} [{100 * interval.low:.0f}, {100 * interval.high:.0f}]"


def difference(before: Sequence[bool], after: Sequence[bool]) -> str:
    """Points by which `after` is better on the same tasks, with Tango's 95 % interval."""
    change = np.asarray(after, dtype=float) - np.asarray(before, dtype=float)
    low, high = bounds(Paired(change, binary=True), 0.025)
    return f"{100 * change.mean():+.1f} [{100 * low:+.0f}, {100 * high:+.0f}]"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def report(found: dict[str, Any], stages: Sequence[str], seeds: Sequence[int]) -> str:
    """The tables: each stage and seed on habit and skill; all other cells over the seeds; the judges."""
    habit, skill = f"{HABIT}, thinking, unit", f"{SKILL}, thinking, right"
    rows = [["stage", "seed", "habit, v1", "habit", "skill, v1", "skill", "seconds"]]
    for stage in stages:
        for seed in seeds:
            one = found[str(seed)]
            before, after = one["v1"], one[stage]["answers"]
            both = [share(side[name]) for name in (habit, skill) for side in (before, after)]
            rows.append([stage, str(seed), *both, f"{one[stage]['seconds']:.0f}"])
    others = sorted(set(found[str(seeds[0])]["v1"]) - {habit, skill})
    guards = [["other cells, points gained", "tasks", *stages]]
    for name in others:
        sides = {
            stage: [
                [value for seed in seeds for value in side(found[str(seed)])[name]]
                for side in (lambda one: one["v1"], lambda one, stage=stage: one[stage]["answers"])
            ]
            for stage in stages
        }
        count = str(len(next(iter(sides.values()))[0]))
        guards.append([name, count, *(difference(*sides[stage]) for stage in stages)])
    judges = [
        ["judge", "habit: two right answers, one with its unit", "skill: two answers with units, one right"]
    ]
    judges += [
        [f"seed {seed}", *(share(found[str(seed)]["judge"][what]) for what in ("unit", "right"))]
        for seed in seeds
        if "judge" in found[str(seed)]
    ]
    thumbs = [
        f"seed {seed}: {found[str(seed)]['thumbs']['up']} of {found[str(seed)]['thumbs']['of']} thumbs up, "
        f"{found[str(seed)]['thumbs']['deserved']} deserved"
        for seed in seeds
    ]
    parts = [
        table(rows),
        table(guards),
        *([table(judges)] if len(judges) > 1 else []),
        "; ".join(thumbs) + ".",
    ]
    return "\n\n".join(parts)


def one_seed(options: argparse.Namespace, seed: int, ends: float) -> dict[str, Any]:
    """Everything of one seed, part by part."""
    folder: Path = options.folder / f"seed-{seed}"
    home = folder / "home"

    def part(name: str, make: Callable[..., Any], *given: Any) -> Any:
        path = folder / f"{name}.json"
        if not path.exists() and time.monotonic() > ends:
            raise SystemExit(f"the time is over; next is {path}")
        print(f"{time.strftime('%H:%M:%S')} {path}", file=sys.stderr, flush=True)
        return once(path, make, *given)

    def answers(name: str, version: str) -> dict[str, list[bool]]:
        return part(f"{name}-answers", answered, home, version, 1000 + seed, options.each, options.guarded)

    found = {"thumbs": part("thumbs", with_thumbs, folder, options.thumbs, seed), "v1": answers("v1", "v1")}
    if "ppo" in options.stages:
        judge = part("reward", learned, folder, "reward", seed)
        judged = part("pairs", pairs, home, 2000 + seed, options.each // 2)
        found["judge"] = part("judge", agreement, home, judge["version"], judged)
    for stage in options.stages:
        found[stage] = part(stage, learned, folder, stage, seed)
        found[stage]["answers"] = answers(stage, found[stage]["version"])
    return found


def main() -> None:
    """Do what is not done yet, and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="what is done is kept here")
    parser.add_argument("--thumbs", type=int, default=500)
    parser.add_argument("--stages", nargs="+", choices=("dpo", "kto", "ppo"), default=["dpo", "kto", "ppo"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--each", type=int, default=100, help="habit and skill: held-out tasks a language")
    parser.add_argument("--guarded", type=int, default=20, help="other cells: held-out tasks a language")
    parser.add_argument("--minutes", type=float, help="begin no further part after so many")
    options = parser.parse_args()
    quiet_libraries()
    ends = time.monotonic() + 60 * options.minutes if options.minutes else float("inf")
    found = {str(seed): one_seed(options, seed, ends) for seed in options.seeds}
    print(report(found, options.stages, options.seeds))


if __name__ == "__main__":
    main()

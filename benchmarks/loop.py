"""The whole circle, over and over: people chat and rate, a cycle learns, the gate decides, the next version serves.

    python benchmarks/loop.py [--cycles 5] [--thumbs 300] [--saboteurs 1] [--plot docs/images/circle.png]

Simulated people ask word problems of two and three steps and like what is right and names its unit; one thumb in ten
slips, and a saboteur among them always says the opposite. After each cycle the released version answers held-out
problems that neither training nor the gate has seen. What stands in HOME is a home like any other: open it with
`python app.py --home HOME`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from people import People, chat_and_rate  # noqa: E402
from scipy.stats import binomtest  # noqa: E402

from alignment.evaluate import answer, suite  # noqa: E402
from alignment.starter.task import Task  # noqa: E402
from assistant.first import version_to_serve  # noqa: E402
from assistant.model import load_for_serving, quiet_libraries  # noqa: E402
from assistant.versions import Versions  # noqa: E402

SEED = 1000
"""Of the held-out problems asked here; the gate draws its own."""


def share(count: int, of: int) -> dict[str, float]:
    """A share with Wilson's 95 % interval."""
    interval = binomtest(count, of).proportion_ci(method="wilson")
    return {"share": count / of, "low": float(interval.low), "high": float(interval.high), "of": of}


def measured(home: Path, tasks: Sequence[Task]) -> dict[str, Any]:
    """What the released version does on held-out problems, thinking: habit (two-step, unit) and skill (three-step)."""
    version = version_to_serve(home, None)
    said = answer(load_for_serving(version, home), tasks, think=True)
    two = [one for one in said if one.task.kind == "word_two_step"]
    three = [one for one in said if one.task.kind == "word_three_step"]
    return {
        "version": version.id,
        "habit": share(sum(one.has_unit is True for one in two), len(two)),
        "two steps right": share(sum(one.correct for one in two), len(two)),
        "skill": share(sum(one.correct for one in three), len(three)),
    }


def line(row: dict[str, Any]) -> str:
    """A row of the table."""

    def words(name: str) -> str:
        one = row.get(name)
        if one is None:
            return f"{'-':>18}"
        return f"{100 * one['share']:5.0f} [{100 * one['low']:3.0f}, {100 * one['high']:3.0f}]".rjust(18)

    columns = " ".join(words(name) for name in ("thumbs up", "habit", "two steps right", "skill"))
    return f"{row['cycle']:>5} {row['version']:>7} {columns} {row['seconds']:>8.0f}"


def plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Every share by cycle, with its interval."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for name, colour in (("habit", "#0a7d55"), ("skill", "#b3541e"), ("thumbs up", "#4a5ba8")):
        found = [(row["cycle"], row[name]) for row in rows if name in row]
        shares = [100 * one["share"] for _, one in found]
        below = [100 * (one["share"] - one["low"]) for _, one in found]
        above = [100 * (one["high"] - one["share"]) for _, one in found]
        axes.errorbar(
            [at for at, _ in found], shares, [below, above], label=name, color=colour, marker="o", capsize=3
        )
    axes.set(xlabel="cycles", ylabel="%", ylim=(0, 102), xticks=[row["cycle"] for row in rows])
    axes.legend(frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main() -> None:
    """Run the circle and print a line a cycle."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--thumbs", type=int, default=300, help="new ones before each cycle")
    parser.add_argument("--saboteurs", type=int, default=1, help="raters who always say the opposite")
    parser.add_argument("--each", type=int, default=150, help="held-out problems a kind and language")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="a new folder that is kept; else one that goes")
    parser.add_argument("--policy", type=Path, help="of the cycles; defaults if left out")
    parser.add_argument("--output", type=Path, help="also write the rows as JSON")
    parser.add_argument("--plot", type=Path, help="also draw them")
    options = parser.parse_args()
    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        home = options.home or Path(folder)
        tasks = list(suite(("word_two_step", "word_three_step"), options.each, SEED))
        names = ("thumbs up", "habit", "two right", "skill")
        print(f"cycle version {' '.join(f'{name:>18}' for name in names)}  seconds", flush=True)
        rows: list[dict[str, Any]] = [{"cycle": 0, "seconds": 0.0, **measured(home, tasks)}]
        print(line(rows[0]), flush=True)
        people = People(saboteurs=options.saboteurs)
        policy = ["--policy", str(options.policy)] if options.policy else []
        for number in range(1, options.cycles + 1):
            given = chat_and_rate(home, options.thumbs, people, seed=100 * options.seed + number)
            began = time.monotonic()
            command = [sys.executable, "-m", "alignment", "cycle", "--home", str(home), *policy]
            subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)
            # What people deserved to say of the version that they chatted with, the one before this cycle.
            rows[-1]["thumbs up"] = share(given.deserved, given.of)
            seconds = time.monotonic() - began
            rows.append({"cycle": number, "seconds": seconds, **measured(home, tasks)})
            print(line(rows[-1]), flush=True)
        print(
            f"released in turn: {', '.join(row['version'] for row in rows)}; {Versions(home).released()} serves"
        )
        if options.output:
            options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        if options.plot:
            plot(rows, options.plot)


if __name__ == "__main__":
    main()

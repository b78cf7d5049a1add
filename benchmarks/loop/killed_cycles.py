"""Kill cycles with SIGKILL at random moments while the app serves, and check that everything stays intact.

    python -m benchmarks.loop.killed_cycles [--kills 50] [--seed 1] [--output kills.json]

Cycles are small (eight KTO updates on the starter, and a lenient gate on 24 tasks, so that versions are released too),
but run as a timer would run them. After each kill, every version must match its manifest, the store must verify, the
app must answer from the released version, and the next run must finish the cycle. Exit code 1 if any check fails.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import yaml

from alignment.cycle import cycle_state
from alignment.starter.suite_files import suite
from assistant.registry.versions import Versions
from assistant.serving.loading import quiet_libraries
from benchmarks import ROOT
from benchmarks.loop.simulated_people import People, chat_and_rate
from feedback_store import FeedbackStore
from tests.helpers.feedback import apples, rate_replies
from tests.helpers.running_app import running_app

READERS = 2
POLICY: dict[str, Any] = {
    "gate": {"alpha": 0.49, "margin": 0.9, "minimum_prompts": 8},
    "evaluate": {"suite": "suite.jsonl", "primary": ["word_two_step"], "retention": 8, "prompts": 4},
    "cycle": {
        "minimum_feedback": 10,
        "minimum_judgements": 10**6,
        "stages": ["kto"],
        "recipes": {"kto": {"min_steps": 8, "epochs": 0.1, "batch_size": 8, "evaluations": 2}},
    },
}


class Load:
    """Clients that send requests without a pause, and the outcomes of their requests."""

    def __init__(self, address: str) -> None:
        self.answered = 0
        self.failed: list[str] = []
        self.versions: set[str] = set()
        self._address = address
        self._ended = threading.Event()
        self._readers = [threading.Thread(target=self._read, args=(number,)) for number in range(READERS)]

    def __enter__(self) -> "Load":
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for reader in self._readers:
            reader.join()

    def ask(self, number: int) -> str:
        """Ask one question; returns the id of the version that answers. Raises httpx.HTTPError."""
        body = {
            "model": "thumbtune",
            "messages": [{"role": "user", "content": f"What is {number % 90 + 10} + 7?"}],
            "max_tokens": 16,
        }
        answer = httpx.post(f"{self._address}/v1/chat/completions", json=body, timeout=300)
        answer.raise_for_status()
        return str(answer.json()["system_fingerprint"])

    def _read(self, number: int) -> None:
        while not self._ended.is_set():
            try:
                self.versions.add(self.ask(number))
                self.answered += 1
            except httpx.HTTPError as error:
                self.failed.append(repr(error))
            number += READERS


def prepare(home: Path, seed: int) -> Path:
    """Fill the home with thumbs, a suite and a policy; returns the path of the policy."""
    home.mkdir(parents=True, exist_ok=True)
    chat_and_rate(home, 64, People(kinds=("word_two_step",), noise=0.0), seed)
    tasks = suite(("word_two_step", "addition"), 6, seed)
    (home / "suite.jsonl").write_text("".join(json.dumps(asdict(task)) + "\n" for task in tasks))
    path = home / "policy.yaml"
    path.write_text(yaml.safe_dump(POLICY))
    return path


def begin(home: Path, policy: Path) -> subprocess.Popen[bytes]:
    """Start a cycle as a process of its own, with its output in HOME/killed.log."""
    with (home / "killed.log").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "alignment", "cycle", "--home", str(home), "--policy", str(policy)],
            cwd=ROOT, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip


def broken(home: Path, load: Load) -> list[str]:
    """Problems that a kill has left behind; an empty list if there are none."""
    problems, versions = [], Versions(home)
    for version in versions.ids():
        try:
            versions.open(version)
        except Exception as error:
            problems.append(f"{version}: {error}")
    with FeedbackStore.open_home(home, create=False) as store:
        problems += [str(problem) for problem in store.verify()]
    try:
        if (answered := load.ask(0)) != versions.released():
            problems.append(f"{answered} answers, {versions.released()} is released")
    except httpx.HTTPError as error:
        problems.append(f"the app does not answer: {error!r}")
    return problems


def done(home: Path) -> str:
    """The last step that the last cycle has recorded as finished."""
    steps = ("snapshot", "judges", "suspects", "candidates", "decisions", "outcome", "ended")
    state = cycle_state.cycles(home)[-1].state if cycle_state.cycles(home) else {}
    return next((step for step in reversed(steps) if step in state), "nothing")


def kill_one(home: Path, policy: Path, load: Load, after: float) -> dict[str, Any] | None:
    """Kill a cycle after `after` seconds, then let the next run finish it. None if it ended before the kill."""
    # New votes, so that there is a cycle to run.
    rate_replies(home, [(f"{question} ({time.time()})", *rest) for question, *rest in apples(12)])  # type: ignore[misc]
    killed = begin(home, policy)
    try:
        killed.wait(after)
        return None
    except subprocess.TimeoutExpired:
        os.killpg(killed.pid, signal.SIGKILL)
        killed.wait()
    result: dict[str, Any] = {"after": round(after, 1), "done": done(home), "broken": broken(home, load)}
    code = begin(home, policy).wait()
    ended = all("ended" in cycle.state for cycle in cycle_state.cycles(home))
    if code or not ended or not cycle_state.cycles(home):
        result["broken"].append(
            f"the next run ended with code {code}, the cycle has {'' if ended else 'not '}ended"
        )
    result["broken"] += broken(home, load)
    return {**result, "released": Versions(home).released()}


def main() -> None:
    """Kill cycles and check the home after each; print one line per kill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="also write the results to this JSON file")
    options = parser.parse_args()
    quiet_libraries()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        policy = prepare(home, options.seed)
        with running_app(home) as address, Load(address) as load:
            began = time.monotonic()
            if begin(home, policy).wait():
                sys.exit((home / "killed.log").read_text())
            whole = time.monotonic() - began
            print(f"an undisturbed cycle takes {whole:.0f} s", flush=True)
            rows: list[dict[str, Any]] = []
            while len(rows) < options.kills:
                if (row := kill_one(home, policy, load, rng.uniform(0, whole))) is None:
                    continue
                rows.append(row)
                print(
                    f"{len(rows):>3}  killed after {row['after']:>5} s, done: {row['done']:<10} released: "
                    f"{row['released']:<5} {'; '.join(row['broken']) or 'whole, and the next run ended'}",
                    flush=True,
                )
        bad = sum(bool(row["broken"]) for row in rows)
        releases = len(Versions(home).history()) - 1
        print(
            f"{len(rows)} kills, {bad} left something broken; {releases} releases; {load.answered} answers by "
            f"{', '.join(sorted(load.versions))} meanwhile, {len(load.failed)} failed"
        )
    if options.output:
        content = {"kills": rows, "releases": releases, "answered": load.answered, "failed": load.failed}
        options.output.write_text(json.dumps(content, indent=1) + "\n")
    sys.exit(bool(bad or load.failed))


if __name__ == "__main__":
    main()

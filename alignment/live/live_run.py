"""The live comparison: a promoted candidate serves a share of conversations until the thumbs have decided.

    python -m alignment trial status --home DIR
    python -m alignment trial follow --home DIR
    python -m alignment trial start v3 --share 0.2 --home DIR
    python -m alignment trial stop --home DIR

`alignment.live.sequential_test` decides. A cycle follows it each time it runs, and a running app does where there are
new thumbs. Its state, and how earlier ones ended, are kept in HOME/trials.
"""

import argparse
import json
import math
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alignment.cycle import recorded_votes
from alignment.errors import CycleError
from alignment.evaluation.release_policy import LivePolicy, Policy, read_policy
from alignment.live import sequential_test
from alignment.live.sequential_test import Outcome
from assistant.registry import live_comparison as trials
from assistant.registry.live_comparison import Trial
from assistant.registry.versions import Versions, now, write_atomically
from assistant.settings import default_home
from feedback_store import FeedbackStore

POINTS = 200
"""Of a course that are written down."""


def start(home: Path, candidate: str, share: float) -> Trial:
    """Let `candidate` serve a share of conversations beside the released version.

    Raises CycleError if a trial is under way, nothing is released, or the gate did not promote the candidate over the
    released version; VersionError if it is unknown or damaged.
    """
    versions = Versions(home)
    under_way, released = trials.read(home), versions.released()
    if under_way is not None:
        raise CycleError(
            f"{under_way.candidate} is being compared with {under_way.released} already. "
            "Wait until that has ended, or end it with `python -m alignment trial stop`."
        )
    if released is None or released == candidate:
        raise CycleError(
            f"There is nothing to compare {candidate} with: {released or 'nothing'} is released."
        )
    gate = versions.open(candidate).manifest.gate
    if gate is None or gate.get("verdict") != "promote" or gate.get("released") != released:
        raise CycleError(
            f"The gate has not promoted {candidate} over {released}, so nobody is served by it. Run "
            "`python -m alignment cycle`, or release it by hand with `python -m alignment release`."
        )
    if not 0 < share <= 1:
        raise CycleError(
            f"A share of {share} of conversations is not possible: give more than 0 and at most 1."
        )
    trial = Trial(uuid.uuid4().hex, candidate, released, share, now())
    trials.write(home, trial)
    return trial


def outcome(home: Path, trial: Trial, policy: LivePolicy) -> Outcome:
    """Where the comparison stands. Raises StoreError if the store cannot be read."""
    return sequential_test.follow(_votes(home, trial), policy)


def follow(home: Path, policy: LivePolicy) -> str | None:
    """Look at the trial under way, if there is one, and end it if it is decided. What was found, in words.

    The winner is released. Killed at any moment, the next look goes on from there.
    """
    trial = trials.read(home)
    if trial is None:
        return None
    versions = Versions(home)
    released = versions.released()
    if released == trial.candidate:
        return end(home, trial, "candidate wins", f"{trial.candidate} is the released version")
    if released != trial.released:
        return end(home, trial, "void", f"{released} was released meanwhile, which was no part of it")
    if trial.candidate not in versions.ids():
        return end(home, trial, "void", f"{trial.candidate} is not there any more")
    given = _votes(home, trial)
    found, course = sequential_test.follow(given, policy), _course(given, policy)
    if found.verdict == "candidate wins":
        versions.release(trial.candidate, f"won its live comparison with {trial.released}: {found.text}")
        return end(home, trial, found.verdict, found.text, found, course)
    if found.verdict == "roll back":
        return end(home, trial, found.verdict, found.text, found, course)
    text = found.text
    if datetime.now(UTC) < trial.began:
        text += f"; the clock stands before {trial.started}, when it began: thumbs on replies until then do not count"
    _record(home, trial, {"verdict": found.verdict, "why": text, "seen": now()}, found, course)
    return f"{trial.candidate} is being compared with {trial.released}: {text}"


def end(
    home: Path,
    trial: Trial,
    verdict: str,
    why: str,
    found: Outcome | None = None,
    course: dict[str, Any] | None = None,
) -> str:
    """Write down how it ended, then take its file away: from then on everybody gets the released version."""
    _record(home, trial, {"ended": now(), "verdict": verdict, "why": why}, found, course)
    (home / trials.FILE).unlink(missing_ok=True)
    return f"the live comparison of {trial.candidate} with {trial.released} has ended ({verdict}): {why}"


def _record(
    home: Path, trial: Trial, said: dict[str, str], found: Outcome | None, course: dict[str, Any] | None
) -> None:
    content: dict[str, Any] = {**asdict(trial), **said}
    if found is not None:
        content |= {"outcome": asdict(found), "course": course}
    (home / "trials").mkdir(exist_ok=True)
    write_atomically(home / "trials" / f"{trial.id}.json", json.dumps(content, indent=2) + "\n")


def _votes(home: Path, trial: Trial) -> list[sequential_test.Vote]:
    with FeedbackStore.open_home(home, create=False) as store:
        return recorded_votes.of_trial(store, trial)


def _course(given: list[sequential_test.Vote], policy: LivePolicy) -> dict[str, Any]:
    """The interval after each counted vote, at most POINTS of them, for a plot."""
    found = sequential_test.course(given, policy)
    known = [i for i in range(len(found.low)) if math.isfinite(found.difference[i])]
    kept = [known[round(i * (len(known) - 1) / (POINTS - 1))] for i in range(POINTS)] if known else []
    kept = sorted(set(kept))
    return {
        "votes": [i + 1 for i in kept],
        **{
            name: [round(float(getattr(found, name)[i]), 4) for i in kept]
            for name in ("difference", "low", "high")
        },
    }


def main(arguments: list[str]) -> None:
    """Show, follow, start or stop."""
    parser = argparse.ArgumentParser(
        prog="python -m alignment trial",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=("status", "follow", "start", "stop"))
    parser.add_argument("version", nargs="?", help="with start: a version that the gate promoted")
    parser.add_argument("--share", type=float, help="of conversations; the policy's if left out")
    parser.add_argument("--policy", type=Path, help="YAML; defaults if left out")
    parser.add_argument("--home", type=Path, default=default_home(), help="folder of feedback and versions")
    options = parser.parse_args(arguments)
    policy = read_policy(options.policy) if options.policy else Policy()
    if options.action == "start":
        if options.version is None:
            parser.error("start needs a version, such as v3")
        share = policy.cycle.share if options.share is None else options.share
        trial = start(options.home, options.version, share)
        print(f"{trial.candidate} serves {100 * trial.share:g} % of conversations beside {trial.released}")
        return
    if options.action == "follow":
        print(follow(options.home, policy.live) or "no live comparison is under way")
        return
    under_way = trials.read(options.home)
    if under_way is None:
        print("no live comparison is under way")
    elif options.action == "stop":
        print(end(options.home, under_way, "stopped", "somebody stopped it"))
    else:
        found = outcome(options.home, under_way, policy.live)
        print(f"{under_way.candidate} is being compared with {under_way.released}: {found.text}")

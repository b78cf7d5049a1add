"""The loop: new feedback → snapshot → judges → candidates → comparison → gate → release → report.

    python -m alignment cycle --home DIR
    python -m alignment cycle --home DIR --every 24h
    python -m alignment cycle --home DIR --dry-run

One at a time in a home. Each step is written down in HOME/cycles/N when it is done, and the stages keep checkpoints, so
that a cycle that was killed goes on where it was. Whatever the gate does not promote stays registered with the gate's
reasons, and is never served by a cycle.
"""

import argparse
import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from alignment.cycle import candidates, cycle_report, cycle_state, rater_audit, recorded_votes
from alignment.cycle.candidates import Plan
from alignment.cycle.cycle_lock import held
from alignment.cycle.cycle_state import Journal
from alignment.data import served_ids
from alignment.data.token_pairs import pairs_of_store
from alignment.errors import AlignmentError, CycleError, LockError
from alignment.evaluation import comparison, comparison_report, gate
from alignment.evaluation.evaluation_set import evaluation_set
from alignment.evaluation.held_out_judgements import held_out_judgements
from alignment.evaluation.release_policy import Policy, read_policy
from alignment.live import live_run
from alignment.training.processes import say
from assistant.errors import AssistantError
from assistant.registry import live_comparison as trials
from assistant.registry.first_version import add_first_version
from assistant.registry.versions import STARTER, Versions, now
from assistant.serving.loading import load_tokenizer
from assistant.settings import default_home
from feedback_store import FeedbackStore, StoreError
from feedback_store.rows import snapshot


def main(arguments: list[str]) -> None:
    """Run one cycle, or one after the other."""
    parser = argparse.ArgumentParser(
        prog="python -m alignment cycle",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", type=Path, default=default_home(), help="folder of feedback and versions")
    parser.add_argument("--policy", type=Path, help="YAML; defaults if left out")
    parser.add_argument("--every", type=_duration, metavar="TIME", help="for ever: 24h, 30m or 90s apart")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; write nothing")
    options = parser.parse_args(arguments)
    while True:
        began = time.monotonic()  # No clock of the wall: it may be set back.
        policy = read_policy(options.policy) if options.policy else Policy()
        if options.dry_run:
            say(*plan(options.home, policy))
        else:
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(held(options.home / "cycles" / "lock"))
                    run(options.home, policy)
                except LockError as error:
                    if options.every is None:
                        raise
                    say(str(error))
        if options.every is None:
            return
        time.sleep(max(0.0, options.every - (time.monotonic() - began)))


def run(home: Path, policy: Policy) -> Path | None:
    """One cycle, or the rest of one that was killed. Returns the report's path; None where there was too little to do.

    Raises AlignmentError, AssistantError or StoreError in plain words; the next run then goes on from the same step.
    """
    versions = Versions(home)
    if versions.released() is None:
        add_first_version(versions, STARTER)
    versions.open(str(versions.released()))
    check(home, policy)
    if (told := live_run.follow(home, policy.live)) is not None:
        say(told)
        if trials.read(home) is not None:
            say("no new candidate while a live comparison is under way")
            return None
    earlier = cycle_state.cycles(home)
    unfinished = [one for one in earlier if "ended" not in one.state]
    if unfinished:
        mine = unfinished[-1]
        say(f"going on with cycle {mine.number}, which has not ended")
    else:
        with FeedbackStore.open_home(home, create=False) as store:
            given = recorded_votes.standing(store)
        new = len(given - cycle_state.seen(earlier))
        if (missing := policy.cycle.minimum_feedback - new) > 0:
            say(
                f"too little new feedback: {new} new votes, {policy.cycle.minimum_feedback} are needed. "
                f"{missing} more, and a cycle begins."
            )
            return None
        mine = cycle_state.begin(home, earlier, str(versions.released()))
        cycle_state.write_votes(mine, given, new)
    others = [one for one in earlier if one.number != mine.number]
    if not unfinished:
        return _go_on(home, policy, mine, others)
    try:
        return _go_on(home, policy, mine, others)
    except (AlignmentError, AssistantError, StoreError) as error:
        raise CycleError(
            f"{error}\nCycle {mine.number} cannot go on without that. If it cannot be mended, delete {mine.folder}: "
            "its candidates stay registered and unreleased, and the next run begins a new cycle."
        ) from error


def check(home: Path, policy: Policy) -> None:
    """Find out before anything is trained that a policy cannot be used. Raises PolicyError, DataError."""
    candidates.check_recipes(policy.cycle)
    evaluation_set(policy.evaluate, 0, home)


def _go_on(home: Path, policy: Policy, mine: Journal, earlier: list[Journal]) -> Path:
    """Do the steps that are not done yet."""
    for key, step in (
        ("snapshot", partial(_snapshot, home, policy)),
        ("judges", partial(candidates.judges, home, policy)),
        ("suspects", partial(_suspects, home)),
        ("candidates", partial(candidates.candidates, home, policy)),
        ("decisions", partial(_decide, home, policy, earlier)),
        ("outcome", partial(_release, home, policy)),
    ):
        if key not in mine.state:
            with _timed(mine, key):
                mine.save(**{key: step(mine)})
    path = cycle_report.write(mine)
    mine.save(ended=now())
    # What came of it last: that line is what the dashboard tells when a cycle has ended.
    say(f"report: {path}", cycle_report.outcome(mine))
    return path


@contextlib.contextmanager
def _timed(mine: Journal, key: str) -> Iterator[None]:
    """Count the seconds of a step, those before a kill left out."""
    began = time.monotonic()
    yield
    mine.state.setdefault("seconds", {})[key] = round(time.monotonic() - began, 1)


def _snapshot(home: Path, policy: Policy, mine: Journal) -> dict[str, Any]:
    with FeedbackStore.open_home(home, create=False) as store:
        taken = snapshot.take(store, mine.free("snapshot"), policy.rules)
        own, released = taken, mine.state["released"]
        if policy.cycle.learn_from == "released":
            own = snapshot.take(store, mine.free("own"), policy.rules, version=released)
    for name, one in (("snapshot", taken), (f"of {released}'s answers", own)):
        say(f"{name} {one.id[:12]}: {', '.join(f'{count} {kind}' for kind, count in one.counts.items())}")
    return {
        "id": taken.id,
        "folder": taken.folder.name,
        "own": {"id": own.id, "folder": own.folder.name, "counts": own.counts},
        "counts": taken.counts,
        "balance": taken.manifest["balance"],
        "left_out": taken.manifest["left_out"],
    }


def _suspects(home: Path, mine: Journal) -> list[dict[str, Any]]:
    with FeedbackStore.open_home(home, create=False) as store:
        given = list(recorded_votes.thumbs(store))
    agreed = recorded_votes.agreement(home, candidates.standing(home, mine), given)
    found = rater_audit.find([one.cast for one in given], agreed)
    for one in found:
        say(f"suspect: {one.rater}, {one.what}: {one.text}")
    return [asdict(one) for one in found]


def _decide(home: Path, policy: Policy, earlier: list[Journal], mine: Journal) -> list[dict[str, Any]]:
    """Compare each candidate with the released version, and let the gate decide; every comparison is a look."""
    versions = Versions(home)
    released = versions.open(mine.state["released"])
    taken = snapshot.load(mine.whole)
    asked = evaluation_set(policy.evaluate, mine.number, home, list(taken.rows("prompt")))
    tokenizer = load_tokenizer(released.manifest.base, home)
    thumbs = served_ids.with_token_ids(taken.rows("unpaired"), tokenizer)
    judged = held_out_judgements(pairs_of_store(taken.rows("preference"), tokenizer), thumbs)
    asked = replace(asked, judgements=judged)
    judge = candidates.standing(home, mine).get("b")
    looks = cycle_state.looks(earlier, released.id)
    decisions = []
    for one in mine.state["candidates"]:
        if not candidates.is_ours(versions, one["version"], one["stage"], mine):
            mine.note(f"{one['version']} is not there any more: it was compared with nothing")
            continue
        candidate = versions.open(one["version"])
        found = comparison.compare(
            candidate,
            released,
            home,
            asked,
            policy.evaluate,
            judge=versions.open(judge) if judge else None,
            # Only PPO learned from the other half alone; whoever saw the judge's rows would share its mistakes.
            judge_decides=one["stage"] == "ppo",
            cache=mine.folder,
        )
        looks += 1
        decision = gate.decide(found.candidate, found.released, comparison.with_margins(policy.gate), looks)
        cycle_report.write_comparison(mine.folder, found)
        content = {
            **asdict(decision),
            "cycle": mine.number,
            "table": comparison_report.table(found),
            "text": decision.text(),
        }
        # As JSON holds it, so that the same decision is known again.
        content = cycle_report.plain(content)
        versions.record_gate(candidate.id, content)
        say(decision.text())
        decisions.append(content)
    return decisions


def _release(home: Path, policy: Policy, mine: Journal) -> dict[str, Any]:
    """Do with the best promoted candidate what the policy says."""
    promoted = [one for one in mine.state["decisions"] if one["verdict"] == "promote"]
    if not promoted:
        return {"what": "nothing", "why": "no candidate was promoted"}
    best = min(promoted, key=lambda one: min(r["p"] for r in one["reasons"] if r["finding"] == "better"))
    versions, chosen, old = Versions(home), best["candidate"], mine.state["released"]
    under_way = trials.read(home)
    if versions.released() == chosen or (under_way is not None and under_way.candidate == chosen):
        # Killed after it was done and before it was written down.
        return {"what": policy.cycle.release, "version": chosen}
    if versions.released() != old:
        why = f"{versions.released()} was released meanwhile; {chosen} was compared with {old}, and is not served"
        return {"what": "nothing", "version": chosen, "why": why}
    if policy.cycle.release == "by hand":
        why = f"release it with `python -m alignment release {chosen}`"
        return {"what": "by hand", "version": chosen, "why": why}
    if policy.cycle.release == "trial":
        live_run.start(home, chosen, policy.cycle.share)
    else:
        versions.release(chosen, f"cycle {mine.number}: promoted by the gate over {old}")
    return {"what": policy.cycle.release, "version": chosen}


def plan(home: Path, policy: Policy) -> list[str]:
    """What a cycle would do now, in words. Writes nothing."""
    if not (home / "versions" / "released.json").exists():
        return [f"{home} has no version yet: a cycle would make v1 from the starter, and find no feedback"]
    check(home, policy)
    lines = []
    if (under_way := trials.read(home)) is not None:
        found = live_run.outcome(home, under_way, policy.live)
        lines.append(f"{under_way.candidate} is being compared with {under_way.released}: {found.text}")
    earlier = cycle_state.cycles(home)
    if unfinished := [one for one in earlier if "ended" not in one.state]:
        done = [
            key for key in ("snapshot", "judges", "candidates", "decisions") if key in unfinished[-1].state
        ]
        lines.append(
            f"would go on with cycle {unfinished[-1].number}; done: {', '.join(done) or 'nothing yet'}"
        )
    with FeedbackStore.open_home(home, create=False) as store:
        new = len(recorded_votes.standing(store) - cycle_state.seen(earlier))
        counted = Plan.of_store(store, policy, Versions(home).released())
    lines.append(f"new votes: {new}; {policy.cycle.minimum_feedback} are needed")
    lines += counted.words(policy.cycle)
    return [*lines, "dry run: nothing was written"]


def _duration(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give one such as 24h, 30m or 90s")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


__all__ = ["CycleError", "main", "plan", "run"]

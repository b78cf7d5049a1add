"""The cycle: new feedback → snapshot → reward models → candidates → comparison → gate → release → report.

    python -m alignment cycle --home DIR
    python -m alignment cycle --home DIR --every 24h
    python -m alignment cycle --home DIR --dry-run
    python -m alignment cycle --home DIR --discard

One cycle runs at a time in a home. Each step is written to HOME/cycles/NUMBER when it is done, and the stages keep
checkpoints, so that a cycle that was killed goes on where it was. A candidate that the gate does not promote stays
registered with the gate's reasons, and no cycle ever serves it.
"""

import argparse
import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from alignment.cycle import candidates, cycle_state, decisions, discarding, rater_audit, recorded_votes
from alignment.cycle.cycle_lock import cycle_lock
from alignment.cycle.cycle_state import Journal
from alignment.cycle.evidence import what_could_decide
from alignment.errors import (
    AlignmentError,
    CycleError,
    PolicyError,
    explain,
    is_disk_full,
    is_explained,
)
from alignment.evaluation.evaluation_set import evaluation_set
from alignment.evaluation.release_policy import Policy, read_policy
from alignment.event_output import emit
from alignment.live import live_run
from assistant.admin import cycle_report, last_run
from assistant.admin.cycle_records import STEPS
from assistant.admin.cycle_report import row_counts
from assistant.admin.cycle_rule import CandidatePlan, keep_rule, standing_votes
from assistant.errors import AssistantError
from assistant.events.event import Event
from assistant.events.event_error import event_of
from assistant.registry import live_comparison
from assistant.registry.first_version import add_first_version
from assistant.registry.versions import Versions, now
from assistant.settings import default_home, default_model
from feedback_store import FeedbackStore, StoreError
from feedback_store.rows import snapshot


def main(arguments: list[str]) -> None:
    """Run one cycle, or one after another."""
    parser = argparse.ArgumentParser(
        prog="python -m alignment cycle",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", type=Path, default=default_home(), help="folder of feedback and versions")
    parser.add_argument("--policy", type=Path, help="YAML; defaults if left out")
    parser.add_argument(
        "--every", type=_duration, metavar="TIME", help="repeat for ever, so far apart: 24h, 30m or 90s"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done; write nothing")
    parser.add_argument(
        "--discard", action="store_true", help="end a cycle that has not ended; its record stays"
    )
    options = parser.parse_args(arguments)
    while True:
        began = time.monotonic()  # The wall clock may be set back.
        try:
            _run_once(options)
        except (AlignmentError, AssistantError, StoreError) as error:
            if options.every is None or isinstance(error, PolicyError):
                raise
            emit(event_of(error))
        if options.every is None:
            return
        time.sleep(max(0.0, options.every - (time.monotonic() - began)))


def _run_once(options: argparse.Namespace) -> None:
    home: Path = options.home
    if options.dry_run:
        emit(*plan(home, _policy(options)))
        return
    with cycle_lock(home / "cycles" / "lock"), last_run.recorded(home, explain):
        if options.discard:
            discarding.discard_unfinished(home)
        else:
            run(home, _policy(options))


def _policy(options: argparse.Namespace) -> Policy:
    return read_policy(options.policy) if options.policy else Policy()


def run(home: Path, policy: Policy) -> Path | None:
    """Run one cycle, or the rest of one that was killed. Returns the report's path; None where there was nothing to do.

    Raises AlignmentError, AssistantError or StoreError; the next run then goes on from the same step. A cycle that can
    never go on, or whose step has failed again and again, is discarded.
    """
    versions = Versions(home)
    if versions.released() is None:
        add_first_version(versions, default_model())
    versions.open(str(versions.released()))
    check(home, policy)
    keep_rule(home, policy.rule)
    if (event := live_run.follow(home, policy.live)) is not None:
        emit(event)
        if live_comparison.read(home) is not None:
            emit(Event.of("cycle_waits_for_live_comparison"))
            return None
    earlier = cycle_state.cycles(home)
    journal = _unfinished(earlier) or _begin(home, policy, earlier, str(versions.released()))
    if journal is None:
        return None
    try:
        return _do_steps(
            home, policy, journal, [other for other in earlier if other.number != journal.number]
        )
    except Exception as error:
        _keep_failure(journal, error)
        raise


def _unfinished(earlier: list[Journal]) -> Journal | None:
    """The last cycle if it has not ended and can go on. One that cannot is discarded."""
    unfinished = [journal for journal in earlier if "ended" not in journal.state]
    if not unfinished:
        return None
    journal = unfinished[-1]
    if (lost := discarding.lost_snapshot(journal)) is not None:
        emit(discarding.discard(journal, lost))
        return None
    emit(Event.of("cycle_continues", number=journal.number))
    return journal


def _begin(home: Path, policy: Policy, earlier: list[Journal], released: str) -> Journal | None:
    """A new cycle; None where there is too little new feedback, or too little of what any stage learns from."""
    with FeedbackStore.open_home(home, create=False) as store:
        votes = standing_votes(store)
        new, needed = len(votes - cycle_state.known_votes(earlier)), policy.cycle.minimum_feedback
        if new < needed:
            emit(Event.of("cycle_too_little_feedback", votes=new, needed=needed, missing=needed - new))
            return None
        plan = CandidatePlan.of_store(store, policy.rule, released)
        obstacles = plan.obstacles(policy.cycle)
        if not obstacles:
            emit(_what_could_decide(home, policy, store, plan))
    if obstacles:
        lacks = [Event.of("stage_not_run", stage=stage, why=why) for stage, why in obstacles.items()]
        emit(Event.of("cycle_nothing_to_train", votes=new, lacks=lacks))
        return None
    journal = cycle_state.begin(home, earlier, released)
    cycle_state.write_votes(journal, votes, new)
    return journal


def _keep_failure(journal: Journal, error: Exception) -> None:
    """Write a failure into the cycle's state. Raises CycleError if the step has failed before, and says the way out.

    After MOST_FAILURES of one step the cycle is discarded. A full disk is no failure of the cycle's.
    """
    if is_disk_full(error):
        return
    why = explain(error)
    times = journal.fail(why)
    if times >= discarding.MOST_FAILURES:
        discarding.discard(journal, Event.of("discarded_after_failures", count=times, why=why))
        raise CycleError(Event.of("cycle_given_up", number=journal.number, count=times, why=why)) from error
    if times > 1 and is_explained(error):
        raise CycleError(Event.of("cycle_cannot_go_on", number=journal.number, why=why)) from error


def check(home: Path, policy: Policy) -> None:
    """Check a policy before anything is trained. Raises PolicyError or DataError."""
    candidates.check_recipes(policy.cycle)
    decisions.own_wordings(policy, home)
    versions = Versions(home)
    evaluation_set(policy.evaluate, 0, home, versions.open(str(versions.released())).manifest.base)


def _do_steps(home: Path, policy: Policy, journal: Journal, earlier: list[Journal]) -> Path:
    """Do the steps that are not done yet, write the report, and say what came of the cycle."""
    steps: dict[str, Callable[[Journal], Any]] = {
        "snapshot": partial(_take_snapshot, home, policy),
        "judges": partial(candidates.train_judges, home, policy),
        "suspects": partial(_audit_raters, home),
        "candidates": partial(candidates.train_candidates, home, policy),
        "decisions": partial(decisions.decide, home, policy, earlier),
        "outcome": partial(decisions.release, home, policy),
    }
    for step in STEPS:
        if step not in journal.state:
            with _timed(journal, step):
                journal.save(**{step: steps[step](journal)})
    path = cycle_state.write_report(journal)
    journal.save(ended=now())
    # The outcome comes last: the dashboard shows the last event of a cycle that has ended.
    emit(
        Event.of("cycle_report_written", path=str(path)),
        cycle_report.outcome_event(journal.number, journal.state),
    )
    return path


@contextlib.contextmanager
def _timed(journal: Journal, step: str) -> Iterator[None]:
    """Measure the seconds of a step; those before a kill are not counted."""
    began = time.monotonic()
    yield
    journal.state.setdefault("seconds", {})[step] = round(time.monotonic() - began, 1)


def _take_snapshot(home: Path, policy: Policy, journal: Journal) -> dict[str, Any]:
    with FeedbackStore.open_home(home, create=False) as store:
        whole = snapshot.take(store, journal.free("snapshot"), policy.rules)
        own, released = whole, journal.state["released"]
        if policy.cycle.learn_from == "released":
            own = snapshot.take(store, journal.free("own"), policy.rules, version=released)
    emit(
        Event.of("cycle_snapshot", snapshot=whole.id[:12], rows=row_counts(whole.counts)),
        Event.of("cycle_own_snapshot", snapshot=own.id[:12], version=released, rows=row_counts(own.counts)),
    )
    return {
        "id": whole.id,
        "folder": whole.folder.name,
        "own": {"id": own.id, "folder": own.folder.name, "counts": own.counts},
        "counts": whole.counts,
        "balance": whole.manifest["balance"],
        "left_out": whole.manifest["left_out"],
    }


def _audit_raters(home: Path, journal: Journal) -> list[dict[str, Any]]:
    with FeedbackStore.open_home(home, create=False) as store:
        thumbs = list(recorded_votes.thumbs(store))
    try:
        agreed = recorded_votes.agreement(home, candidates.existing_judges(home, journal), thumbs)
    except Exception as error:
        candidates.note_failure(journal, Event.of("raters_not_judged", why=explain(error)), error)
        agreed = {}
    suspects = rater_audit.find([thumb.vote for thumb in thumbs], agreed)
    for suspect in suspects:
        emit(Event.of("rater_suspect", rater=suspect.rater, finding=suspect.what, reason=suspect.event))
    return [{**asdict(suspect), "event": suspect.event.content()} for suspect in suspects]


def plan(home: Path, policy: Policy) -> list[Event]:
    """What a cycle would do now. Writes nothing."""
    if not (home / "versions" / "released.json").exists():
        return [Event.of("plan_no_version", home=str(home))]
    check(home, policy)
    events = []
    if (under_way := live_comparison.read(home)) is not None:
        events.append(live_run.status(home, under_way, policy.live))
    earlier = cycle_state.cycles(home)
    if unfinished := [journal for journal in earlier if "ended" not in journal.state]:
        done = [Event.of("step_done", step=step) for step in STEPS if step in unfinished[-1].state]
        events.append(Event.of("plan_continues", number=unfinished[-1].number, steps=done))
    with FeedbackStore.open_home(home, create=False) as store:
        new = len(standing_votes(store) - cycle_state.known_votes(earlier))
        plan = CandidatePlan.of_store(store, policy.rule, Versions(home).released())
        decisive = _what_could_decide(home, policy, store, plan)
    events.append(Event.of("plan_votes", votes=new, needed=policy.cycle.minimum_feedback))
    events += candidates.plan_events(plan, policy.cycle)
    return [*events, decisive, Event.of("plan_wrote_nothing")]


def _what_could_decide(home: Path, policy: Policy, store: FeedbackStore, plan: CandidatePlan) -> Event:
    versions = Versions(home)
    base = versions.open(str(versions.released())).manifest.base
    return what_could_decide(store, policy, plan, base)


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give one such as 24h, 30m or 90s")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]

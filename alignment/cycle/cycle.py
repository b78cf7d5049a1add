"""The cycle: new feedback → snapshot → reward models → candidates → comparison → gate → release → report.

    python -m alignment cycle --home DIR
    python -m alignment cycle --home DIR --every 24h
    python -m alignment cycle --home DIR --dry-run

One cycle runs at a time in a home. Each step is written to HOME/cycles/NUMBER when it is done, and the stages keep
checkpoints, so that a cycle that was killed goes on where it was. A candidate that the gate does not promote stays
registered with the gate's reasons, and no cycle ever serves it.
"""

import argparse
import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from alignment.cycle import candidates, cycle_state, rater_audit, recorded_votes
from alignment.cycle.candidates import CandidatePlan
from alignment.cycle.cycle_lock import cycle_lock
from alignment.cycle.cycle_state import Journal
from alignment.data import served_ids
from alignment.data.token_pairs import pairs_of_store
from alignment.errors import AlignmentError, CycleError, LockError
from alignment.evaluation import comparison, comparison_report, gate
from alignment.evaluation.evaluation_set import evaluation_set
from alignment.evaluation.held_out_judgements import held_out_judgements
from alignment.evaluation.release_policy import Policy, read_policy
from alignment.event_output import emit
from alignment.live import live_run
from assistant.admin import cycle_report
from assistant.admin.cycle_records import STEPS
from assistant.admin.cycle_report import row_counts
from assistant.errors import AssistantError
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.events.event_error import event_of
from assistant.registry import live_comparison
from assistant.registry.first_version import add_first_version
from assistant.registry.versions import Versions, now
from assistant.serving.loading import load_tokenizer
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
    options = parser.parse_args(arguments)
    while True:
        began = time.monotonic()  # The wall clock may be set back.
        policy = read_policy(options.policy) if options.policy else Policy()
        if options.dry_run:
            emit(*plan(options.home, policy))
        else:
            with contextlib.ExitStack() as stack:
                try:
                    stack.enter_context(cycle_lock(options.home / "cycles" / "lock"))
                    run(options.home, policy)
                except LockError as error:
                    if options.every is None:
                        raise
                    emit(event_of(error))
        if options.every is None:
            return
        time.sleep(max(0.0, options.every - (time.monotonic() - began)))


def run(home: Path, policy: Policy) -> Path | None:
    """Run one cycle, or the rest of one that was killed. Returns the report's path; None where there was nothing to do.

    Raises AlignmentError, AssistantError or StoreError; the next run then goes on from the same step.
    """
    versions = Versions(home)
    if versions.released() is None:
        add_first_version(versions, default_model())
    versions.open(str(versions.released()))
    check(home, policy)
    if (event := live_run.follow(home, policy.live)) is not None:
        emit(event)
        if live_comparison.read(home) is not None:
            emit(Event.of("cycle_waits_for_live_comparison"))
            return None
    earlier = cycle_state.cycles(home)
    unfinished = [journal for journal in earlier if "ended" not in journal.state]
    if unfinished:
        journal = unfinished[-1]
        emit(Event.of("cycle_continues", number=journal.number))
    else:
        with FeedbackStore.open_home(home, create=False) as store:
            votes = recorded_votes.standing(store)
        new, needed = len(votes - cycle_state.known_votes(earlier)), policy.cycle.minimum_feedback
        if new < needed:
            emit(Event.of("cycle_too_little_feedback", votes=new, needed=needed, missing=needed - new))
            return None
        journal = cycle_state.begin(home, earlier, str(versions.released()))
        cycle_state.write_votes(journal, votes, new)
    others = [other for other in earlier if other.number != journal.number]
    if not unfinished:
        return _do_steps(home, policy, journal, others)
    try:
        return _do_steps(home, policy, journal, others)
    except (AlignmentError, AssistantError, StoreError) as error:
        raise CycleError(
            Event.of(
                "cycle_cannot_go_on",
                number=journal.number,
                folder=str(journal.folder),
                why=event_of(error),
            )
        ) from error


def check(home: Path, policy: Policy) -> None:
    """Check a policy before anything is trained. Raises PolicyError or DataError."""
    candidates.check_recipes(policy.cycle)
    evaluation_set(policy.evaluate, 0, home)


def _do_steps(home: Path, policy: Policy, journal: Journal, earlier: list[Journal]) -> Path:
    """Do the steps that are not done yet, write the report, and say what came of the cycle."""
    steps: dict[str, Callable[[Journal], Any]] = {
        "snapshot": partial(_take_snapshot, home, policy),
        "judges": partial(candidates.train_judges, home, policy),
        "suspects": partial(_audit_raters, home),
        "candidates": partial(candidates.train_candidates, home, policy),
        "decisions": partial(_decide, home, policy, earlier),
        "outcome": partial(_release, home, policy),
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
    agreed = recorded_votes.agreement(home, candidates.existing_judges(home, journal), thumbs)
    suspects = rater_audit.find([thumb.vote for thumb in thumbs], agreed)
    for suspect in suspects:
        emit(Event.of("rater_suspect", rater=suspect.rater, finding=suspect.what, reason=suspect.event))
    return [{**asdict(suspect), "event": suspect.event.content()} for suspect in suspects]


def _decide(home: Path, policy: Policy, earlier: list[Journal], journal: Journal) -> list[dict[str, Any]]:
    """Compare each candidate with the released version and let the gate decide. Every comparison counts as a look."""
    versions = Versions(home)
    released = versions.open(journal.state["released"])
    rows = snapshot.load(journal.whole)
    questions = evaluation_set(policy.evaluate, journal.number, home, list(rows.rows("prompt")))
    tokenizer = load_tokenizer(released.manifest.base, home)
    thumbs = served_ids.with_token_ids(rows.rows("unpaired"), tokenizer)
    judged = held_out_judgements(pairs_of_store(rows.rows("preference"), tokenizer), thumbs)
    questions = replace(questions, judgements=judged)
    judge = candidates.existing_judges(home, journal).get("b")
    looks = cycle_state.looks(earlier, released.id)
    decisions = []
    for candidate in journal.state["candidates"]:
        if not candidates.is_ours(versions, candidate["version"], candidate["stage"], journal):
            journal.note(Event.of("candidate_gone", version=candidate["version"]))
            continue
        version = versions.open(candidate["version"])
        looks += 1
        recorded = version.manifest.gate
        if recorded is not None and recorded.get("cycle") == journal.number:
            # The cycle was killed after the gate had decided, perhaps under an earlier release of this program.
            decisions.append(recorded)
            continue
        compared = comparison.compare(
            version,
            released,
            home,
            questions,
            policy.evaluate,
            judge=versions.open(judge) if judge else None,
            # Only PPO learned from the other half alone; the other stages share the mistakes of this judge's rows.
            judge_decides=candidate["stage"] == "ppo",
            cache=journal.folder,
        )
        decision = gate.decide(
            compared.candidate, compared.released, comparison.with_margins(policy.gate), looks
        )
        cycle_state.write_comparison(journal.folder, compared)
        content = {
            **asdict(decision),
            "cycle": journal.number,
            "table": comparison_report.table(compared),
            "measures": comparison_report.measures(compared),
            "shares": [share.content() for share in comparison_report.shown_shares(compared)],
            "text": decision.text(),
        }
        # As JSON holds it, in the manifest and in the cycle's state.
        content = json.loads(json.dumps(content))
        versions.record_gate(candidate["version"], content)
        emit(decision.event(), *(reason.event for reason in decision.reasons))
        decisions.append(content)
    return decisions


def _release(home: Path, policy: Policy, journal: Journal) -> dict[str, Any]:
    """Do with the best promoted candidate what the policy says."""

    def nothing(why: Event, **more: str) -> dict[str, Any]:
        return {"what": "nothing", **more, "why": describe(why), "event": why.content()}

    promoted = [decision for decision in journal.state["decisions"] if decision["verdict"] == "promote"]
    if not promoted:
        return nothing(Event.of("none_promoted"))
    best = min(promoted, key=lambda one: min(r["p"] for r in one["reasons"] if r["finding"] == "better"))
    versions, chosen, old = Versions(home), best["candidate"], journal.state["released"]
    under_way = live_comparison.read(home)
    if versions.released() == chosen or (under_way is not None and under_way.candidate == chosen):
        # The cycle was killed after it had released the candidate and before it wrote that down.
        return {"what": policy.cycle.release, "version": chosen}
    if versions.released() != old:
        other = str(versions.released())
        why = Event.of("released_meanwhile", other=other, version=chosen, released=old)
        return nothing(why, version=chosen)
    if policy.cycle.release == "by hand":
        return {**nothing(Event.of("release_by_hand", version=chosen), version=chosen), "what": "by hand"}
    if policy.cycle.release == "trial":
        live_run.start(home, chosen, policy.cycle.share)
    else:
        versions.release(chosen, Event.of("released_by_cycle", number=journal.number, released=old))
    return {"what": policy.cycle.release, "version": chosen}


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
        new = len(recorded_votes.standing(store) - cycle_state.known_votes(earlier))
        plan = CandidatePlan.of_store(store, policy, Versions(home).released())
    events.append(Event.of("plan_votes", votes=new, needed=policy.cycle.minimum_feedback))
    return [*events, *plan.events(policy.cycle), Event.of("plan_wrote_nothing")]


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give one such as 24h, 30m or 90s")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]

"""The live comparison: a candidate serves a share of conversations until the thumbs have decided.

    python -m alignment trial status --home DIR
    python -m alignment trial follow --home DIR
    python -m alignment trial start v3 --share 0.2 --home DIR
    python -m alignment trial stop --home DIR

`alignment.live.sequential_test` decides. Every cycle follows the live comparison, and a running app does so when there
are new thumbs. HOME/trial.json names the one under way; HOME/trials keeps the course and the end of each.
"""

import argparse
import json
import math
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alignment.errors import CycleError
from alignment.evaluation.release_policy import LivePolicy, Policy, read_policy
from alignment.event_output import emit
from alignment.live import sequential_test
from alignment.live.sequential_test import ArmVote, Outcome
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.registry import live_comparison
from assistant.registry.live_comparison import Trial, arm
from assistant.registry.versions import Versions, now
from assistant.settings import default_home
from feedback_store import FeedbackStore, StoreError
from feedback_store.atomic_files import write_atomically

POINTS = 200
"""Maximum number of points of a course that are saved for plotting."""


def start(home: Path, candidate: str, share: float) -> Trial:
    """Let `candidate` serve a share of conversations beside the released version.

    The gate has promoted it over the released version, or has found nothing against it and leaves it to people. Raises
    CycleError if neither is so, a live comparison is under way, nothing is released, or the share is impossible;
    VersionError if the candidate is unknown or damaged.
    """
    versions = Versions(home)
    with live_comparison.lock(home):
        under_way, released = live_comparison.read(home), versions.released()
        if under_way is not None:
            raise CycleError(
                Event.of("live_already_under_way", candidate=under_way.candidate, released=under_way.released)
            )
        if released is None:
            raise CycleError(Event.of("live_nothing_released", candidate=candidate))
        if released == candidate:
            raise CycleError(Event.of("live_same_version", candidate=candidate))
        if not live_comparison.may_be_tried(versions.open(candidate).manifest.gate, released):
            raise CycleError(Event.of("live_not_promoted", candidate=candidate, released=released))
        if not 0 < share < 1:
            raise CycleError(Event.of("live_share_impossible", share=share))
        trial = Trial(uuid.uuid4().hex, candidate, released, share, now())
        live_comparison.write(home, trial)
        return trial


def status(home: Path, trial: Trial, policy: LivePolicy) -> Event:
    """Where a live comparison stands. Raises StoreError if the store cannot be read."""
    outcome = sequential_test.follow(_votes(home, trial), policy)
    return _under_way(trial, outcome.event)


def follow(home: Path, policy: LivePolicy) -> Event | None:
    """Test the live comparison under way, and end it if it is decided; None if there is none.

    The winner is released. If the process is killed at any moment, the next call goes on from there.
    """
    trial = live_comparison.read(home)
    if trial is None:
        return None
    versions = Versions(home)
    released = versions.released()
    if released == trial.candidate:
        why = Event.of("candidate_is_released", version=trial.candidate)
        return end(home, trial, "candidate wins", why)
    if released != trial.released:
        return end(home, trial, "void", Event.of("other_version_released", version=str(released)))
    if trial.candidate not in versions.ids():
        return end(home, trial, "void", Event.of("version_gone", version=trial.candidate))
    # Votes are read without the lock, so that nobody who stops the comparison waits for it.
    votes = _votes(home, trial)
    outcome, course = sequential_test.follow(votes, policy), _course(votes, policy)
    with live_comparison.lock(home):
        if (live_comparison.read(home), versions.released()) == (trial, trial.released):
            return _settle(versions, trial, outcome, course)
    # Meanwhile it was stopped, or another version released.
    return follow(home, policy)


def _settle(versions: Versions, trial: Trial, outcome: Outcome, course: dict[str, Any]) -> Event:
    """Do what the test says, while the lock is held."""
    if outcome.verdict == "candidate wins":
        why = Event.of("released_by_live_comparison", released=trial.released, outcome=outcome.event)
        versions.release(trial.candidate, why)
    if outcome.verdict != "continue":
        return _end(versions.home, trial, outcome.verdict, outcome.event, outcome, course)
    event = outcome.event
    if datetime.now(UTC) < trial.began:
        event = Event.of("live_clock_behind", outcome=event, started=trial.started)
    _record(versions.home, trial, outcome.verdict, event, {"seen": now()}, outcome, course)
    return _under_way(trial, event)


def stop(home: Path, policy: LivePolicy) -> Event | None:
    """End the live comparison under way as it stands, whoever leads; None if there is none."""
    trial = live_comparison.read(home)
    if trial is None:
        return None
    stopped = Event.of("live_stopped")
    try:
        votes = _votes(home, trial)
    except StoreError:
        # Whoever stops a comparison wants it stopped, whatever can be read.
        return end(home, trial, "stopped", stopped)
    outcome, course = sequential_test.follow(votes, policy), _course(votes, policy)
    return end(home, trial, "stopped", stopped, outcome, course)


def end(
    home: Path,
    trial: Trial,
    verdict: str,
    why: Event,
    outcome: Outcome | None = None,
    course: dict[str, Any] | None = None,
) -> Event | None:
    """Record how a live comparison ended, then remove its file: from then on everybody gets the released version.

    None if it is not under way any more.
    """
    with live_comparison.lock(home):
        if live_comparison.read(home) != trial:
            return None
        return _end(home, trial, verdict, why, outcome, course)


def _end(
    home: Path, trial: Trial, verdict: str, why: Event, outcome: Outcome | None, course: dict[str, Any] | None
) -> Event:
    _record(home, trial, verdict, why, {"ended": now()}, outcome, course)
    (home / live_comparison.FILE).unlink(missing_ok=True)
    return Event.of(
        "live_ended", candidate=trial.candidate, released=trial.released, verdict=verdict, why=why
    )


def _under_way(trial: Trial, outcome: Event) -> Event:
    return Event.of("live_under_way", candidate=trial.candidate, released=trial.released, outcome=outcome)


def _record(
    home: Path,
    trial: Trial,
    verdict: str,
    why: Event,
    moment: dict[str, str],
    outcome: Outcome | None,
    course: dict[str, Any] | None,
) -> None:
    content: dict[str, Any] = {
        **asdict(trial),
        **moment,
        "verdict": verdict,
        "why": describe(why),
        "event": why.content(),
    }
    if outcome is not None:
        content |= {"outcome": {**asdict(outcome), "event": outcome.event.content()}, "course": course}
    (home / "trials").mkdir(exist_ok=True)
    write_atomically(home / "trials" / f"{trial.id}.json", json.dumps(content, indent=2) + "\n")


def votes_of(store: FeedbackStore, trial: Trial) -> list[ArmVote]:
    """The thumbs of both arms, in the order in which they were given.

    A thumb counts if the live comparison drew the version of its reply, which says so, and that version wrote it.
    Replies side by side, or by a version that was chosen by name, take no part in the comparison.
    """
    ordered = []
    for name, version in (("candidate", trial.candidate), ("released", trial.released)):
        for rating, reply in store.ratings(version, consented=True):
            assigned = arm(reply.conversation_id, trial.id, trial.share)
            drawn = reply.sampling.get("trial") == trial.id
            if drawn and assigned == name and reply.created_at >= trial.began:
                ordered.append((rating.created_at, rating.reply_id, assigned, rating))
    ordered.sort(key=lambda entry: entry[:2])
    return [
        ArmVote(assigned, rating.rater, rating.value, order)
        for order, (_, _, assigned, rating) in enumerate(ordered)
    ]


def _votes(home: Path, trial: Trial) -> list[ArmVote]:
    with FeedbackStore.open_home(home, create=False) as store:
        return votes_of(store, trial)


def _course(votes: list[ArmVote], policy: LivePolicy) -> dict[str, Any]:
    """The interval after each counted vote, at most POINTS of them, for a plot."""
    course = sequential_test.course(votes, policy)
    known = [i for i in range(len(course.low)) if math.isfinite(course.difference[i])]
    kept = [known[round(i * (len(known) - 1) / (POINTS - 1))] for i in range(POINTS)] if known else []
    kept = sorted(set(kept))
    return {
        "votes": [i + 1 for i in kept],
        **{
            name: [round(float(getattr(course, name)[i]), 4) for i in kept]
            for name in ("difference", "low", "high")
        },
    }


def main(arguments: list[str]) -> None:
    """Show, follow, start or stop the live comparison of a home."""
    parser = argparse.ArgumentParser(
        prog="python -m alignment trial",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=("status", "follow", "start", "stop"))
    parser.add_argument(
        "version", nargs="?", help="with start: a version that the gate promoted or leaves to people"
    )
    parser.add_argument(
        "--share", type=float, help="of conversations, above 0 and below 1; the policy's if left out"
    )
    parser.add_argument("--policy", type=Path, help="YAML; defaults if left out")
    parser.add_argument("--home", type=Path, default=default_home(), help="folder of feedback and versions")
    options = parser.parse_args(arguments)
    policy = read_policy(options.policy) if options.policy else Policy()
    if options.action == "start":
        if options.version is None:
            parser.error("start needs a version, such as v3")
        share = policy.cycle.share if options.share is None else options.share
        trial = start(options.home, options.version, share)
        emit(Event.of("live_started", candidate=trial.candidate, released=trial.released, share=trial.share))
        return
    if options.action == "follow":
        emit(follow(options.home, policy.live) or Event.of("live_none"))
        return
    if options.action == "stop":
        emit(stop(options.home, policy.live) or Event.of("live_none"))
        return
    under_way = live_comparison.read(options.home)
    emit(status(options.home, under_way, policy.live) if under_way else Event.of("live_none"))

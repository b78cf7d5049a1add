"""The end of a cycle: each candidate is compared with the released version, and the best promoted one is released."""

import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from alignment.corrections.own_wordings import Wordings, read_wordings, unused
from alignment.cycle import candidates, cycle_state
from alignment.cycle.cycle_state import Journal
from alignment.cycle.probing import Probes
from alignment.data import served_ids
from alignment.data.judgements import judgement_of_pair, judgement_of_thumb
from alignment.data.splits import half_of, is_held_out
from alignment.data.token_pairs import pairs_of_store
from alignment.errors import explain
from alignment.evaluation import comparison, comparison_report, gate
from alignment.evaluation.comparison import VersionComparison
from alignment.evaluation.evaluation_set import EvaluationSet, evaluation_set
from alignment.evaluation.held_out_judgements import held_out_judgements, is_readable, without_corrections
from alignment.evaluation.release_policy import Policy
from alignment.event_output import emit
from alignment.live import live_run
from alignment.scoring import judging
from alignment.scoring.judging import JudgeMeasure
from assistant.admin import cycle_records
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.registry import live_comparison
from assistant.registry.versions import Version, Versions
from assistant.serving.loading import load_tokenizer
from feedback_store.rows import snapshot


def decide(home: Path, policy: Policy, earlier: list[Journal], journal: Journal) -> list[dict[str, Any]]:
    """Compare each candidate with the released version and let the gate decide. Every comparison counts as a look.

    A candidate that cannot be compared is noted with the reason, and is not promoted.
    """
    versions = Versions(home)
    released = versions.open(journal.state["released"])
    questions = _questions(home, policy, released, journal)
    wordings = own_wordings(policy, home)
    rows = snapshot.load(journal.whole)
    probes = Probes.of_snapshot(rows, policy.gate.minimum_probes, wordings, journal.folder)
    if (note := unused(wordings, probes.corrections)) is not None:
        journal.note(note)
    judges = _measured_judges(home, released, journal)
    looks = cycle_state.looks(earlier, released.id)
    decisions: list[dict[str, Any]] = []
    for candidate in journal.state["candidates"]:
        if not candidates.is_ours(versions, candidate["version"], candidate["stage"], journal):
            journal.note(Event.of("candidate_gone", version=candidate["version"]))
            continue
        version = versions.open(candidate["version"])
        recorded = version.manifest.gate
        if recorded is not None and recorded.get("cycle") == journal.number:
            # The cycle was killed after the gate had decided, perhaps under an earlier release of this program.
            decisions.append(recorded)
            continue
        try:
            # PPO learned from the first judge's scores. The starter has right answers instead: there, only PPO, which
            # learned from the other half alone, is measured by what the second judge says.
            learned = candidate["stage"] == "ppo"
            chosen = judges.chosen(only_b=learned or questions.of_starter)
            compared = comparison.compare(
                version,
                released,
                home,
                questions,
                judges=chosen.versions,
                judges_decide=chosen.sure and (learned or not questions.of_starter),
                cache=journal.folder,
                more=partial(probes.measures, version.id),
            )
            decision = gate.decide(
                compared.candidate,
                compared.released,
                comparison.with_margins(policy.gate, questions.of_starter),
                looks + len(decisions) + 1,
            )
        except Exception as error:
            candidates.note_failure(
                journal,
                Event.of("candidate_not_compared", version=version.id, why=explain(error)),
                error,
            )
            continue
        content = _recorded(journal, compared, decision)
        # A cycle that is discarded before this step ends has looked all the same.
        journal.save(looked=[*journal.state.get("looked", []), {"released": decision.released}])
        versions.record_gate(version.id, content)
        emit(decision.event(), *(reason.event for reason in decision.reasons))
        decisions.append(content)
    return decisions


def own_wordings(policy: Policy, home: Path) -> Wordings:
    """The further wordings that a policy names; none without a file. Raises DataError."""
    if not policy.evaluate.wordings:
        return {}
    path = Path(policy.evaluate.wordings)
    return read_wordings(path if path.is_absolute() else home / path)


def _questions(home: Path, policy: Policy, released: Version, journal: Journal) -> EvaluationSet:
    """What every candidate and the released version are compared on: tasks, people's prompts, held-out votes."""
    rows = snapshot.load(journal.whole)
    base = released.manifest.base
    questions = evaluation_set(policy.evaluate, journal.number, home, base, rows.rows("prompt"))
    tokenizer = load_tokenizer(base, home)
    thumbs = [row for row in rows.rows("unpaired") if is_held_out(row.messages)]
    pairs = [row for row in without_corrections(rows.rows("preference")) if is_held_out(row.messages)]
    read_thumbs, read_pairs = served_ids.with_token_ids(thumbs, tokenizer), pairs_of_store(pairs, tokenizer)
    given, read = len(thumbs) + len(pairs), len(read_thumbs) + len(read_pairs)
    if read < given:
        journal.note(Event.of("held_out_votes_refused", count=given - read, of=given))
    return replace(questions, judgements=held_out_judgements(read_pairs, read_thumbs))


@dataclass(frozen=True)
class ChosenJudges:
    """The judges of one candidate, and whether they are together surely better than chance."""

    versions: list[Version]
    sure: bool


@dataclass(frozen=True)
class MeasuredJudges:
    """A cycle's reward models, each with what it is known to judge rightly."""

    judges: list[tuple[Version, JudgeMeasure]]

    def chosen(self, *, only_b: bool) -> ChosenJudges:
        """The judges that may judge; if they are not surely better than chance, their wins decide nothing."""
        allowed = [(judge, known) for judge, known in self.judges if known.half == "b" or not only_b]
        return ChosenJudges(
            [judge for judge, _ in allowed], judging.are_sure([known for _, known in allowed])
        )


def _measured_judges(home: Path, released: Version, journal: Journal) -> MeasuredJudges:
    """Measure the cycle's reward models on judgements that they have not seen, and keep the figures for the report."""
    versions, rows = Versions(home), snapshot.load(journal.whole)
    existing = candidates.existing_judges(home, journal)
    if not existing:
        return MeasuredJudges([])
    tokenizer = load_tokenizer(released.manifest.base, home)
    pairs = pairs_of_store(rows.rows("preference"), tokenizer)
    in_pairs = {reply for pair in pairs for reply in pair.replies}
    thumbs = served_ids.with_token_ids(
        (row for row in rows.rows("unpaired") if row.reply_id not in in_pairs), tokenizer
    )
    complete = [row for row in thumbs if is_readable(row)]
    judgements = [*map(judgement_of_pair, pairs), *map(judgement_of_thumb, complete)]
    judges = []
    for half, version in existing.items():
        judge = versions.open(version)
        unseen = [row for row in judgements if half_of(row.messages) != half]
        try:
            judges.append((judge, judging.measure(judge, home, unseen)))
        except Exception as error:
            note = Event.of("judge_not_measured", version=version, why=explain(error))
            candidates.note_failure(journal, note, error)
    known = [measure for _, measure in judges]
    p = judging.p_of_chance(known)
    journal.save(
        judge_measures=[asdict(measure) for measure in known],
        judges_together={"p": p, "sure": p <= judging.SURE},
    )
    return MeasuredJudges(judges)


def _recorded(journal: Journal, compared: VersionComparison, decision: gate.Decision) -> dict[str, Any]:
    """Keep a comparison in the cycle's folder, and its notes; the gate's decision as manifest and state hold it."""
    for note in compared.notes:
        journal.note(note)
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
    recorded: dict[str, Any] = json.loads(json.dumps(content))
    return recorded


def release(home: Path, policy: Policy, journal: Journal) -> dict[str, Any]:
    """Do with the best promoted candidate what the policy says; if there is none, with one that is left to people."""

    def nothing(why: Event, **more: str) -> dict[str, Any]:
        return {"what": "nothing", **more, "why": describe(why), "event": why.content()}

    promoted = [decision for decision in journal.state["decisions"] if decision["verdict"] == "promote"]
    left = [
        decision for decision in journal.state["decisions"] if live_comparison.is_left_to_people(decision)
    ]
    if not promoted and not (left and policy.cycle.undecided == "trial"):
        return nothing(Event.of("none_promoted_but_left" if left else "none_promoted"))
    best = min(promoted or left, key=_chance)
    versions, chosen, old = Versions(home), best["candidate"], journal.state["released"]
    how = policy.cycle.release if promoted else policy.cycle.undecided
    if _was_given_out(versions, chosen, journal):
        # The cycle was killed after it had acted and before it wrote that down; people may have rejected it since.
        return {"what": how, "version": chosen}
    if versions.released() != old:
        other = str(versions.released())
        why = Event.of("released_meanwhile", other=other, version=chosen, released=old)
        return nothing(why, version=chosen)
    if how == "by hand":
        return {**nothing(Event.of("release_by_hand", version=chosen), version=chosen), "what": "by hand"}
    if how == "trial":
        if not promoted:
            journal.note(Event.of("left_to_people", version=chosen))
        live_run.start(home, chosen, policy.cycle.share)
    else:
        versions.release(chosen, Event.of("released_by_cycle", number=journal.number, released=old))
    return {"what": how, "version": chosen}


def _was_given_out(versions: Versions, candidate: str, journal: Journal) -> bool:
    """Whether a candidate has been released or in a live comparison since its cycle began, whatever came of it."""
    if (under_way := live_comparison.read(versions.home)) is not None and under_way.candidate == candidate:
        return True
    trials = [(record["candidate"], record["started"]) for record in cycle_records.trials(versions.home)]
    releases = [(entry["version"], entry.get("at", "")) for entry in versions.history()]
    # An id from before may be another version's: older homes gave those of deleted versions again.
    began = journal.state.get("began", "")
    return any(version == candidate and str(at) >= began for version, at in [*trials, *releases])


def _chance(decision: dict[str, Any]) -> float:
    """The smallest probability that one of a candidate's primary measures is better by luck alone."""
    chances = [reason["p"] for reason in decision["reasons"] if reason["p"] is not None]
    return min(chances, default=1.0)

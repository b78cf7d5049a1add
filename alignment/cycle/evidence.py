"""What could show that a candidate is better: counted before a cycle spends its time on one that must be held."""

from alignment.data.matched_pairs import matched_pairs
from alignment.evaluation.evaluation_set import is_of_starter
from alignment.evaluation.held_out_judgements import is_readable, without_corrections
from alignment.evaluation.release_policy import Policy
from assistant.admin.cycle_rule import CandidatePlan
from assistant.bases.base import Base
from assistant.events.event import Event
from feedback_store import FeedbackStore, rows


def lack_of_evidence(store: FeedbackStore, policy: Policy, plan: CandidatePlan, base: Base) -> Event | None:
    """What is there, and what it would take, where nothing can show yet that a candidate is better; else None.

    The starter's tasks can always show it, and a suite of the owner's; of another model people's held-out votes,
    corrections that are asked again, or reward models, as far as they turn out to judge better than chance.
    """
    if policy.evaluate.suite or is_of_starter(policy.evaluate, base):
        return None
    if plan.whole.corrections >= policy.gate.minimum_probes or plan.missing(policy.cycle)["reward"] is None:
        return None
    prompts = _prompts_with_votes(store, policy)
    if prompts >= policy.gate.minimum_prompts:
        return None
    return Event.of(
        "people_would_decide" if policy.cycle.undecided == "trial" else "nothing_could_decide",
        prompts=prompts,
        needed_prompts=policy.gate.minimum_prompts,
        corrections=plan.whole.corrections,
        needed_corrections=policy.gate.minimum_probes,
        judgements=plan.whole.thumbs + plan.whole.pairs,
        needed_judgements=policy.cycle.minimum_judgements,
    )


def _prompts_with_votes(store: FeedbackStore, policy: Policy) -> int:
    """On how many held-out prompts a candidate can be compared with people's votes."""
    pairs = [
        pair for pair in without_corrections(rows.preferences(store, policy.rules)) if rows.held_out(pair)
    ]
    paired = {side.reply_id for pair in pairs for side in (pair.chosen, pair.rejected)}
    thumbs = [
        row
        for row in rows.unpaired_rows(store, rules=policy.rules)
        if rows.held_out(row) and is_readable(row) and row.reply_id not in paired
    ]
    matched = matched_pairs(
        [(rows.normal_prompt(pair.messages), pair.chosen, pair.rejected) for pair in pairs],
        [(rows.normal_prompt(row.messages), row, row.label) for row in thumbs],
    )
    return len({pair.unit for pair in matched})

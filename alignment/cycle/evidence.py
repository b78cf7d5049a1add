"""What could show that a candidate is better: counted before a cycle spends its time on one that must be held."""

from alignment.data.matched_pairs import matched_pairs
from alignment.evaluation.evaluation_set import is_of_starter
from alignment.evaluation.held_out_judgements import is_readable, without_corrections
from alignment.evaluation.release_policy import Policy
from assistant.admin.cycle_rule import CandidatePlan
from assistant.bases.base import Base
from assistant.events.event import Event
from feedback_store import FeedbackStore, rows


def what_could_decide(store: FeedbackStore, policy: Policy, plan: CandidatePlan, base: Base) -> Event:
    """What could show that a candidate is better; where nothing can yet, what is there and what it would take.

    The starter's tasks can always show it, and a suite of the owner's; of another model people's held-out votes,
    corrections that are asked again, or reward models, as far as they turn out to judge better than chance.
    """
    prompts, corrections = _prompts_with_votes(store, policy), plan.whole.corrections
    means = []
    if policy.evaluate.suite:
        means.append(Event.of("means_suite"))
    elif is_of_starter(policy.evaluate, base):
        means.append(Event.of("means_starter_tasks"))
    if corrections >= policy.gate.minimum_probes:
        means.append(Event.of("means_corrections", count=corrections))
    if prompts >= policy.gate.minimum_prompts:
        means.append(Event.of("means_held_out_votes", count=prompts))
    if plan.missing(policy.cycle)["reward"] is None:
        means.append(Event.of("means_reward_models"))
    if means:
        return Event.of("could_decide", means=means)
    return Event.of(
        "people_would_decide" if policy.cycle.undecided == "trial" else "nothing_could_decide",
        prompts=prompts,
        needed_prompts=policy.gate.minimum_prompts,
        corrections=corrections,
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

"""`evaluate VERSION --against VERSION`: what a cycle measures, by hand. It decides nothing and uses up no look."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from alignment.data import served_ids, token_pairs
from alignment.data.splits import is_held_out
from alignment.evaluation import comparison, comparison_report
from alignment.evaluation.answers import Judgement, questions
from alignment.evaluation.gate import decide
from alignment.evaluation.release_policy import Policy, read_policy
from assistant.registry.versions import Version, Versions, write_atomically
from assistant.serving.loading import load_tokenizer
from feedback_store import FeedbackStore, rows
from feedback_store.database.home import has_store


def main(candidate: Version, options: argparse.Namespace) -> None:
    """Compare, print the table and what the gate would say, write JSON and a plot to HOME/evaluations."""
    policy = read_policy(options.policy) if options.policy else Policy()
    released = Versions(options.home).open(options.against)
    prompts, judged = from_store(options.home, candidate)
    asked = replace(questions(policy.evaluate, options.seed, options.home, prompts), judgements=judged)
    found = comparison.compare(candidate, released, options.home, asked, policy.evaluate)
    decision = decide(found.candidate, found.released, comparison.with_margins(policy.gate), looks=1)
    print(comparison_report.table(found))
    print(f"\nAt a first look the gate would say: {decision.text()}")
    output = options.output or options.home / "evaluations" / f"{candidate.id}-against-{released.id}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    content = {**comparison_report.content(found), "seed": options.seed, "decision": asdict(decision)}
    write_atomically(output, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
    comparison_report.plot(found, output.with_suffix(".png"))
    print(f"written to {output}")


def from_store(home: Path, version: Version) -> tuple[list[Any], list[Judgement]]:
    """What people asked and consented to, and how they judged what is held out, where the home has a store."""
    if not has_store(home):
        return [], []
    tokenizer = load_tokenizer(version.manifest.base, home)
    with FeedbackStore.open_home(home, create=False) as store:
        found = token_pairs.pairs_of_store(rows.preferences(store), tokenizer)
        return rows.prompts(store), judgements(
            found, served_ids.with_token_ids(rows.from_store(store), tokenizer)
        )


def judgements(pairs: Sequence[Any], thumbs: Sequence[Any]) -> list[Judgement]:
    """Held-out votes: `alignment.data.token_pairs.TokenPair`s, and `UnpairedRow`s of replies that are in no pair."""
    heard = {reply for pair in pairs for reply in pair.replies}
    found = [
        Judgement(pair.prompt_ids, pair.chosen_ids, pair.rejected_ids)
        for pair in pairs
        if is_held_out(pair.messages) and pair.chosen_ids and pair.rejected_ids
    ]
    return found + [
        Judgement(list(row.prompt_ids), list(row.completion_ids), liked=row.label)
        for row in thumbs
        if is_held_out(row.messages) and row.completion_ids and row.reply_id not in heard
    ]

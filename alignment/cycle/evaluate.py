"""How often a version is right: verifiable tasks, by kind, language and thinking mode, with 95 % intervals.

    python -m alignment evaluate v1 --home DIR              # the starter's suite, of a version of the starter
    python -m alignment evaluate v1 --home DIR --base       # its base without the adapter, which continues text
    python -m alignment evaluate v1 --home DIR --suite FILE # tasks of your own
    python -m alignment evaluate v2 --against v1 --home DIR # both on the same prompts, as the gate compares them,
                                                            # and people's corrections asked again
    python -m alignment evaluate v2 --against v1 --corrections --home DIR  # these alone, which is sooner done

The starter's suite holds tasks whose operands and phrasings training never saw. Answers are drawn greedily unless
--temperature is given. Intervals are Wilson's.
"""

import argparse
import json
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from alignment.corrections.own_wordings import unused
from alignment.cycle import probing
from alignment.cycle.decisions import own_wordings
from alignment.cycle.probing import Probes
from alignment.errors import DataError
from alignment.evaluation import comparison, comparison_report
from alignment.evaluation.answering import answer, with_scores
from alignment.evaluation.evaluation_set import evaluation_set, score_with
from alignment.evaluation.gate import decide
from alignment.evaluation.held_out_judgements import from_store
from alignment.evaluation.release_policy import Policy, read_policy
from alignment.evaluation.shares import Cell, any_correct, cells, overall, table
from alignment.event_output import emit, writes_json
from alignment.suites.starter_suite import select_tasks, starter_kinds
from alignment.suites.task_file import read_tasks
from assistant.admin.plain_words import in_words
from assistant.bases.base import STARTER
from assistant.events.event import Event
from assistant.registry.first_version import add_first_version
from assistant.registry.versions import Version, Versions, now
from assistant.serving.loading import load_for_serving
from assistant.settings import default_home, default_model
from feedback_store import FeedbackStore, rows
from feedback_store.atomic_files import write_atomically
from feedback_store.database.store_location import has_store


def main(arguments: list[str]) -> None:
    """Evaluate a version, or compare it with another; prints a table and writes JSON to HOME/evaluations."""
    options = _parser().parse_args(arguments)
    if options.samples > 1 and options.temperature == 0:
        raise DataError("Greedy answers do not vary. Give --temperature above 0 with --samples.")
    if options.wordings is not None and options.against is None:
        raise DataError("Corrections are asked again where two versions are compared. Give --against.")
    if options.corrections and options.against is None:
        raise DataError("Corrections are asked again of two versions. Give --against.")
    versions = Versions(options.home)
    # A home that nobody has opened yet gets the version that the app begins with.
    if not versions.ids() and options.version == versions.next_id():
        add_first_version(versions, default_model())
    version = versions.open(options.version)
    if options.against is None:
        _evaluate(version, options)
    elif options.corrections:
        _ask_again(version, versions.open(options.against), options)
    else:
        _compare(version, versions.open(options.against), options)


def _evaluate(version: Version, options: argparse.Namespace) -> None:
    base = version.manifest.base.name
    if options.suite is None and not options.kinds and base != STARTER:
        raise DataError(
            f"{version.id} stands on {base}, and the starter's tasks say little of another model. Give tasks with "
            "--suite FILE, compare two versions with --against VERSION, or choose some of the starter's with --kinds."
        )
    tasks = (
        read_tasks(options.suite)
        if options.suite
        else select_tasks(options.kinds or starter_kinds(), options.each, options.seed)
    )
    if options.base:
        version = replace(version, manifest=replace(version.manifest, adapter=False))
    loaded = load_for_serving(version, options.home)
    modes = {"on": [True], "off": [False], "both": [True, False]}[options.thinking]
    rounds = [
        [
            evaluated
            for think in modes
            for evaluated in with_scores(
                answer(loaded, tasks, think, temperature=options.temperature, seed=options.seed + number),
                partial(score_with, options.home),
            )
        ]
        for number in range(options.samples)
    ]
    shares: list[Cell] = cells(rounds[0]) + overall(rounds[0])
    if options.samples > 1:
        shares += any_correct(rounds)
    print(table(shares))
    content = {
        "version": version.id,
        "base": options.base,
        "seed": options.seed,
        "temperature": options.temperature,
        "cells": [{**asdict(cell), "share": cell.share} for cell in shares],
    }
    _write(content, options, f"{version.id}{'-base' * options.base}", indent=2)


def _ask_again(candidate: Version, released: Version, options: argparse.Namespace) -> None:
    """Ask both versions people's corrections again, and nothing else. Raises DataError if there are none."""
    probes, unasked = _probes(_policy(options), options.home)
    if not probes.corrections:
        raise DataError(f"There are no corrections in {options.home} to ask again.")
    if not writes_json():
        count = len(probes.corrections)
        print(f"asking {count} correction{'s' * (count != 1)} again, each in several wordings", flush=True)
    probes.ask(candidate.id, *(load_for_serving(version, options.home) for version in (candidate, released)))
    _show(probes, candidate.id, released.id)
    emit(*unasked)
    content = _asked_again(probes, candidate, released)
    _write(content, options, f"{candidate.id}-against-{released.id}-corrections", indent=1)


def _policy(options: argparse.Namespace) -> Policy:
    policy = read_policy(options.policy) if options.policy else Policy()
    if options.wordings is not None:
        policy = replace(policy, evaluate=replace(policy.evaluate, wordings=str(options.wordings.absolute())))
    if options.suite is not None:
        policy = replace(policy, evaluate=replace(policy.evaluate, suite=str(options.suite.absolute())))
    return policy


def _asked_again(probes: Probes, candidate: Version, released: Version) -> dict[str, Any]:
    """What `cycle_records.asked_again` reads."""
    return {
        "asked_again": {"at": now(), "candidate": candidate.id, "released": released.id},
        "probes": [{"fate": one.fate, **one.content()} for one in probes.found],
    }


def _show(probes: Probes, candidate: str, released: str) -> None:
    print()
    emit(probing.summary(probes.found, candidate, released))
    if not writes_json():
        print(f"\n{probing.table(probes.found, candidate, released)}\n")


def _compare(candidate: Version, released: Version, options: argparse.Namespace) -> None:
    """Compare as a cycle does. It decides nothing, and does not count as one of the gate's looks."""
    policy = _policy(options)
    probes, unasked = _probes(policy, options.home)
    prompts, judgements = from_store(options.home, candidate)
    inputs = evaluation_set(policy.evaluate, options.seed, options.home, released.manifest.base, prompts)
    compared = comparison.compare(
        candidate,
        released,
        options.home,
        replace(inputs, judgements=judgements),
        more=partial(probes.measures, candidate.id),
    )
    margins = comparison.with_margins(policy.gate, inputs.of_starter)
    decision = decide(compared.candidate, compared.released, margins, looks=1)
    print(comparison_report.table(compared))
    print()
    reasons = [reason.event for reason in decision.reasons]
    emit(Event.of("gate_at_first_look", decision=decision.event(), reasons=reasons), *compared.notes)
    emit(in_words(asdict(decision)))
    if probes.found:
        _show(probes, candidate.id, released.id)
    emit(*unasked)
    content = {
        **comparison_report.content(compared),
        "seed": options.seed,
        "decision": asdict(decision),
        **_asked_again(probes, candidate, released),
    }
    output = _write(content, options, f"{candidate.id}-against-{released.id}", indent=1, tell=False)
    comparison_report.plot(compared, output.with_suffix(".png"))
    print(f"written to {output}")


def _probes(policy: Policy, home: Path) -> tuple[Probes, list[Event]]:
    """The corrections and liked replies of the store, and what of a file of wordings belongs to none of them."""
    wordings = own_wordings(policy, home)
    pairs, thumbs = [], []
    if has_store(home):
        with FeedbackStore.open_home(home, create=False) as store:
            pairs, thumbs = (
                rows.preferences(store, policy.rules),
                rows.unpaired_rows(store, rules=policy.rules),
            )
    probes = Probes(pairs, thumbs, policy.gate.minimum_probes, wordings)
    note = unused(wordings, probes.corrections)
    return probes, [] if note is None else [note]


def _write(
    content: dict[str, Any], options: argparse.Namespace, name: str, indent: int, tell: bool = True
) -> Path:
    output: Path = options.output or options.home / "evaluations" / f"{name}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, json.dumps(content, ensure_ascii=False, indent=indent) + "\n")
    if tell:
        print(f"written to {output}")
    return output


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m alignment evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("version", help="for example v1")
    parser.add_argument("--home", type=Path, default=default_home(), help="folder of feedback and versions")
    parser.add_argument(
        "--suite", type=Path, help="JSON Lines of tasks; for the starter, its own suite if left out"
    )
    parser.add_argument(
        "--kinds", nargs="+", metavar="KIND", help="kinds of the starter's tasks; all if left out"
    )
    parser.add_argument("--each", type=int, default=500, help="tasks of each kind and language")
    parser.add_argument("--thinking", choices=("on", "off", "both"), default="both")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    parser.add_argument(
        "--samples", type=int, default=1, help="answers a task: adds the share that any got right"
    )
    parser.add_argument("--seed", type=int, default=1, help="another seed takes other tasks of the suite")
    parser.add_argument("--base", action="store_true", help="leave the adapter off: the base alone")
    parser.add_argument(
        "--against",
        metavar="VERSION",
        help="compare with this version, on what a cycle asks, but without its reward models",
    )
    parser.add_argument("--policy", type=Path, help="with --against: what is asked, and the gate's margins")
    parser.add_argument(
        "--wordings",
        type=Path,
        metavar="FILE",
        help="with --against: JSON Lines of further wordings in which corrections are asked again",
    )
    parser.add_argument(
        "--corrections",
        action="store_true",
        help="with --against: ask people's corrections again, and nothing else",
    )
    parser.add_argument("--output", type=Path, help="JSON file; HOME/evaluations/VERSION.json if left out")
    return parser

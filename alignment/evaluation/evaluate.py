"""How often a version is right: verifiable tasks, by kind, language and thinking mode, with 95 % intervals.

    python -m alignment evaluate v1 --home DIR
    python -m alignment evaluate v1 --home DIR --base       # its base without the adapter, which continues text
    python -m alignment evaluate v2 --against v1 --home DIR # both on the same prompts, as the gate compares them

The embedded suite asks what training never saw: operands and phrasings on the "test" side of their hash. Answers
are drawn greedily unless --temperature is given. Intervals are Wilson's, from SciPy.
"""

import argparse
import itertools
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from scipy.stats import binomtest
from tqdm import tqdm

from alignment.errors import DataError
from alignment.starter import arithmetic, days, persona, word_problems
from alignment.starter.check import check, refuses
from alignment.starter.corpus import task
from alignment.starter.task import LANGUAGES, Task
from assistant.registry.first_version import add_first_version
from assistant.registry.versions import STARTER, Versions, write_atomically
from assistant.serving import prompt
from assistant.serving.loading import Loaded, load_for_serving
from assistant.settings import default_home

OVERALL, DOMAIN = "all kinds", "all of the domain"
KINDS = (*arithmetic.KINDS, *word_problems.KINDS, *days.KINDS, "concept", *persona.KINDS, "outside")
BATCH = 128


@dataclass(frozen=True)
class Answered:
    """One task with what the model said to it."""

    task: Task
    think: bool
    thought: str
    answer: str
    ended: bool
    """The model said END before the limit."""
    correct: bool
    has_unit: bool | None
    refused: bool
    """The answer says that the question is outside the domain."""
    asks: bool
    """What was said begins with a question of its own, as a text that goes on with more questions does."""


@dataclass(frozen=True)
class Cell:
    """A share with its 95 % interval."""

    kind: str
    language: str
    think: bool
    measure: str
    """ "correct", "ended", "unit", "refused" or "asks"."""
    count: int
    of: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Between 0 and 1."""
        return self.count / self.of


def suite(kinds: Sequence[str], each: int, seed: int) -> Iterator[Task]:
    """`each` held-out tasks of every kind and language."""
    for kind, language in itertools.product(kinds, LANGUAGES):
        rng = random.Random(f"suite {seed} {kind} {language}")
        for _ in range(each):
            yield task(rng, language, kind, "test")


def read_suite(path: Path) -> list[Task]:
    """Tasks from JSON Lines with a Task's fields. Raises DataError where a line is none, or has no answer to find."""
    tasks = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The suite {path} cannot be read: {error}.") from error
    for number, line in enumerate(lines, 1):
        try:
            raw = json.loads(line)
            one = Task(**{**raw, "messages": tuple(raw["messages"])})
            tells = check(one, one.answer).correct and not check(one, "").correct
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise DataError(
                f"{path}, line {number}: no task ({error!r}). Expected a task's fields as JSON."
            ) from error
        if not tells:
            raise DataError(
                f"{path}, line {number}: its checker cannot tell right from wrong, because the task's own answer "
                f"{one.answer!r} is not right by it, or an empty one is. Correct `answer` and `expected`."
            )
        tasks.append(one)
    if not tasks:
        raise DataError(f"The suite {path} holds no tasks.")
    return tasks


def answer(
    loaded: Loaded,
    tasks: Sequence[Task],
    think: bool,
    max_new_tokens: int = 400,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[Answered]:
    """Ask every task once, in batches of like length; results in the order of `tasks`."""
    torch.manual_seed(seed)
    prompts = [prompt.render(loaded.tokenizer, list(one.messages), think) for one in tasks]
    order = sorted(range(len(tasks)), key=lambda i: (tasks[i].kind, len(prompts[i])))
    results: dict[int, Answered] = {}
    with tqdm(total=len(tasks), desc=f"thinking {'on' if think else 'off'}", unit="task") as progress:
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            room = loaded.window - max(len(prompts[i]) for i in batch)
            generated = _generate(loaded, [prompts[i] for i in batch], min(max_new_tokens, room), temperature)
            for index, ids in zip(batch, generated, strict=True):
                results[index] = _judge(loaded, tasks[index], think, ids)
            progress.update(len(batch))
    return [results[i] for i in range(len(tasks))]


def _generate(
    loaded: Loaded, prompts: list[list[int]], max_new_tokens: int, temperature: float
) -> list[list[int]]:
    device, pad = loaded.model.device, loaded.tokenizer.pad_token_id
    length = max(map(len, prompts))
    ids = torch.tensor([[pad] * (length - len(one)) + one for one in prompts], device=device)
    mask = torch.tensor([[0] * (length - len(one)) + [1] * len(one) for one in prompts], device=device)
    sampling: dict[str, Any] = {"do_sample": temperature > 0}
    if temperature > 0:
        sampling |= {"temperature": temperature, "top_k": 0, "top_p": 1.0}
    with torch.inference_mode():
        out = loaded.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            eos_token_id=loaded.tokenizer.eos_token_id,
            pad_token_id=pad,
            **sampling,
        )
    return [row.tolist() for row in out[:, length:]]


def _judge(loaded: Loaded, asked: Task, think: bool, ids: list[int]) -> Answered:
    end = loaded.tokenizer.eos_token_id
    ended = end in ids
    text = prompt.decode(loaded.tokenizer, ids[: ids.index(end)] if ended else ids)
    said = prompt.parse(text, think)
    checked = check(asked, said.answer)
    return Answered(
        asked,
        think,
        said.thought,
        said.answer,
        ended,
        checked.correct,
        checked.has_unit,
        refused=refuses(said.answer, asked.language),
        asks=text.strip().partition("\n")[0].endswith(("?", "？")),
    )


def cells(answered: Sequence[Answered]) -> list[Cell]:
    """Shares by kind, language and thinking mode: correct, ended, refused, asks, and unit where a task has one."""

    def key(one: Answered) -> tuple[str, str, bool]:
        return one.task.kind, one.task.language, one.think

    found = []
    for (kind, language, think), group in itertools.groupby(sorted(answered, key=key), key=key):
        rows = list(group)
        measures: dict[str, list[bool]] = {
            "correct": [row.correct for row in rows],
            "ended": [row.ended for row in rows],
            "unit": [row.has_unit for row in rows if row.has_unit is not None],
            "refused": [row.refused for row in rows if kind != "outside"],
            "asks": [row.asks for row in rows],
        }
        for measure, values in measures.items():
            if values:
                interval = binomtest(sum(values), len(values)).proportion_ci(method="wilson")
                found.append(
                    Cell(
                        kind,
                        language,
                        think,
                        measure,
                        sum(values),
                        len(values),
                        float(interval.low),
                        float(interval.high),
                    )
                )
    return found


def overall(answered: Sequence[Answered]) -> list[Cell]:
    """Over all kinds: how many replies ended or asked on, and how many questions of the domain were refused."""
    domain = [
        replace(one, task=replace(one.task, kind=DOMAIN)) for one in answered if one.task.kind != "outside"
    ]
    everything = [replace(one, task=replace(one.task, kind=OVERALL)) for one in answered]
    return [
        *(cell for cell in cells(everything) if cell.measure in ("ended", "asks")),
        *(cell for cell in cells(domain) if cell.measure == "refused"),
    ]


def any_correct(rounds: Sequence[Sequence[Answered]]) -> list[Cell]:
    """Pass@k (Chen et al. 2021), k rounds of the same tasks: the share of tasks that any round got right."""
    best = [
        replace(tries[0], correct=any(one.correct for one in tries)) for tries in zip(*rounds, strict=True)
    ]
    measure = f"pass@{len(rounds)}"
    return [replace(cell, measure=measure) for cell in cells(best) if cell.measure == "correct"]


def table(found: Sequence[Cell]) -> str:
    """One line a kind and measure; columns: language and thinking mode. Percent, with the interval.

    Of single kinds only what they get right; whether replies end and questions are refused is told of all together.
    """
    columns = [(language, think) for language in LANGUAGES for think in (True, False)]
    headings = [f"{language}, thinking {'on' if think else 'off'}" for language, think in columns]
    lines = [f"{'':<30}" + "".join(f"{heading:>22}" for heading in headings)]
    by_place = {(cell.kind, cell.measure, cell.language, cell.think): cell for cell in found}
    whole = {OVERALL, DOMAIN}
    shown = {
        (cell.kind, cell.measure)
        for cell in found
        if (cell.measure in ("ended", "refused", "asks")) == (cell.kind in whole)
    }
    for kind, measure in sorted(shown, key=lambda row: (row[0] in whole, *row)):
        line = f"{f'{kind}, {measure}':<30}"
        for language, think in columns:
            cell = by_place.get((kind, measure, language, think))
            text = f"{100 * cell.share:.1f} [{100 * cell.low:.1f}, {100 * cell.high:.1f}]" if cell else "-"
            line += f"{text:>22}"
        lines.append(line)
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Evaluate a version; prints the table and writes JSON to HOME/evaluations."""
    parser = argparse.ArgumentParser(prog="python -m alignment evaluate", description=__doc__)
    parser.add_argument("version", help="for example v1")
    parser.add_argument("--home", type=Path, default=default_home(), help="folder of feedback and versions")
    parser.add_argument("--suite", type=Path, help="JSON Lines of tasks; the embedded suite if left out")
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND", help=", ".join(KINDS)
    )
    parser.add_argument("--each", type=int, default=500, help="tasks of each kind and language")
    parser.add_argument("--thinking", choices=("on", "off", "both"), default="both")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    parser.add_argument(
        "--samples", type=int, default=1, help="answers a task: adds the share that any got right"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--base", action="store_true", help="leave the adapter off: the base alone")
    parser.add_argument("--against", metavar="VERSION", help="compare with this version, as a cycle does")
    parser.add_argument("--policy", type=Path, help="with --against: what is asked, and the gate's margins")
    parser.add_argument("--output", type=Path, help="JSON file; HOME/evaluations/VERSION.json if left out")
    options = parser.parse_args(arguments)
    if options.samples > 1 and options.temperature == 0:
        raise DataError("Greedy answers do not vary. Give --temperature above 0 with --samples.")
    versions = Versions(options.home)
    # A home that nobody has opened yet gets the version that the app begins with.
    if not versions.ids() and options.version == versions.next_id():
        add_first_version(versions, STARTER)
    version = versions.open(options.version)
    if options.against is not None:
        # Imported late: it builds on this module.
        from alignment.evaluation import compare_command

        compare_command.main(version, options)
        return
    tasks = (
        read_suite(options.suite) if options.suite else list(suite(options.kinds, options.each, options.seed))
    )
    if options.base:
        version = replace(version, manifest=replace(version.manifest, adapter=False))
    loaded = load_for_serving(version, options.home)
    modes = {"on": [True], "off": [False], "both": [True, False]}[options.thinking]
    rounds = [
        [
            row
            for think in modes
            for row in answer(
                loaded, tasks, think, temperature=options.temperature, seed=options.seed + number
            )
        ]
        for number in range(options.samples)
    ]
    found = cells(rounds[0]) + overall(rounds[0]) + (any_correct(rounds) if options.samples > 1 else [])
    print(table(found))
    content = {
        "version": version.id,
        "base": options.base,
        "seed": options.seed,
        "temperature": options.temperature,
        "cells": [{**asdict(cell), "share": cell.share} for cell in found],
    }
    output = options.output or options.home / "evaluations" / f"{version.id}{'-base' * options.base}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
    print(f"written to {output}")

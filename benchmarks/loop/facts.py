"""Correct ten facts that a model gets wrong, and count what it then knows in other words and what it has forgotten.

    python -m benchmarks.loop.facts [--seeds 1,2,3] [--rounds 5] [--last] [--mixing 1,0.9] [--plot facts.svg]

For each seed: ten facts that SmolLM2 gets wrong in every wording are corrected once each, in one wording, as on the
page; 60 facts that it gets right are remembered. Then `correct` trains, and beside it, on the same corrections, plain
`sft` without anchors; --methods has more. Every further round corrects four other facts and trains again, with all
corrections so far. A fact is right if the first sentence of the greedy answer names it. --folder keeps a home for each
seed and method, and what was done: the same command goes on after an interruption, and with more --rounds it adds to
them.

Every run of `correct` learns all corrections that there are, from the version before them. So what the last round's
version knows does not depend on the rounds before it: with --last, it alone is trained. --mixing measures each version
with several shares of what training changed, and not with the one that the stage keeps by default.
"""

import argparse
import itertools
import json
import random
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from alignment.__main__ import main as alignment
from alignment.corrections.anchors import greedy_answers
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.serving import prompt
from assistant.serving.loading import Loaded, load_for_serving, quiet_libraries
from benchmarks.loop.repeated_cycles import Rounds
from feedback_store import FeedbackStore, NewReply

FACTS = Path(__file__).with_name("facts.jsonl")
WORDINGS = {
    "capital": (
        "What is the capital of {name}?",
        "Which city is the capital of {name}?",
        "Name the capital city of {name}.",
        "{Name}: what is its capital?",
    ),
    "symbol": (
        "What is the chemical symbol for {name}?",
        "Which symbol stands for {name} in the periodic table?",
        "Name the chemical symbol of the element {name}.",
        "How is {name} abbreviated in chemistry?",
    ),
    "author": (
        "Who wrote {name}?",
        "Who is the author of {name}?",
        "Name the writer of {name}.",
        "{Name} was written by whom?",
    ),
    "currency": (
        "What is the currency of {name}?",
        "Which currency is used in {name}?",
        "Name the currency of {name}.",
        "{Name}: what is its currency?",
    ),
}
"""By relation; the first is typed when a fact is corrected, the others nobody types. SmolLM2 understands all of them.
Asked about "the money that people use in" a country, it was right about 1 of 22, and about 16 asked for the currency:
what it does not understand says nothing of what it has learned."""
CORRECTIONS = {
    "capital": "The capital of {name} is {answer}.",
    "symbol": "The chemical symbol for {name} is {answer}.",
    "author": "{Name} was written by {answer}.",
    "currency": "The currency of {name} is the {answer}.",
}
CORRECTED, LATER, KEPT = 10, 4, 60
METHODS = {
    "correct": [],
    "plain": ["--anchor_weight=0", "--min_steps=24", "--mixing=1"],
    "stacked": ["--on_top", "--mixing=1"],
}
"""Flags of each method. Plain supervised fine-tuning is the same stage without anchors, and half as long; "stacked"
continues what learned the earlier corrections."""


@dataclass(frozen=True)
class Fact:
    """What is asked about, and the ways to write the answer, the best first."""

    relation: str
    subject: str
    answers: tuple[str, ...]

    def asked(self, wording: int) -> str:
        return self._filled(WORDINGS[self.relation][wording])

    def corrected(self) -> str:
        return self._filled(CORRECTIONS[self.relation])

    def is_right(self, answer: str) -> bool:
        """Whether the first sentence names one of the answers; chemical symbols by their case."""
        first = re.split(r"(?<=[.!?])\s|\n", answer.strip())[0]
        flags = re.NOFLAG if self.relation == "symbol" else re.IGNORECASE
        return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", first, flags) for name in self.answers)

    def _filled(self, text: str) -> str:
        upper = self.subject[0].upper() + self.subject[1:]
        return text.format(name=self.subject, Name=upper, answer=self.answers[0])


def read_facts() -> list[Fact]:
    """All facts of the file."""
    rows = map(json.loads, FACTS.read_text(encoding="utf-8").splitlines())
    return [Fact(row["relation"], row["subject"], tuple(row["answers"])) for row in rows]


def answers(loaded: Loaded, questions: Sequence[str]) -> list[str]:
    """Greedy answers, as far as their first sentences go."""
    prompts = [
        prompt.render(loaded.tokenizer, [{"role": "user", "content": text}], False) for text in questions
    ]
    return [prompt.decode(loaded.tokenizer, ids) for _, ids in greedy_answers(loaded, prompts)]


def right(loaded: Loaded, asked: Iterable[tuple[Fact, int]]) -> list[bool]:
    """Whether each fact is right in its wording."""
    asked = list(asked)
    texts = answers(loaded, [fact.asked(wording) for fact, wording in asked])
    return [fact.is_right(text) for (fact, _), text in zip(asked, texts, strict=True)]


def choose(home: Path, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Facts that are wrong in every wording, and KEPT that are right as typed, both in the seed's order."""
    facts, loaded = read_facts(), released(home)
    by_wording = [right(loaded, [(fact, wording) for fact in facts]) for wording in range(4)]
    wrong = [asdict(fact) for fact, *known in zip(facts, *by_wording, strict=True) if not any(known)]
    known = [asdict(fact) for fact, is_known in zip(facts, by_wording[0], strict=True) if is_known]
    rng = random.Random(f"facts {seed}")
    rng.shuffle(wrong)
    rng.shuffle(known)
    return {"wrong": wrong, "kept": known[:KEPT]}


def correct_on_the_page(home: Path, facts: Sequence[Fact]) -> int:
    """Store each fact's question with the released version's wrong answer, and a person's correction of it."""
    loaded, version = released(home), Versions(home).released()
    texts = answers(loaded, [fact.asked(0) for fact in facts])
    with FeedbackStore.open_home(home) as store:
        stored = store.replies([reply_id(fact) for fact in facts])
        for fact, text in zip(facts, texts, strict=True):
            if reply_id(fact) in stored:
                continue
            conversation = store.new_conversation("person 1")
            question = store.add_message(conversation, None, "user", fact.asked(0))
            messages = [{"role": "user", "content": fact.asked(0)}]
            reply = store.add_reply(
                NewReply(
                    id=reply_id(fact),
                    conversation_id=conversation,
                    parent_id=question.id,
                    thought=None,
                    answer=text,
                    think=False,
                    sampling={"temperature": 0.0},
                    seed=0,
                    version=str(version),
                    prompt_ids=prompt.render(loaded.tokenizer, messages, False),
                    completion_ids=prompt.completion(loaded.tokenizer, "", text, False),
                    finish_reason="end",
                    first_token_seconds=0.1,
                    seconds=0.2,
                    thought_seconds=None,
                )
            )
            store.correct(reply.id, "person 1", fact.corrected())
    return len(facts)


def reply_id(fact: Fact) -> str:
    """The id of the reply that is corrected."""
    return f"{fact.relation}-{fact.subject}".replace(" ", "-")


def released(home: Path) -> Loaded:
    """The home's released version, SmolLM2 itself at first."""
    return load_for_serving(version_to_serve(home, "smollm2"), home)


def train(home: Path, seed: int, flags: Sequence[str]) -> dict[str, int]:
    """Train a version on all corrections, and release it; returns its updates and the seconds they took."""
    began = time.monotonic()
    if alignment(["correct", "--home", str(home), f"--seed={seed}", *flags]):
        raise SystemExit("The stage failed; its error stands above.")
    seconds = time.monotonic() - began
    versions = Versions(home)
    version = versions.open(versions.ids()[-1])
    versions.release(version.id)
    return {"steps": int(version.manifest.metrics["steps"]), "seconds": round(seconds)}


@torch.no_grad()
def mixed(home: Path, share: float) -> Loaded:
    """The released version with `share` of what its training changed of its parent."""
    version = Versions(home).open(str(Versions(home).released()))
    loaded = load_for_serving(version, home)
    parent = load_for_serving(Versions(home).open(str(version.manifest.parent)), home)
    before = dict(parent.model.named_parameters())
    for name, weight in loaded.model.named_parameters():
        weight.copy_(torch.lerp(before[name], weight, share))
    return loaded


def measure(
    home: Path, share: float | None, first: Sequence[Fact], later: Sequence[Fact], kept: Sequence[Fact]
) -> dict[str, int]:
    """Numbers of right answers: typed wording and three others, for the first corrections and for later ones."""
    loaded = released(home) if share is None else mixed(home, share)

    def count(facts: Sequence[Fact], wordings: Sequence[int]) -> int:
        asked = [(fact, wording) for fact in facts for wording in wordings]
        found = right(loaded, asked)
        for (fact, wording), is_right in zip(asked, found, strict=True):
            if not is_right:
                print(f"  wrong: {fact.asked(wording)}", flush=True)
        return sum(found)

    return {
        "typed": count(first, (0,)),
        "other_wordings": count(first, (1, 2, 3)),
        "later_typed": count(later, (0,)) if later else 0,
        "later_other_wordings": count(later, (1, 2, 3)) if later else 0,
        "kept": count(kept, (0,)),
    }


def results_of(
    seed: int, method: str, rounds: int, home: Path, only_last: bool, mixing: Sequence[float]
) -> list[dict[str, Any]]:
    """Correct, train and release so many times, as far as it is not done; returns what each new version knows.

    With `mixing` it is trained without any, and measured with each of these.
    """
    flags = [*METHODS[method], "--mixing=1"] if mixing else METHODS[method]
    home.mkdir(parents=True, exist_ok=True)
    done = Rounds(home)
    done.do(0, "chosen", lambda: choose(home, seed))
    wrong, kept = (
        [Fact(row["relation"], row["subject"], tuple(row["answers"])) for row in done.rows[0]["chosen"][kind]]
        for kind in ("wrong", "kept")
    )
    results = []
    for number in range(1, rounds + 1):
        end = CORRECTED + (number - 1) * LATER
        first, later = wrong[:CORRECTED], wrong[CORRECTED:end]
        fresh = later[-LATER:] if later else first
        done.do(number, "corrected", partial(correct_on_the_page, home, fresh))
        if only_last and number < rounds:
            continue
        done.do(number, "trained", partial(train, home, seed, flags))
        sizes = {"corrected": len(first), "later": len(later), "remembered": len(kept)}
        shares: Sequence[float | None] = mixing or [None]
        for share in shares:
            step = "right" if share is None else f"right, mixing {share}"
            done.do(number, step, partial(measure, home, share, first, later, kept))
            row = done.rows[number]
            found = {"seed": seed, "method": method, "mixing": share, "round": number, **row[step], **sizes}
            results.append(found | row["trained"])
            print(results[-1], flush=True)
    return results


def table(results: Sequence[dict[str, Any]]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| Method | Mixing | Seed | Round | Corrected, as typed | In 3 other wordings | Later corrections | In 3 other "
        "wordings | Still right |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in results:
        later, other = (
            f"{row[name]} of {times * row['later']}" if row["later"] else "–"
            for name, times in (("later_typed", 1), ("later_other_wordings", 3))
        )
        lines.append(
            f"| {row['method']} | {row['mixing'] or 'default'} | {row['seed']} | {row['round']} | "
            f"{row['typed']} of {row['corrected']} | {row['other_wordings']} of {3 * row['corrected']} | {later} | "
            f"{other} | {row['kept']} of {row['remembered']} |"
        )
    return "\n".join(lines)


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw how many fixes hold and how many facts are kept, by round."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.5), layout="constrained")
    FigureCanvasSVG(figure)
    titles = {
        "other_wordings": ("ten corrections, in wordings nobody typed", "corrected", 3),
        "kept": ("60 facts that were right before", "remembered", 1),
    }
    for axes, (name, (title, of, times)) in zip(figure.subplots(1, 2), titles.items(), strict=True):
        for method, color in (("correct", "#1a7f37"), ("plain", "#b35900"), ("stacked", "#4a5ba8")):
            for seed in sorted({row["seed"] for row in results}):
                rows = [row for row in results if (row["method"], row["seed"]) == (method, seed)]
                shares = [100 * row[name] / (times * row[of]) for row in rows]
                if rows:
                    axes.plot([row["round"] for row in rows], shares, marker="o", color=color, label=method)
        axes.set_title(title)
        axes.set_xlabel("round of corrections")
        axes.set_ylabel("right, %")
        axes.set_ylim(0, 102)
        axes.xaxis.get_major_locator().set_params(integer=True)
        handles = {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        axes.legend(handles.values(), handles.keys(), loc="lower left")
    figure.savefig(path)


def main() -> None:
    """Run every seed that is not done yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["correct", "plain"])
    parser.add_argument("--last", action="store_true", help="train in the last round alone")
    parser.add_argument("--mixing", default="", help="shares of what training changed, by commas")
    parser.add_argument("--folder", type=Path, default=Path("build/facts"), help="of homes and results")
    parser.add_argument("--plot", type=Path, help="SVG to write")
    options = parser.parse_args()
    quiet_libraries()
    results: list[dict[str, Any]] = []
    mixing = [float(share) for share in options.mixing.split(",") if share]
    for seed, method in itertools.product(map(int, options.seeds.split(",")), options.methods):
        # Plain fine-tuning forgets at once: one round shows it.
        rounds = options.rounds if method != "plain" else 1
        name = "-".join([method, str(seed), *["last"] * options.last, *["mixing"] * bool(mixing)])
        results += results_of(seed, method, rounds, options.folder / name, options.last, mixing)
    print(table(results))
    if options.plot:
        draw(results, options.plot)


if __name__ == "__main__":
    main()

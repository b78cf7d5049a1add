"""Let people who like short, direct answers rate SmolLM2 for three cycles, and measure what the next versions write.

    python -m benchmarks.loop.taste --home HOME [--cycles 3] [--thumbs 200] [--plot taste.svg]

Twenty simulated people ask everyday questions. They like an answer that ends by itself, has at most 60 words, and does
not open with a filler ("Sure!", "Certainly"). One thumb in ten is wrong, and one person always gives the opposite
thumb. A candidate that nothing shows to be better or worse answers half of the next round's questions, and people go on
until the live comparison has decided. Before each cycle and after the last, the released version is measured: the share
of liked answers to questions about other subjects, which nobody rates, its perplexity on fixed texts, and 60 facts that
the first version knew.

HOME is a home like any other (`python app.py --home HOME`) and keeps everything. After an interruption the same command
resumes where it was; with more --cycles it adds to them.
"""

import argparse
import asyncio
import math
import random
import re
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alignment.evaluation.release_policy import LivePolicy, Policy
from alignment.evaluation.retention import surprises
from alignment.live import live_run
from alignment.suites.general_texts import general_texts
from assistant.bases.built_in_cards import SMOLLM2_CARD
from assistant.chat.chat import Chat
from assistant.chat.reply_stream import Update
from assistant.registry import live_comparison
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.llama_cpp.llama_cpp_engine import LlamaCppEngine
from assistant.serving.loading import Loaded, load_for_serving, quiet_libraries
from benchmarks.loop.facts import KEPT, Fact, read_facts, right
from benchmarks.loop.repeated_cycles import Rounds, Row, cycle, percent, plot_shares, rated_round, thumbs
from benchmarks.loop.simulated_people import People, Question, ThumbCounts, rate_answers
from feedback_store import FeedbackStore
from feedback_store.stats.intervals import wilson

WORDS = 60
"""Most words of an answer that is liked."""
FILLERS = (
    *("sure", "certainly", "of course", "absolutely", "great question", "good question", "thank you for"),
    *("i'd be happy", "i would be happy", "i'm happy", "i am happy", "i'm glad", "i'd be glad", "as an ai"),
    *("that's a great", "that is a great", "what a great", "hello", "hi"),
)
THINGS = (
    *(
        "gravity",
        "inflation",
        "photosynthesis",
        "a rainbow",
        "electricity",
        "a battery",
        "the internet",
        "an eclipse",
    ),
    *(
        "thunder",
        "yeast",
        "the moon",
        "a mortgage",
        "a vaccine",
        "recycling",
        "a glacier",
        "evolution",
        "insurance",
    ),
    *(
        "a compass",
        "the heart",
        "memory",
        "a microscope",
        "jazz",
        "democracy",
        "rust",
        "a virus",
        "steel",
        "salt",
    ),
    *(
        "a tsunami",
        "caffeine",
        "glass",
        "a black hole",
        "chess",
        "cement",
        "soap",
        "wind power",
        "a satellite",
    ),
)
TASKS = (
    *(
        "boil an egg",
        "fall asleep faster",
        "remove a coffee stain",
        "learn a language",
        "save money",
        "tie a tie",
    ),
    *(
        "clean a window",
        "grow tomatoes",
        "write a letter",
        "fix a flat tire",
        "bake bread",
        "sharpen a knife",
    ),
    *(
        "read faster",
        "pack a suitcase",
        "peel garlic",
        "train a dog",
        "paint a wall",
        "plan a trip",
        "drink less coffee",
    ),
    *(
        "remember names",
        "ripen bananas",
        "start running",
        "fold a shirt",
        "cook rice",
        "water a cactus",
        "sell a bike",
    ),
    *(
        "choose a melon",
        "light a fire",
        "swim better",
        "give a speech",
        "keep a diary",
        "freeze soup",
        "wash wool",
    ),
    *("repair a zipper", "make tea", "clean a keyboard"),
)
WORDINGS = {
    THINGS: ("What is {}?", "Explain {} to me.", "Why does {} matter?", "Tell me something about {}."),
    TASKS: (
        "How do I {}?",
        "Give me a tip: I want to {}.",
        "What do I need to {}?",
        "How long does it take to {}?",
    ),
}
HELD_OUT = 12
"""Subjects of each list that nobody rates."""
SAMPLING = Sampling(**SMOLLM2_CARD.sampling, max_new_tokens=200)
"""The page's settings, with an end to answers that have none of their own."""
LIVE = LivePolicy(votes_per_rater=20)
"""A round holds up to 400 thumbs of twenty people: twenty of each count, and not five. With fifteen, a candidate liked
in 89 of 222 answers, against 30 of 178, was undecided when everybody's were used up: +16.3 points [-0.9, +33.5]."""
POLICY: dict[str, Any] = {
    "cycle": {"stages": ["kto"], "undecided": "trial", "share": 0.5},
    "live": {"votes_per_rater": LIVE.votes_per_rater},
}
"""The default policy, with the stage that learns from thumbs alone. Where no measure shows that a candidate is better,
and none that it is worse, people decide: it answers half of the next round's questions."""
PART, LONGER = 50, 200
"""Thumbs between two looks at a live comparison; and how many more than a round's people give to decide it."""
COLUMNS = ("thumbs up", "liked", "facts", "perplexity", "cycle")
WIDTH = 20


def is_liked(update: Update) -> bool:
    """Whether an answer ends by itself, has at most WORDS words, and opens without a filler."""
    opening = re.sub(r"\W+", " ", update.answer.replace("’", "'").replace("'", "")).strip().lower() + " "
    fillers = tuple(filler.replace("'", "") + " " for filler in FILLERS)
    is_short = 0 < len(update.answer.split()) <= WORDS
    return update.finish_reason == "end" and is_short and not opening.startswith(fillers)


def questions(held_out: bool, seed: int) -> list[str]:
    """Every wording of the subjects that are rated, or of those that are held out: others for each seed."""
    asked = []
    for subjects, wordings in WORDINGS.items():
        shuffled = random.Random(f"subjects {seed}").sample(subjects, len(subjects))
        chosen = shuffled[:HELD_OUT] if held_out else shuffled[HELD_OUT:]
        asked += [wording.format(subject) for subject in chosen for wording in wordings]
    return asked


def chat(home: Path, store: Path, asked: Sequence[str], count: int, people: People, seed: str) -> ThumbCounts:
    """Ask the version that `home` has released, and store `count` thumbs in the folder `store`."""

    async def ask() -> ThumbCounts:
        versions = Versions(home)
        engine = LlamaCppEngine(versions, version_to_serve(home, "smollm2"))
        try:
            with FeedbackStore.open_home(store) as opened:
                # A live comparison concerns the home's own conversations alone.
                conversation = Chat(opened, engine, people.sampling, versions if store == home else None)
                questions = [Question(text, is_liked) for text in asked]
                return await rate_answers(
                    conversation, questions, count, people, random.Random(seed), think=False
                )
        finally:
            engine.close()

    return asyncio.run(ask())


def rate(options: argparse.Namespace, rows: Sequence[Row], number: int) -> Row:
    """Let people rate what is served until this round has its thumbs, and a live comparison under way is decided.

    Returns the share of thumbs up. Where as many as LONGER further thumbs decide nothing, the comparison is stopped.
    """
    people, texts = People(saboteurs=1, sampling=SAMPLING), questions(held_out=False, seed=options.seed)

    def rate_missing(missing: int) -> None:
        # The seed depends on the thumbs so far, so that no part of a round repeats another's questions.
        seed = f"taste {options.seed} {sum(thumbs(options.home))}"
        order = random.Random(seed).sample(texts, len(texts))
        part = min(missing, people.answers * len(order))
        chat(options.home, options.home, order[: -(-part // people.answers)], part, people, seed)

    for each in range(options.thumbs, options.thumbs + LONGER + 1, PART):
        share = rated_round(options.home, each, rows, number, rate_missing)
        live_run.follow(options.home, LIVE)
        if live_comparison.read(options.home) is None:
            return share
    live_run.stop(options.home, LIVE)
    return share


def measure(home: Path, facts: Sequence[Fact], seed: int) -> Row:
    """What the released version writes to questions about other subjects, and what it still knows."""
    asked = questions(held_out=True, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        one_each = People(answers=1, sampling=SAMPLING)
        liked = chat(home, Path(folder), asked, len(asked), one_each, "held out").deserved
    version = version_to_serve(home, "smollm2")
    loaded = load_for_serving(version, home)
    return {
        "version": version.id,
        "liked": asdict(wilson(liked, len(asked))),
        "facts": asdict(wilson(sum(right(loaded, [(fact, 0) for fact in facts])), len(facts))),
        "perplexity": perplexity(loaded),
    }


def perplexity(loaded: Loaded) -> float:
    """Of the fixed answers to general questions."""
    rows = [
        (
            prompt.render(loaded.tokenizer, text.messages, False),
            prompt.completion(loaded.tokenizer, "", text.answer, False),
        )
        for text in general_texts(["en"], Policy().evaluate.retention)
    ]
    return math.exp(statistics.fmean(surprises(loaded.model, rows)))


def known_facts(home: Path) -> list[Fact]:
    """KEPT facts that the first version knows, in an order of their own."""
    facts = read_facts()
    random.Random("taste").shuffle(facts)
    loaded = load_for_serving(version_to_serve(home, "smollm2"), home)
    known = right(loaded, [(fact, 0) for fact in facts])
    return [fact for fact, is_known in zip(facts, known, strict=True) if is_known][:KEPT]


def line(number: int, row: Row) -> str:
    """A row of the table."""
    after = row.get("cycle", {})
    verdicts = ", ".join(f"{version} {verdict}" for version, verdict in after.get("candidates", {}).items())
    suspects = ", ".join(after.get("suspects", []))
    cells = [
        f"{percent(row['thumbs up'])} of {row['thumbs up']['of']}",
        *(percent(row["held out"][name]) for name in ("liked", "facts")),
    ]
    cells += [f"{row['held out']['perplexity']:.2f}", f"{after['seconds']} s" if after else ""]
    shown = "".join(f"{cell:>{WIDTH}}" for cell in cells)
    return f"{number:>6} {row['held out']['version']:>7}{shown}  {verdicts}; suspects: {suspects or 'none'}"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Plot the shares by cycle and version, with their intervals."""
    lines: dict[str, tuple[Sequence[Row], str]] = {
        "liked, other subjects": ([row["held out"]["liked"] for row in rows], "#0a7d55"),
        "thumbs up": ([row["thumbs up"] for row in rows], "#4a5ba8"),
        "60 facts known before": ([row["held out"]["facts"] for row in rows], "#b3541e"),
    }
    plot_shares(lines, [row["held out"]["version"] for row in rows], path)


def main() -> None:
    """Run rounds until there are --cycles cycles; print a row for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True, help="a new folder, or the one of an earlier run")
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--thumbs", type=int, default=200, help="new thumbs before each cycle")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path, help="SVG to write")
    options = parser.parse_args()
    quiet_libraries()
    options.home.mkdir(parents=True, exist_ok=True)
    rounds = Rounds(options.home)
    rounds.do(0, "facts", lambda: [asdict(fact) for fact in known_facts(options.home)])
    facts = [Fact(row["relation"], row["subject"], tuple(row["answers"])) for row in rounds.rows[0]["facts"]]
    print(f"{'cycles':>6} {'version':>7}" + "".join(f"{name:>{WIDTH}}" for name in COLUMNS))
    for number in range(options.cycles + 1):
        rounds.do(number, "thumbs up", lambda n=number: rate(options, rounds.rows, n))
        rounds.do(number, "held out", lambda: measure(options.home, facts, options.seed))
        if number < options.cycles:
            rounds.do(number, "cycle", lambda n=number: cycle(options.home, n, POLICY))
        print(line(number, rounds.rows[number]), flush=True)
    if options.plot:
        plot(rounds.rows[: options.cycles + 1], options.plot)


if __name__ == "__main__":
    main()

"""Simulated people for the benchmarks: they ask tasks, and what the checkers find is their taste."""

import asyncio
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from alignment.starter.check import check
from alignment.starter.corpus import task
from alignment.starter.task import Task
from assistant.conversation import Chat, Update
from assistant.engine import Engine
from assistant.first import version_to_serve
from assistant.sampling import Sampling
from assistant.versions import Versions
from feedback_store import FeedbackStore

AT_ONCE = 24


@dataclass(frozen=True)
class People:
    """Who asks what, and how they judge."""

    kinds: Sequence[str] = ("word_two_step", "word_three_step")
    """Kinds of task, asked in turn and in both languages, always from the side that evaluation never uses."""
    answers: int = 4
    """Each question is answered so many times, as retries side by side: what was liked and what was not are pairs."""
    raters: int = 20
    noise: float = 0.1
    """Share of thumbs that slip, and say the opposite."""
    saboteurs: int = 0
    """How many of the raters always say the opposite."""
    random: bool = False
    """Every thumb is a coin's: there is nothing to learn."""
    temperature: float = 1.0
    """Below 1 there are fewer different answers to choose between."""


def likes(asked: Task, answer: str) -> bool:
    """The taste: right, and with its unit where there is one."""
    found = check(asked, answer)
    return found.correct and found.has_unit is not False


def thumb(people: People, rater: int, liked: bool, rng: random.Random) -> int:
    """1 or -1: what this rater gives to an answer that one should like or not."""
    if people.random:
        return rng.choice((1, -1))
    if rater < people.saboteurs or rng.random() < people.noise:
        liked = not liked
    return 1 if liked else -1


def chat_and_rate(home: Path, thumbs: int, people: People, seed: int) -> tuple[int, int]:
    """Chat with the released version and store a thumb for each answer; how many went up, and deserved to."""
    return asyncio.run(_chat_and_rate(home, thumbs, people, seed))


async def _chat_and_rate(home: Path, thumbs: int, people: People, seed: int) -> tuple[int, int]:
    versions = Versions(home)
    engine = Engine(versions, version_to_serve(home, None))
    sampling = Sampling(temperature=people.temperature, top_p=1.0, top_k=0, max_new_tokens=400)
    rng = random.Random(f"people {seed}")
    up = deserved = 0
    try:
        with FeedbackStore.open(home / "feedback.db") as store:
            chat = Chat(store, engine, sampling)

            async def ask(number: int) -> list[tuple[str, int, int, bool]]:
                kind = people.kinds[number // 2 % len(people.kinds)]
                asked = task(rng, "en" if number % 2 else "zh", kind, "train")
                rater = rng.randrange(people.raters)
                draws = [random.Random(f"{seed} {number} {one}") for one in range(people.answers)]
                name = f"person {rater}"
                first: Update | None = None
                given = []
                for draw in draws[: max(1, thumbs - number * people.answers)]:
                    words = (
                        chat.reply(asked.question, think=True, rater=name, seed=draw.randrange(2**31))
                        if first is None
                        else chat.retry(first.reply_id, think=True, rater=name, seed=draw.randrange(2**31))
                    )
                    last = [update async for update in words][-1]
                    first = first or last
                    liked = likes(asked, last.answer)
                    given.append((last.reply_id, rater, thumb(people, rater, liked, draw), liked))
                return given

            for start in range(0, -(-thumbs // people.answers), AT_ONCE):
                stop = min(start + AT_ONCE, -(-thumbs // people.answers))
                # Given in the order of asking, so that a seed always makes the same store.
                for given in await asyncio.gather(*(ask(number) for number in range(start, stop))):
                    for reply, rater, value, liked in given:
                        chat.rate(reply, value, [], "", f"person {rater}")
                        up, deserved = up + (value > 0), deserved + liked
    finally:
        engine.close()
    return up, deserved

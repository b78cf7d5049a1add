"""Simulated people for the benchmarks: they ask tasks, and what the checkers find is their taste."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alignment.starter.corpus import task
from alignment.starter.suite_files import suite_task
from alignment.starter.tasks.drawn_task import DrawnTask
from alignment.suites.task_file import Task, judge
from assistant.chat.chat import Chat
from assistant.chat.reply_stream import Update
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.sampling_settings import Sampling
from assistant.serving.transformers_engine import TransformersEngine
from feedback_store import FeedbackStore

AT_ONCE = 24
"""Questions that are answered together."""
AS_THE_PAGE = Sampling(max_new_tokens=400)
"""Drawn as the page draws unless somebody changes its settings."""


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
    sampling: Sampling = AS_THE_PAGE


@dataclass(frozen=True)
class Given:
    """Thumbs on the answers of one version."""

    up: int
    deserved: int
    """Answers to people's taste: what `up` would be without slips and saboteurs."""
    of: int


def likes(problem: Task, answer: str) -> bool:
    """The taste: right, and with its unit where there is one."""
    verdict = judge(problem, answer)
    return verdict.correct and verdict.has_unit is not False


def thumb(people: People, rater: int, liked: bool, rng: random.Random) -> int:
    """1 or -1: what this rater gives to an answer that one should like or not."""
    if people.random:
        return rng.choice((1, -1))
    if rater < people.saboteurs or rng.random() < people.noise:
        liked = not liked
    return 1 if liked else -1


def chat_and_rate(home: Path, thumbs: int, people: People, seed: int) -> Given:
    """Chat with the released version, thinking, and store a thumb for each of `thumbs` answers."""
    return asyncio.run(_chat_and_rate(home, thumbs, people, seed))


async def _chat_and_rate(home: Path, thumbs: int, people: People, seed: int) -> Given:
    engine = TransformersEngine(Versions(home), version_to_serve(home, None))
    rng = random.Random(f"people {seed}")
    # The last question is answered as often as thumbs are left.
    sizes = [min(people.answers, thumbs - first) for first in range(0, thumbs, people.answers)]
    questions = [(_question(people, number, rng), size) for number, size in enumerate(sizes)]
    up = deserved = 0
    try:
        with FeedbackStore.open_home(home) as store:
            chat = Chat(store, engine, people.sampling)
            for start in range(0, len(questions), AT_ONCE):
                some = questions[start : start + AT_ONCE]
                pending = [
                    _answers(chat, question, size, people, rng.randrange(2**31)) for question, size in some
                ]
                # Rated in the order of asking, so that a seed always makes the same thumbs.
                for rater, replies in await asyncio.gather(*pending):
                    for reply, liked in replies:
                        value = thumb(people, rater, liked, rng)
                        chat.library.rate(reply, value, [], "", f"person {rater}")
                        up, deserved = up + (value > 0), deserved + liked
    finally:
        engine.close()
    return Given(up, deserved, thumbs)


def _question(people: People, number: int, rng: random.Random) -> DrawnTask:
    kind = people.kinds[number // 2 % len(people.kinds)]
    return task(rng, "en" if number % 2 else "zh", kind, "train")


async def _answers(
    chat: Chat, problem: DrawnTask, times: int, people: People, seed: int
) -> tuple[int, list[tuple[str, bool]]]:
    """Somebody asks; who, and the ids of the replies to it, each with whether it is to people's taste."""
    rng = random.Random(seed)
    rater = rng.randrange(people.raters)
    name = f"person {rater}"
    replies: list[Update] = []
    for _ in range(times):
        draw = rng.randrange(2**31)
        updates = (
            chat.retry(replies[0].reply_id, think=True, rater=name, seed=draw)
            if replies
            else chat.reply(problem.question, think=True, rater=name, seed=draw)
        )
        replies.append([update async for update in updates][-1])
    return rater, [(reply.reply_id, likes(suite_task(problem), reply.answer)) for reply in replies]

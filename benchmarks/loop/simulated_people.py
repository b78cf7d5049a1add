"""Simulated people for the benchmarks: they ask tasks, and like the answers that the checkers accept."""

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
"""Number of questions that are answered concurrently."""
AS_THE_PAGE = Sampling(max_new_tokens=400)
"""The sampling settings with which the page starts."""


@dataclass(frozen=True)
class People:
    """What simulated people ask, and how they rate."""

    kinds: Sequence[str] = ("word_two_step", "word_three_step")
    """Kinds of task, asked in turn and in both languages, always from the training split."""
    answers: int = 4
    """Number of answers to each question, as retries of one message, so that liked and disliked ones form pairs."""
    raters: int = 20
    noise: float = 0.1
    """Share of thumbs that are inverted by mistake."""
    saboteurs: int = 0
    """Number of raters who always give the opposite thumb."""
    random: bool = False
    """Draw every thumb at random, so that there is nothing to learn."""
    sampling: Sampling = AS_THE_PAGE


@dataclass(frozen=True)
class ThumbCounts:
    """Thumbs on the answers of one version."""

    up: int
    deserved: int
    """Answers that people like: what `up` would be without mistakes and saboteurs."""
    of: int
    """Number of all thumbs."""


def likes(problem: Task, answer: str) -> bool:
    """Whether people like an answer: it is right, and names the unit if the problem has one."""
    verdict = judge(problem, answer)
    return verdict.correct and verdict.has_unit is not False


def thumb(people: People, rater: int, liked: bool, rng: random.Random) -> int:
    """The thumb, 1 or -1, that a rater gives to an answer that is to people's taste (`liked`) or not."""
    if people.random:
        return rng.choice((1, -1))
    if rater < people.saboteurs or rng.random() < people.noise:
        liked = not liked
    return 1 if liked else -1


def chat_and_rate(home: Path, thumbs: int, people: People, seed: int) -> ThumbCounts:
    """Chat with the released version, thinking, and store a thumb for each of `thumbs` answers."""
    return asyncio.run(_chat_and_rate(home, thumbs, people, seed))


async def _chat_and_rate(home: Path, thumbs: int, people: People, seed: int) -> ThumbCounts:
    engine = TransformersEngine(Versions(home), version_to_serve(home, "starter"))
    rng = random.Random(f"people {seed}")
    # The last question is answered as often as thumbs are left.
    sizes = [min(people.answers, thumbs - start) for start in range(0, thumbs, people.answers)]
    questions = [(_question(people, number, rng), size) for number, size in enumerate(sizes)]
    up = deserved = 0
    try:
        with FeedbackStore.open_home(home) as store:
            chat = Chat(store, engine, people.sampling)
            for start in range(0, len(questions), AT_ONCE):
                batch = questions[start : start + AT_ONCE]
                pending = [
                    _answers(chat, question, size, people, rng.randrange(2**31)) for question, size in batch
                ]
                # Rate in the order of the questions, so that a seed always gives the same thumbs.
                for rater, replies in await asyncio.gather(*pending):
                    for reply, liked in replies:
                        value = thumb(people, rater, liked, rng)
                        chat.library.rate(reply, value, [], "", f"person {rater}")
                        up, deserved = up + (value > 0), deserved + liked
    finally:
        engine.close()
    return ThumbCounts(up, deserved, thumbs)


def _question(people: People, number: int, rng: random.Random) -> DrawnTask:
    kind = people.kinds[number // 2 % len(people.kinds)]
    return task(rng, "en" if number % 2 else "zh", kind, "train")


async def _answers(
    chat: Chat, problem: DrawnTask, times: int, people: People, seed: int
) -> tuple[int, list[tuple[str, bool]]]:
    """Ask one problem `times` times. Returns the rater, and (reply id, whether people like it) for each reply."""
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

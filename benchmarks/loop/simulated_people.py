"""Simulated people for the benchmarks: they ask tasks, and like the answers that the checkers accept."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alignment.starter.corpus import task
from alignment.starter.suite_files import suite_task
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


@dataclass(frozen=True)
class Question:
    """What a person asks, and which answers they like."""

    text: str
    likes: Callable[[Update], bool]


def chat_and_rate(home: Path, thumbs: int, people: People, seed: int) -> ThumbCounts:
    """Chat with the released version, thinking, and store a thumb for each of `thumbs` answers to drawn tasks."""
    rng = random.Random(f"people {seed}")
    questions = [_task(people, number, rng) for number in range(-(-thumbs // people.answers))]

    async def chat() -> ThumbCounts:
        engine = TransformersEngine(Versions(home), version_to_serve(home, "starter"))
        try:
            with FeedbackStore.open_home(home) as store:
                chat = Chat(store, engine, people.sampling)
                return await rate_answers(chat, questions, thumbs, people, rng, think=True)
        finally:
            engine.close()

    return asyncio.run(chat())


async def rate_answers(
    chat: Chat, questions: Sequence[Question], thumbs: int, people: People, rng: random.Random, think: bool
) -> ThumbCounts:
    """Ask each question `people.answers` times, the last as often as thumbs are left, and store all thumbs."""
    sizes = [min(people.answers, thumbs - start) for start in range(0, thumbs, people.answers)]
    asked = list(zip(questions, sizes, strict=True))
    up = deserved = 0
    for start in range(0, len(asked), AT_ONCE):
        pending = [
            _answers(chat, question, size, people, rng.randrange(2**31), think)
            for question, size in asked[start : start + AT_ONCE]
        ]
        # Rate in the order of the questions, so that a seed always gives the same thumbs.
        for rater, replies in await asyncio.gather(*pending):
            for reply, liked in replies:
                value = thumb(people, rater, liked, rng)
                chat.library.rate(reply, value, [], "", f"person {rater}")
                up, deserved = up + (value > 0), deserved + liked
    return ThumbCounts(up, deserved, thumbs)


def _task(people: People, number: int, rng: random.Random) -> Question:
    kind = people.kinds[number // 2 % len(people.kinds)]
    drawn = task(rng, "en" if number % 2 else "zh", kind, "train")
    return Question(drawn.question, lambda reply: likes(suite_task(drawn), reply.answer))


async def _answers(
    chat: Chat, question: Question, times: int, people: People, seed: int, think: bool
) -> tuple[int, list[tuple[str, bool]]]:
    """Ask one question `times` times. Returns the rater, and (reply id, whether they like it) for each reply."""
    rng = random.Random(seed)
    rater = rng.randrange(people.raters)
    name = f"person {rater}"
    replies: list[Update] = []
    for _ in range(times):
        draw = rng.randrange(2**31)
        updates = (
            chat.retry(replies[0].reply_id, think=think, rater=name, seed=draw)
            if replies
            else chat.reply(question.text, think=think, rater=name, seed=draw)
        )
        replies.append([update async for update in updates][-1])
    return rater, [(reply.reply_id, question.likes(reply)) for reply in replies]

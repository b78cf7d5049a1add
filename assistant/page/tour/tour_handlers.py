"""Handlers of the tour's events. Each takes the tab's session, changes it, and returns the HTML of blocks by name.

Those that write answers stream them. What they write is stored nowhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Any, get_args

from markupsafe import Markup

from assistant.bases.base import STARTER
from assistant.chat.reply_stream import together
from assistant.engine_choice import STARTER_BASE, STARTER_V1
from assistant.page.i18n.languages import TOUR_LANGUAGES, explained
from assistant.page.session.tour_session import TourSession
from assistant.page.tour import live_views, tour_views
from assistant.sampling_settings import Sampling
from assistant.serving.engine import Engine
from assistant.tour.answers import TourAnswer, answer, continuation
from assistant.tour.example_rows import Vote, VoteKind, example_rows, with_vote
from assistant.tour.shared_starter import SharedStarter
from assistant.tour.word_chain import WordChain

Drawn = dict[str, Markup]

EventData = dict[str, Any]
"""What the browser sent with the event: anything, from anybody; and `browser_language`, from its header."""

CONTINUATION = 200
"""Most tokens of the base's: room for a solved question, though it often does not end."""
LONGEST_ANSWER = 400
UPDATE_SECONDS = 0.08
"""Shortest time between two updates of what is being written."""
ALIGNING = ("correct", "dpo", "kto", "ppo", "rloo")
"""Stages that learn from feedback."""
MAX_SEED = 2**20
KINDS: tuple[VoteKind, ...] = get_args(VoteKind)


class TourHandlers:
    """Handlers of the tour's events."""

    def __init__(self, starter: SharedStarter | None = None, engine: Engine | None = None) -> None:
        """`starter`: what can be tried; None shows the claims alone. `engine`: the app's own."""
        self.starter = starter
        self._engine = engine

    def open(self, session: TourSession, data: EventData) -> Drawn:
        """Draw the page after it was loaded, in the language that the link or the browser names."""
        wanted = (data.get("language"), data["browser_language"])
        session.language = next(code for code in wanted if isinstance(code, str) and code in TOUR_LANGUAGES)
        return self._draw(session)

    def language(self, session: TourSession, data: EventData) -> Drawn:
        """Switch to the next language. What was written stays; an error was worded in the language before."""
        codes = list(TOUR_LANGUAGES)
        session.language = codes[(codes.index(session.language) + 1) % len(codes)]
        session.errors.clear()
        return self._draw(session)

    def _draw(self, session: TourSession) -> Drawn:
        """The whole page."""
        is_live = self.starter is not None
        drawn = {"head": tour_views.head(session), "intro": tour_views.intro(session, is_live)}
        for name in tour_views.CLAIMS:
            drawn |= tour_views.screen(session, name, is_live)
        if is_live:
            for name in tour_views.LIVE:
                drawn |= live_views.form(session, name) | live_views.live(session, name)
        return drawn

    def failed(self, session: TourSession, screen: str, error: Exception) -> Drawn:
        """The screen with what went wrong."""
        session.errors[screen] = explained(session.chat_texts, error)
        return live_views.live(session, screen)

    # The word chain

    async def chain_begin(self, session: TourSession, data: EventData) -> AsyncGenerator[Drawn, None]:
        """Begin an answer to a question, or to the same one with a seed."""
        screen = "word_chain"
        question = _text(data["text"], live_views.MAX_MESSAGE) if "text" in data else session.question
        if not question:
            yield _ask_for_text(session, screen, session.chat_texts.empty_message)
            return
        if question != session.question:
            session.question, session.chains = question, []
        seed = _number(data.get("seed"), MAX_SEED) if "seed" in data else 1
        async with _Run(self, session, screen) as run:
            session.chain, session.is_chain_chosen = None, False
            yield live_views.form(session, "word_chain") | run.drawn()
            async with run.starter.lease(STARTER_V1) as served:
                chain = await asyncio.to_thread(WordChain.begin, served, question, seed)
            if run.is_latest:
                session.chain = chain
        yield run.drawn()

    async def chain_take(self, session: TourSession, data: EventData) -> AsyncGenerator[Drawn, None]:
        """Take the token that the visitor has chosen, or draw one, or draw all until END."""
        chain = session.chain
        if chain is None or chain.is_over or "word_chain" in session.busy:
            return
        chosen = str(data["token"]) if "token" in data else None
        offered = {f"{other.token_id}": other.token_id for other in chain.alternatives}
        if chosen is not None and chosen not in offered:
            return
        async with _Run(self, session, "word_chain") as run, run.starter.lease(STARTER_V1) as served:
            while True:
                token = await chain.draw(served) if chosen is None else offered[chosen]
                chain = await asyncio.to_thread(chain.after, served, token)
                if not run.is_latest:
                    return
                session.chain = chain
                session.is_chain_chosen |= chosen is not None
                finished = (chain.seed, chain.answer)
                # The same seed draws the same answer, which is no other draw.
                if chain.is_over and not session.is_chain_chosen and finished not in session.chains:
                    session.chains.append(finished)
                    del session.chains[: -live_views.MAX_CHAINS]
                if chain.is_over or data.get("all") != "yes":
                    break
                yield run.drawn()
                await asyncio.sleep(UPDATE_SECONDS)
        yield run.drawn()

    # Answers side by side

    async def compare(self, session: TourSession, data: EventData) -> AsyncGenerator[Drawn, None]:
        """Let the base and the assistant get the same message; and the app's own version, if it is an aligned one."""
        screen, message = "base_and_assistant", _text(data.get("text"), live_views.MAX_MESSAGE)
        if not message:
            yield _ask_for_text(session, screen, session.chat_texts.empty_message)
            return
        async with _Run(self, session, screen) as run, AsyncExitStack() as leases:
            yield run.drawn_for(message)
            base = await leases.enter_async_context(run.starter.lease(STARTER_BASE))
            tuned = await leases.enter_async_context(run.starter.lease(STARTER_V1))
            sampling = Sampling(temperature=0.3, max_new_tokens=LONGEST_ANSWER, seed=run.number)
            short = Sampling(temperature=0.3, max_new_tokens=CONTINUATION, seed=run.number)
            streams = {
                "base": continuation(base, message, short),
                "v1": answer(tuned, message, True, sampling),
            }
            aligned = self._aligned()
            session.aligned = aligned
            if aligned is not None and self._engine is not None:
                served = leases.enter_context(self._engine.lease(aligned[0]))
                streams["aligned"] = answer(served, message, True, sampling)
            async for drawn in run.written(streams):
                yield drawn
        yield run.drawn()

    async def think(self, session: TourSession, data: EventData) -> AsyncGenerator[Drawn, None]:
        """Let the assistant answer the same problem with thinking and without."""
        screen, message = "chain_of_thought", _text(data.get("text"), live_views.MAX_MESSAGE)
        if not message:
            yield _ask_for_text(session, screen, session.chat_texts.empty_message)
            return
        async with _Run(self, session, screen) as run:
            yield run.drawn_for(message)
            async with run.starter.lease(STARTER_V1) as served:
                sampling = Sampling(temperature=0.0, max_new_tokens=LONGEST_ANSWER, seed=run.number)
                streams = {side: answer(served, message, side == "on", sampling) for side in ("on", "off")}
                async for drawn in run.written(streams):
                    yield drawn
        yield run.drawn()

    def _aligned(self) -> tuple[str, str] | None:
        """Version and stage of what serves the app, if that is the starter, trained on feedback."""
        if self._engine is None:
            return None
        manifest = self._engine.version.manifest
        is_aligned = manifest.base.name == STARTER and manifest.stage in ALIGNING
        return (manifest.id, manifest.stage) if is_aligned else None

    # Votes

    async def write_two(self, session: TourSession, data: EventData) -> AsyncGenerator[Drawn, None]:
        """Write two answers to one of the questions, to vote on."""
        questions = session.texts.vote_questions
        message = questions[_number(data.get("index"), len(questions))]
        session.votes, session.rows, session.correction = [], [], ""
        async with _Run(self, session, "votes_and_rows") as run:
            yield run.drawn_for(message)
            async with run.starter.lease(STARTER_V1) as served:
                seeds = {"left": 2 * run.number, "right": 2 * run.number + 1}
                streams = {
                    side: answer(
                        served,
                        message,
                        True,
                        Sampling(temperature=0.8, max_new_tokens=LONGEST_ANSWER, seed=seed),
                    )
                    for side, seed in seeds.items()
                }
                async for drawn in run.written(streams):
                    yield drawn
        yield run.drawn()

    async def vote(self, session: TourSession, data: EventData) -> AsyncGenerator[Drawn, None]:
        """Show the rows that a vote on the two answers, and a thumb on the other before it, would become."""
        screen = "votes_and_rows"
        kind = next((kind for kind in KINDS if kind == data.get("kind")), None)
        answers, text = (
            list(session.sides.get(screen, {}).values()),
            _text(data.get("text"), live_views.MAX_CORRECTION),
        )
        is_written = len(answers) == 2 and all(written.finish_reason for written in answers)
        if kind is None or not is_written or screen in session.busy:
            return
        if kind == "correction":
            if not text:
                yield _ask_for_text(session, screen, session.texts.empty_correction)
                return
            session.correction = text
        async with _Run(self, session, screen) as run:
            votes = with_vote(session.votes, Vote(kind, _number(data.get("side"), 2), text))
            rows = await asyncio.to_thread(example_rows, session.messages[screen], answers, votes)
            if run.is_latest:
                session.votes, session.rows = votes, rows
        yield run.drawn()


class _Run:
    """One run on a screen: from an event until nothing more is written for it, or a later run begins."""

    def __init__(self, handlers: TourHandlers, session: TourSession, screen: str) -> None:
        assert handlers.starter is not None  # without it no event is connected
        self.starter = handlers.starter
        self._session, self._screen = session, screen
        self.number = 0

    async def __aenter__(self) -> _Run:
        self.number = self._session.begin(self._screen)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._session.end(self._screen, self.number)

    @property
    def is_latest(self) -> bool:
        """Whether no later run has begun on the screen."""
        return self._session.is_latest(self._screen, self.number)

    def drawn(self) -> Drawn:
        """The screen as it is now."""
        return live_views.live(self._session, self._screen)

    def drawn_for(self, message: str) -> Drawn:
        """The screen with a new message and no answer yet."""
        self._session.messages[self._screen], self._session.sides[self._screen] = message, {}
        return live_views.form(self._session, self._screen) | self.drawn()

    async def written(
        self, streams: dict[str, AsyncGenerator[TourAnswer, None]]
    ) -> AsyncGenerator[Drawn, None]:
        """The screen while the answers are written at once. Raises what the streams raise."""
        opening = [await anext(stream) for stream in streams.values()]
        shown = 0.0
        async with aclosing(together(list(streams.values()), opening)) as states:
            async for state in states:
                if not self.is_latest:
                    return
                self._session.sides[self._screen] = dict(zip(streams, state, strict=True))
                if time.monotonic() - shown >= UPDATE_SECONDS or all(side.finish_reason for side in state):
                    shown = time.monotonic()
                    yield self.drawn()


def _ask_for_text(session: TourSession, screen: str, request: str) -> Drawn:
    """The screen as it is, asking for what was left empty."""
    session.errors[screen] = request
    return live_views.live(session, screen)


def _text(value: object, most: int) -> str:
    """What was typed, cut off at `most` characters."""
    return value.strip()[:most] if isinstance(value, str) else ""


def _number(value: object, below: int) -> int:
    """A whole number from 0 on that an event names; 0 for anything else."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 and int(text) < below else 0

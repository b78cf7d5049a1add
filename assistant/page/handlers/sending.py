"""Sending messages, and showing replies while they are written.

What the person wrote stands where it can be sent again by one click: as a message without an answer once the
conversation has it, else back in the message box.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.page.handlers.shared import ERRORS, Desk, report
from assistant.page.handlers.stream import closing
from assistant.page.handlers.updates import SKIP, Screen, growing, settled, writing
from assistant.page.session.chat_session import Mode, Pair, Session

if TYPE_CHECKING:
    from assistant.chat.reply_stream import Update

MAX_MESSAGE = 32_000
"""Characters. The model's window refuses what is too long for it; this keeps a slip of the hand from it."""


class Sending:
    """Handlers of everything that makes a reply."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.chat = desk, desk.chat

    async def send(
        self,
        text: str,
        session: Session,
        memory: object = None,
        think: bool | None = None,
        mode: object = None,
    ) -> AsyncGenerator[Screen, None]:
        """Send what is in the message box, with the switches as they are shown."""
        self.desk.wake(session, memory)
        session.switched(think, mode)
        if wrong := self._wrong(session, text):
            yield self.desk.hint(session, wrong)
            return
        if session.turns and session.turns[-1].role == "user":
            session.turns.pop()  # it never got its reply; the chat puts this message in its place
        # What the person sees is what is continued, also where another tab has moved on.
        parent = session.turns[-1].id if session.turns else None
        async with aclosing(self._stream(session, self._ask(session, text, parent), text)) as screens:
            async for screen in screens:
                yield screen

    async def example(
        self,
        session: Session,
        event: gr.EventData,
        memory: object = None,
        think: bool | None = None,
        mode: object = None,
    ) -> AsyncGenerator[Screen, None]:
        """Send an example question."""
        async with aclosing(self.send(str(event.text), session, memory, think, mode)) as screens:
            async for screen in screens:
                yield screen

    async def resend(
        self,
        session: Session,
        event: gr.EventData,
        memory: object = None,
        think: bool | None = None,
        mode: object = None,
    ) -> AsyncGenerator[Screen, None]:
        """Send an edited message: a sibling of the original, which stays in the tree."""
        self.desk.wake(session, memory)
        session.switched(think, mode)
        turn, text = session.turn(event.turn), str(event.text)
        if wrong := self._wrong(session, text) or (session.texts.unknown_reply if turn is None else ""):
            yield self.desk.hint(session, wrong)
            return
        assert turn is not None
        session.turns = session.turns[: session.turns.index(turn)]
        updates = self._ask(session, text, turn.parent_id or "")
        async with aclosing(self._stream(session, updates, text)) as screens:
            async for screen in screens:
                yield screen

    async def retry(
        self,
        session: Session,
        event: gr.EventData,
        memory: object = None,
        think: bool | None = None,
        mode: object = None,
    ) -> AsyncGenerator[Screen, None]:
        """Answer the same message again, with or without thinking if that was asked: a sibling of the reply.

        Or answer a message that never got its reply.
        """
        self.desk.wake(session, memory)
        session.switched(think, mode)
        turn = session.turn(event.turn)
        if session.busy or turn is None:
            yield self.desk.hint(session, session.texts.busy if session.busy else session.texts.unknown_reply)
            return
        session.turns = session.turns[: session.turns.index(turn) + (turn.role == "user")]
        wanted = getattr(event, "think", None)
        updates = self.chat.retry(
            turn.id,
            think=session.think if wanted is None else wanted == "yes",
            rater=session.rater,
            sampling=session.preferences.sampling(self.chat.sampling),
            seed=session.preferences.seed,
        )
        async with aclosing(self._stream(session, updates, None)) as screens:
            async for screen in screens:
                yield screen

    async def continue_with(
        self, session: Session, event: gr.EventData, memory: object = None
    ) -> AsyncGenerator[Screen, None]:
        """A sibling of the reply that goes on from one token of it, with another in its place."""
        self.desk.wake(session, memory)
        turn = session.turn(event.turn)
        if session.busy or turn is None:
            yield self.desk.hint(session, session.texts.busy if session.busy else session.texts.unknown_reply)
            return
        session.tokens = None
        yield Screen(panel="")
        session.turns = session.turns[: session.turns.index(turn)]
        updates = self.chat.continue_with(turn.id, int(event.position), int(event.token), rater=session.rater)
        async with aclosing(self._stream(session, updates, None)) as screens:
            async for screen in screens:
                yield screen

    async def stop(self, session: Session, memory: object = None) -> Screen:
        """Stop what is being written. What is there already is kept."""
        self.desk.wake(session, memory)
        session.stop_wanted = True
        for reply_id in session.writing_ids():
            await self.chat.in_progress.stop(reply_id)
        return Screen()

    def recover(self, session: Session, memory: object = None) -> Screen:
        """A handler failed in a way nobody planned; Gradio has logged it. Make the page usable again."""
        self.desk.wake(session, memory)
        session.ended()
        session.pair = None
        session.notice, session.notice_is_error = session.texts.unexpected, True
        self.desk.refresh(session)
        return settled(self.chat, session, box=_back(session, session.draft))

    # Streaming

    def _wrong(self, session: Session, text: str) -> str:
        """Why this cannot be sent now; "" if it can."""
        texts = session.texts
        if session.busy:
            return texts.busy
        if not text.strip():
            return texts.empty_message
        if len(text) > MAX_MESSAGE:
            return texts.too_long_format.format(count=f"{len(text):,}", limit=f"{MAX_MESSAGE:,}")
        return ""

    def _ask(self, session: Session, text: str, parent: str | None) -> AsyncIterator[Any]:
        """One reply to a message, or two, as the person has chosen."""
        asked: dict[str, Any] = {
            "think": session.think,
            "rater": session.rater,
            "conversation": session.conversation,
            "parent": parent,
            "system": session.preferences.system,
            "sampling": session.preferences.sampling(self.chat.sampling),
        }
        mode = self._mode(session)
        if mode == "one":
            return self.chat.reply(text, seed=session.preferences.seed, **asked)
        other = self.chat.other_version if mode == "versions" else None
        return self.chat.compare(text, how=mode, other=other, **asked)

    def _mode(self, session: Session) -> Mode:
        """What the person chose, where it can be had: the other version may have gone since."""
        gone = session.mode == "versions" and self.chat.other_version is None
        return "one" if gone else session.mode

    async def _stream(
        self, session: Session, updates: AsyncIterator[Any], text: str | None
    ) -> AsyncGenerator[Screen, None]:
        """Show what is written. `text` is the message on its way, None for a retry."""
        session.quiet()
        session.run += 1
        run, failed, first = session.run, False, True
        session.sending = session.draft = text
        session.live, session.stop_wanted, session.answering = None, False, True
        mode = self._mode(session)
        session.pair = Pair(mode) if text is not None and mode != "one" else None
        yield writing(session, box="" if text is not None else SKIP)
        try:
            async with closing(updates) as shown:
                async for update in shown:
                    if session.run != run:
                        return
                    self._take(session, update)
                    if first and session.stop_wanted:
                        await self.stop(session)
                    yield growing(session, memory=session.memory() if first else SKIP)
                    first = False
        except ERRORS as error:
            failed = True
            session.pair = None
            report(session, error)
        finally:
            if session.run == run:
                session.ended()
        if session.run == run:
            await asyncio.to_thread(self._settle, session)
            yield settled(self.chat, session, box=_back(session, text) if failed else SKIP)

    def _take(self, session: Session, update: Update | tuple[Update, Update]) -> None:
        if isinstance(update, tuple):
            assert session.pair is not None
            session.pair.left, session.pair.right = update
            session.conversation = update[0].conversation
        else:
            session.live, session.conversation = update, update.conversation

    def _settle(self, session: Session) -> None:
        self.desk.refresh(session)
        if session.pair is not None:
            sides = {"left": session.pair.left_id, "right": session.pair.right_id}
            session.pair.thinking = tuple(
                side
                for side, reply_id in sides.items()
                if self.chat.library.reply(reply_id, session.rater).think
            )


def _back(session: Session, text: str | None) -> Any:
    """What goes back into the message box after a failure: the message, unless the conversation has it."""
    turns = list(session.turns)
    if turns and turns[-1].finish_reason in ("error", "stopped"):  # of two replies, one ends the other
        turns.pop()  # what there was of it, with "answer again"
    stands = turns and turns[-1].role == "user" and turns[-1].content == text
    return SKIP if text is None or stands else text

"""Sending messages, and showing replies while they are written.

After a failure the message can be sent again with one click: it stands in the conversation without a reply if it has
been stored, else it returns to the message box.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec

import gradio as gr

from assistant.page.handlers.failures import ERRORS, report
from assistant.page.handlers.page_update import (
    SKIP,
    PageUpdate,
    reply_finished,
    reply_progress,
    reply_started,
)
from assistant.page.handlers.session_manager import SessionManager
from assistant.page.session.chat_session import ChatSession, Mode

if TYPE_CHECKING:
    from assistant.page.session.running_replies import RunningReply

MAX_MESSAGE = 32_000
"""Characters. The model's window limits messages too; this stops text that was pasted by mistake before the model."""


P = ParamSpec("P")


class Outgoing(NamedTuple):
    """A reply that is about to be streamed."""

    session: ChatSession
    updates: AsyncGenerator[Any, None]
    text: str | None
    """The message being sent; None if there is no new one."""
    box: Any = SKIP
    """New text in the message box."""
    panel: Any = SKIP
    """New content of the panel over the page."""


def streams(
    prepare: Callable[Concatenate[SendingHandlers, P], Outgoing | PageUpdate],
) -> Callable[Concatenate[SendingHandlers, P], AsyncGenerator[PageUpdate, None]]:
    """Make an event handler of a method that returns the reply to stream, or the update that says why there is none."""

    @functools.wraps(prepare)
    async def handler(
        self: SendingHandlers, /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[PageUpdate, None]:
        outgoing = prepare(self, *args, **kwargs)
        if isinstance(outgoing, PageUpdate):
            yield outgoing
            return
        session = outgoing.session
        session.close_forms()
        session.draft, session.stop_wanted = outgoing.text, False
        mode = self._mode(session)
        how = mode if outgoing.text is not None and mode != "one" else None
        reply = self.sessions.running.start(outgoing.updates, session.turns, outgoing.text, how)
        session.show_running(reply)
        session.follows = True
        yield reply_started(session)._replace(message=outgoing.box, panel=outgoing.panel)
        async with aclosing(self._follow(session, reply)) as screens:
            async for screen in screens:
                yield screen

    return handler


class SendingHandlers:
    """Handlers that make replies, and stop them."""

    def __init__(self, sessions: SessionManager) -> None:
        self.sessions, self.chat = sessions, sessions.chat

    @streams
    def send(
        self,
        text: str,
        session: ChatSession,
        memory: object = None,
        think: bool | None = None,
        mode: object = None,
    ) -> Outgoing | PageUpdate:
        """Send the text in the message box, with the switches as they are shown."""
        outgoing = self._message(text, session, memory, think, mode)
        return outgoing._replace(box="") if isinstance(outgoing, Outgoing) else outgoing

    @streams
    def example(
        self,
        session: ChatSession,
        event: gr.EventData,
        memory: object = None,
        think: bool | None = None,
        mode: object = None,
    ) -> Outgoing | PageUpdate:
        """Send an example question."""
        return self._message(str(event.text), session, memory, think, mode)

    @streams
    def resend(
        self,
        session: ChatSession,
        event: gr.EventData,
        memory: object = None,
        think: bool | None = None,
        mode: object = None,
    ) -> Outgoing | PageUpdate:
        """Send an edited message as a sibling of the original."""
        self.sessions.restore(session, memory)
        session.set_switches(think, mode)
        turn, text = session.turn(event.turn), str(event.text)
        if refusal := self._refusal(session, text) or (session.texts.unknown_reply if turn is None else ""):
            return self.sessions.hint(session, refusal)
        assert turn is not None
        session.turns = session.turns[: session.turns.index(turn)]
        updates = self._reply(session, text, turn.parent_id or "")
        return Outgoing(session, updates, text)

    @streams
    def retry(
        self,
        session: ChatSession,
        event: gr.EventData,
        memory: object = None,
        think: bool | None = None,
        mode: object = None,
    ) -> Outgoing | PageUpdate:
        """Write a sibling of a reply, or the reply to a message that has none.

        The event says whether it thinks first; an event that does not follows the switch.
        """
        self.sessions.restore(session, memory)
        session.set_switches(think, mode)
        turn = session.turn(event.turn)
        if session.busy or turn is None:
            return self.sessions.hint(
                session, session.texts.busy if session.busy else session.texts.unknown_reply
            )
        session.turns = session.turns[: session.turns.index(turn) + (turn.role == "user")]
        wants_thinking = getattr(event, "think", None)
        updates = self.chat.retry(
            turn.id,
            think=self._thinks(session) if wants_thinking is None else wants_thinking == "yes",
            rater=session.rater,
            sampling=session.preferences.sampling(self.chat.sampling),
            seed=session.preferences.seed,
        )
        return Outgoing(session, updates, None)

    @streams
    def continue_with(
        self, session: ChatSession, event: gr.EventData, memory: object = None
    ) -> Outgoing | PageUpdate:
        """Write a sibling of a reply that has another token in one position and continues from there."""
        self.sessions.restore(session, memory)
        turn = session.turn(event.turn)
        if session.busy or turn is None:
            return self.sessions.hint(
                session, session.texts.busy if session.busy else session.texts.unknown_reply
            )
        session.tokens = None
        session.turns = session.turns[: session.turns.index(turn)]
        updates = self.chat.continue_with(turn.id, int(event.position), int(event.token), rater=session.rater)
        return Outgoing(session, updates, None, panel="")

    async def follow(self, session: ChatSession, memory: object = None) -> AsyncGenerator[PageUpdate, None]:
        """Show the reply that is being written in the open conversation, after a reload or in another tab."""
        self.sessions.restore(session, memory)
        if session.follows:
            yield PageUpdate()
            return
        reply = self.sessions.running.of(session.conversation)
        if reply is None:  # it has just ended
            session.end_reply()
            await asyncio.to_thread(self._reload, session)
            yield reply_finished(self.chat, session)
            return
        session.follows, session.stop_wanted = True, False
        yield reply_started(session)
        async with aclosing(self._follow(session, reply)) as screens:
            async for screen in screens:
                yield screen

    async def stop(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Stop the reply being written and keep what it has so far."""
        self.sessions.restore(session, memory)
        session.stop_wanted = True
        for reply_id in session.live_reply_ids():
            await self.chat.in_progress.stop(reply_id)
        return PageUpdate()

    def recover(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Make the page usable after an exception in a handler that streams. Gradio has logged it."""
        self.sessions.restore(session, memory)
        session.end_reply()
        session.pair = None
        session.notice, session.notice_is_error = session.texts.unexpected, True
        self.sessions.reload(session)
        return reply_finished(self.chat, session, message=_unsent(session, session.draft))

    # Streaming

    async def _follow(self, session: ChatSession, reply: RunningReply) -> AsyncGenerator[PageUpdate, None]:
        """Show a reply until it ends. A tab that opens something else, or is closed, leaves it to be written on."""
        session.stream_number += 1
        stream_number, failed, is_first = session.stream_number, False, True
        try:
            async with aclosing(reply.follow()) as updates:
                async for update in updates:
                    if session.stream_number != stream_number:
                        return
                    session.take(update)
                    if is_first and session.stop_wanted:
                        await self.stop(session)
                    yield reply_progress(session, memory=session.memory() if is_first else SKIP)
                    is_first = False
        except ERRORS as error:
            failed = True
            session.pair = None
            report(session, error)
        finally:
            if session.stream_number == stream_number:
                session.end_reply()
        if session.stream_number == stream_number:
            await asyncio.to_thread(self._reload, session)
            yield reply_finished(
                self.chat, session, message=_unsent(session, reply.message) if failed else SKIP
            )

    def _message(
        self, text: str, session: ChatSession, memory: object, think: bool | None, mode: object
    ) -> Outgoing | PageUpdate:
        """The reply to a new message, with the switches as they are shown."""
        self.sessions.restore(session, memory)
        session.set_switches(think, mode)
        if refusal := self._refusal(session, text):
            return self.sessions.hint(session, refusal)
        if session.turns and session.turns[-1].role == "user":
            session.turns.pop()  # it never got a reply; the chat replaces it with this message
        # Continue what this tab shows, even if another tab has continued the conversation meanwhile.
        parent = session.turns[-1].id if session.turns else None
        return Outgoing(session, self._reply(session, text, parent), text)

    def _refusal(self, session: ChatSession, text: str) -> str:
        """Why the text cannot be sent now; "" if it can."""
        texts = session.texts
        if session.busy:
            return texts.busy
        if not text.strip():
            return texts.empty_message
        if len(text) > MAX_MESSAGE:
            return texts.too_long_format.format(count=f"{len(text):,}", limit=f"{MAX_MESSAGE:,}")
        return ""

    def _reply(self, session: ChatSession, text: str, parent: str | None) -> AsyncGenerator[Any, None]:
        """One reply to a message or two, by the answer mode of the session."""
        options: dict[str, Any] = {
            "think": self._thinks(session),
            "rater": session.rater,
            "conversation": session.conversation,
            "parent": parent,
            "system": session.preferences.system,
            "sampling": session.preferences.sampling(self.chat.sampling),
        }
        mode = self._mode(session)
        if mode == "one":
            return self.chat.reply(text, seed=session.preferences.seed, **options)
        other = self.chat.other_version if mode == "versions" else None
        return self.chat.compare(text, how=mode, other=other, **options)

    def _thinks(self, session: ChatSession) -> bool:
        """Whether a reply thinks first. The page may have been drawn for a version on another model."""
        return session.thinks and self.chat.card.thinking != "none"

    def _mode(self, session: ChatSession) -> Mode:
        """The chosen answer mode, or "one" if there is no second version any more, or the model does not think."""
        is_available = {
            "versions": self.chat.other_version is not None,
            "thinking": self.chat.card.thinking != "none",
        }
        return session.mode if is_available.get(session.mode, True) else "one"

    def _reload(self, session: ChatSession) -> None:
        self.sessions.reload(session)
        if session.pair is not None and session.pair.is_same and session.turns:
            session.pair = None
            session.remark = (session.turns[-1].id, session.texts.pair_same)
        self.sessions.name_thinking(session)


def _unsent(session: ChatSession, text: str | None) -> Any:
    """The value of the message box after a failure: the message, unless it has been stored."""
    turns = list(session.turns)
    if turns and turns[-1].finish_reason in ("error", "stopped"):  # of two replies, one stops the other
        turns.pop()  # the part of the reply that was written; it can be retried
    is_stored = turns and turns[-1].role == "user" and turns[-1].content == text
    return SKIP if text is None or is_stored else text

"""What happens on each click: named functions between the page's events and the chat.

Each takes the tab's session, changes it, and returns a `Screen`. Errors meant for people become a line
under the conversation; what the person wrote goes back into the message box.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING

import gradio as gr

from assistant.errors import AssistantError
from assistant.page.screen import SKIP, Screen, redrawn, settled, whole_page, writing
from assistant.page.session import Session
from assistant.page.stream import closing
from assistant.page.words import ENGLISH, LANGUAGES, browser_language
from feedback_store import StoreError

if TYPE_CHECKING:
    from assistant.conversation import Chat, Update


class Handlers:
    """The page's handlers over one `Chat`."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    # Opening, language, new conversation

    def open(self, session: Session, request: gr.Request, memory: object = None) -> Screen:
        """The page was loaded: find the person and their conversation again."""
        self._wake(session, memory, browser_language(request.headers.get("accept-language", "")))
        return whole_page(self.chat, session)

    def _wake(self, session: Session, memory: object, language: str = ENGLISH.code) -> None:
        """Fill a new session from what the browser kept.

        Every handler begins with it: after the server was restarted, an open page goes on with a new session.
        """
        if session.rater:
            return
        session.remember(memory, language)
        if session.conversation is not None:
            try:
                session.turns = self.chat.history(session.conversation, session.rater)
            except (AssistantError, StoreError):
                session.conversation = None
                session.notice = session.words.lost_conversation

    def language(self, session: Session, memory: object = None) -> Screen:
        """Switch between the page's two languages."""
        self._wake(session, memory)
        codes = list(LANGUAGES)
        session.language = codes[(codes.index(session.language) + 1) % len(codes)]
        return whole_page(self.chat, session)

    def set_think(self, think: bool, session: Session, memory: object = None) -> Screen:
        """Remember the "think step by step" switch."""
        self._wake(session, memory)
        session.think = think
        return Screen(memory=session.memory())

    async def fresh(self, session: Session, memory: object = None) -> Screen:
        """Begin a new conversation; a reply being written is stopped and kept in the old one."""
        self._wake(session, memory)
        await self._end_stream(session)
        session.quiet()
        session.conversation, session.turns = None, []
        return whole_page(self.chat, session)

    # Messages that stream a reply

    async def send(self, text: str, session: Session, memory: object = None) -> AsyncGenerator[Screen, None]:
        """Send what is in the message box."""
        self._wake(session, memory)
        if session.busy:
            yield self._hint(session, session.words.busy)
            return
        if not text.strip():
            yield self._hint(session, session.words.empty_message)
            return
        if session.turns and session.turns[-1].role == "user":
            session.turns.pop()  # it never got its reply; the chat puts this message in its place
        updates = self.chat.reply(
            text, think=session.think, rater=session.rater, conversation=session.conversation
        )
        async with aclosing(self._stream(session, updates, text)) as screens:
            async for screen in screens:
                yield screen

    async def example(
        self, session: Session, event: gr.EventData, memory: object = None
    ) -> AsyncGenerator[Screen, None]:
        """Send an example question."""
        self._wake(session, memory)
        async with aclosing(self.send(str(event.text), session)) as screens:
            async for screen in screens:
                yield screen

    async def resend(
        self, session: Session, event: gr.EventData, memory: object = None
    ) -> AsyncGenerator[Screen, None]:
        """Send an edited message: a sibling of the original, which stays in the tree."""
        self._wake(session, memory)
        turn, text = session.turn(event.turn), str(event.text)
        if session.busy or turn is None:
            yield self._hint(session, session.words.busy if session.busy else session.words.unknown_reply)
            return
        if not text.strip():
            yield self._hint(session, session.words.empty_message)
            return
        session.turns = session.turns[: session.turns.index(turn)]
        updates = self.chat.reply(
            text,
            think=session.think,
            rater=session.rater,
            conversation=session.conversation,
            parent=turn.parent_id or "",
        )
        async with aclosing(self._stream(session, updates, text)) as screens:
            async for screen in screens:
                yield screen

    async def retry(
        self, session: Session, event: gr.EventData, memory: object = None
    ) -> AsyncGenerator[Screen, None]:
        """Answer the same message again: a sibling of the reply."""
        self._wake(session, memory)
        turn = session.turn(event.turn)
        if session.busy or turn is None:
            yield self._hint(session, session.words.busy if session.busy else session.words.unknown_reply)
            return
        session.turns = session.turns[: session.turns.index(turn)]
        updates = self.chat.retry(turn.id, think=session.think, rater=session.rater)
        async with aclosing(self._stream(session, updates, None)) as screens:
            async for screen in screens:
                yield screen

    async def stop(self, session: Session, memory: object = None) -> Screen:
        """Stop the reply being written. What is there already is kept."""
        self._wake(session, memory)
        session.stop_wanted = True
        if session.live is not None:
            await self.chat.stop(session.live.reply_id)
        return Screen()

    async def _stream(
        self, session: Session, updates: AsyncIterator[Update], text: str | None
    ) -> AsyncGenerator[Screen, None]:
        """Show a reply while it is written. `text` is the message on its way, None for a retry."""
        session.quiet()
        session.run += 1
        run, failed = session.run, False
        session.sending = session.draft = text
        session.live, session.stop_wanted, session.answering = None, False, True
        yield writing(self.chat, session, box="" if text is not None else SKIP)
        try:
            async with closing(updates) as shown:
                async for update in shown:
                    if session.run != run:
                        return
                    first = session.live is None
                    session.live, session.conversation = update, update.conversation
                    if update.thought_seconds is not None:
                        session.thought_seconds[update.reply_id] = update.thought_seconds
                    if first and session.stop_wanted:
                        await self.chat.stop(update.reply_id)
                    yield writing(self.chat, session, memory=session.memory() if first else SKIP)
        except (AssistantError, StoreError) as error:
            failed = True
            self._report(session, error)
        finally:
            if session.run == run:
                session.ended()
        if session.run == run:
            await asyncio.to_thread(self._refresh, session)
            yield settled(self.chat, session, box=text if failed and text is not None else SKIP)

    def recover(self, session: Session, memory: object = None) -> Screen:
        """A handler failed in a way nobody planned; Gradio has logged it. Make the page usable again."""
        self._wake(session, memory)
        session.ended()
        session.notice, session.notice_is_error = session.words.unexpected, True
        self._refresh(session)
        return settled(self.chat, session, box=SKIP if session.draft is None else session.draft)

    async def _end_stream(self, session: Session) -> None:
        session.run += 1
        live = session.live
        session.ended()
        if live is not None:
            await self.chat.stop(live.reply_id)

    # Changing the conversation

    def edit(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Open the edit form of a message."""
        self._wake(session, memory)
        session.quiet()
        session.editing = event.turn
        return redrawn(self.chat, session)

    def cancel(self, session: Session, memory: object = None) -> Screen:
        """Close the edit form; nothing was changed."""
        self._wake(session, memory)
        session.editing = None
        return redrawn(self.chat, session)

    def undo(self, session: Session, memory: object = None) -> Screen:
        """Take back the last exchange; its message returns to the box."""
        self._wake(session, memory)
        if session.busy or session.conversation is None:
            return self._hint(session, session.words.busy)
        session.quiet()
        try:
            text = self.chat.undo(session.conversation, session.rater)
        except (AssistantError, StoreError) as error:
            self._report(session, error)
            return redrawn(self.chat, session)
        self._refresh(session)
        return settled(self.chat, session, box=text)

    # Feedback

    def vote(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """A thumb was clicked: give it, or take it back when it was given already."""
        self._wake(session, memory)
        turn, value = session.turn(event.turn), int(event.value)
        if turn is not None and turn.rating == value:
            return self._rate(session, event, 0, [], "", open_form=False)
        return self._rate(session, event, value, [], "", open_form=True)

    def feedback(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Reasons or comment were changed: keep them at once."""
        self._wake(session, memory)
        return self._rate(session, event, int(event.value), event.reasons, event.text, open_form=True)

    def finish(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """The feedback form is done."""
        self._wake(session, memory)
        return self._rate(session, event, int(event.value), event.reasons, event.text, open_form=False)

    def withdraw(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Take a vote back, with its reasons and comment."""
        self._wake(session, memory)
        return self._rate(session, event, 0, [], "", open_form=False)

    def _rate(
        self,
        session: Session,
        event: gr.EventData,
        value: int,
        reasons: list[str],
        comment: str,
        open_form: bool,
    ) -> Screen:
        if event.order < session.vote_order:
            return (
                Screen()
            )  # Leaving the comment field by pressing "Withdraw" sends both; the later one counts.
        session.vote_order = event.order
        session.quiet()
        try:
            self.chat.rate(
                event.turn, value, [str(reason) for reason in reasons], str(comment), session.rater
            )
        except (AssistantError, StoreError) as error:
            self._report(session, error)
            return redrawn(self.chat, session)
        if not session.busy:
            self._refresh(session)
        session.rating = event.turn if open_form else None
        session.remark = (event.turn, session.words.thanks if value else session.words.withdrawn)
        return redrawn(self.chat, session)

    # What the screen shows

    def _refresh(self, session: Session) -> None:
        """Read the conversation's current path again. If it cannot be read, what is on the screen stays."""
        if session.conversation is None:
            return
        try:
            session.turns = self.chat.history(session.conversation, session.rater)
        except (AssistantError, StoreError) as error:
            self._report(session, error)

    def _report(self, session: Session, error: Exception) -> None:
        session.notice, session.notice_is_error = str(error), True

    def _hint(self, session: Session, hint: str) -> Screen:
        session.notice, session.notice_is_error = hint, False
        return redrawn(self.chat, session)

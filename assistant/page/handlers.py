"""What happens on each click: named functions between the page's events and the chat.

Every handler takes the tab's session, changes it, and returns a `Screen`. Errors meant for people become a line
under the conversation; what the person wrote goes back into the message box.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from assistant.errors import AssistantError
from assistant.page import view
from assistant.page.session import Session
from assistant.page.stream import closing
from assistant.page.words import LANGUAGES, browser_language
from feedback_store import StoreError

if TYPE_CHECKING:
    from assistant.conversation import Chat, Update

SKIP: Any = gr.skip()


class Screen(NamedTuple):
    """New values of the page's components, in the order `chat_page.py` lists them as outputs."""

    view: Any
    header: Any = SKIP
    box: Any = SKIP
    think: Any = SKIP
    send: Any = SKIP
    stop: Any = SKIP
    footnote: Any = SKIP
    memory: Any = SKIP


class Handlers:
    """The page's handlers over one `Chat`."""

    def __init__(self, chat: Chat) -> None:
        self.chat = chat

    # Opening, language, new conversation

    def open(self, memory: object, session: Session, request: gr.Request) -> Screen:
        """The page was loaded: find the person and their conversation again."""
        session.remember(memory, browser_language(request.headers.get("accept-language", "")))
        if session.conversation is not None:
            try:
                session.turns = self.chat.history(session.conversation, session.rater)
            except (AssistantError, StoreError):
                session.conversation = None
                session.notice = session.words.lost_conversation
        return self._whole_page(session)

    def language(self, session: Session) -> Screen:
        """Switch between the page's two languages."""
        codes = list(LANGUAGES)
        session.language = codes[(codes.index(session.language) + 1) % len(codes)]
        return self._whole_page(session)

    def set_think(self, think: bool, session: Session) -> Screen:
        """Remember the "think step by step" switch."""
        session.think = think
        return Screen(SKIP, memory=session.memory())

    async def fresh(self, session: Session) -> Screen:
        """Begin a new conversation; a reply being written is stopped and kept in the old one."""
        await self._end_stream(session)
        session.quiet()
        session.conversation, session.turns = None, []
        return self._whole_page(session)

    # Messages that stream a reply

    async def send(self, text: str, session: Session) -> AsyncGenerator[Screen, None]:
        """Send what is in the message box."""
        if session.busy:
            yield self._hint(session, session.words.busy)
            return
        if not text.strip():
            yield self._hint(session, session.words.empty_message)
            return
        parent = None
        if session.turns and session.turns[-1].role == "user":
            # That message never got its reply (an error); this one takes its place.
            parent = session.turns.pop().parent_id or ""
        updates = self.chat.reply(
            text, think=session.think, rater=session.rater, conversation=session.conversation, parent=parent
        )
        async with aclosing(self._stream(session, updates, text)) as screens:
            async for screen in screens:
                yield screen

    async def example(self, session: Session, event: gr.EventData) -> AsyncGenerator[Screen, None]:
        """Send an example question."""
        async with aclosing(self.send(str(event.text), session)) as screens:
            async for screen in screens:
                yield screen

    async def resend(self, session: Session, event: gr.EventData) -> AsyncGenerator[Screen, None]:
        """Send an edited message: a sibling of the original, which stays in the tree."""
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

    async def retry(self, session: Session, event: gr.EventData) -> AsyncGenerator[Screen, None]:
        """Answer the same message again: a sibling of the reply."""
        turn = session.turn(event.turn)
        if session.busy or turn is None:
            yield self._hint(session, session.words.busy if session.busy else session.words.unknown_reply)
            return
        session.turns = session.turns[: session.turns.index(turn)]
        updates = self.chat.retry(turn.id, think=session.think, rater=session.rater)
        async with aclosing(self._stream(session, updates, None)) as screens:
            async for screen in screens:
                yield screen

    async def stop(self, session: Session) -> Screen:
        """Stop the reply being written. What is there already is kept."""
        session.stop_wanted = True
        if session.live is not None:
            await self.chat.stop(session.live.reply_id)
        return Screen(SKIP)

    async def _stream(
        self, session: Session, updates: AsyncIterator[Update], text: str | None
    ) -> AsyncGenerator[Screen, None]:
        """Show a reply while it is written. `text` is the message on its way, None when one is answered again."""
        session.quiet()
        session.run += 1
        run, failed = session.run, False
        session.sending = session.draft = text
        session.live, session.stop_wanted, session.answering = None, False, True
        yield self._writing(session, box="" if text is not None else SKIP)
        try:
            async with closing(updates) as shown:
                async for update in shown:
                    if session.run != run:
                        return
                    first = session.live is None
                    session.live, session.conversation = update, update.conversation
                    if first and session.stop_wanted:
                        await self.chat.stop(update.reply_id)
                    yield self._writing(session, memory=session.memory() if first else SKIP)
        except (AssistantError, StoreError) as error:
            failed = True
            self._report(session, error)
        finally:
            if session.run == run:
                session.ended()
        if session.run == run:
            await asyncio.to_thread(self._refresh, session)
            yield self._settled(session, box=text if failed and text is not None else SKIP)

    def recover(self, session: Session) -> Screen:
        """A handler failed in a way nobody planned; Gradio has logged it. Make the page usable again."""
        session.ended()
        session.notice, session.notice_is_error = session.words.unexpected, True
        self._refresh(session)
        return self._settled(session, box=SKIP if session.draft is None else session.draft)

    async def _end_stream(self, session: Session) -> None:
        session.run += 1
        live = session.live
        session.ended()
        if live is not None:
            await self.chat.stop(live.reply_id)

    # Changing the conversation

    def edit(self, session: Session, event: gr.EventData) -> Screen:
        """Open the edit form of a message."""
        session.quiet()
        session.editing = event.turn
        return Screen(self._view(session))

    def cancel(self, session: Session) -> Screen:
        """Close the edit form; nothing was changed."""
        session.editing = None
        return Screen(self._view(session))

    def undo(self, session: Session) -> Screen:
        """Take back the last exchange; its message returns to the box."""
        if session.busy or session.conversation is None:
            return self._hint(session, session.words.busy)
        session.quiet()
        try:
            text = self.chat.undo(session.conversation, session.rater)
        except (AssistantError, StoreError) as error:
            self._report(session, error)
            return Screen(self._view(session))
        self._refresh(session)
        return self._settled(session, box=text)

    # Feedback

    def vote(self, session: Session, event: gr.EventData) -> Screen:
        """A thumb was clicked: give it, or take it back when it was given already."""
        turn, value = session.turn(event.turn), int(event.value)
        if turn is not None and turn.rating == value:
            return self.withdraw(session, event)
        return self._rate(session, event.turn, value, [], "", open_form=True)

    def feedback(self, session: Session, event: gr.EventData) -> Screen:
        """Reasons or comment were changed: keep them at once."""
        return self._rate(session, event.turn, int(event.value), event.reasons, event.text, open_form=True)

    def finish(self, session: Session, event: gr.EventData) -> Screen:
        """The feedback form is done."""
        return self._rate(session, event.turn, int(event.value), event.reasons, event.text, open_form=False)

    def withdraw(self, session: Session, event: gr.EventData) -> Screen:
        """Take a vote back, with its reasons and comment."""
        return self._rate(session, event.turn, 0, [], "", open_form=False)

    def _rate(
        self, session: Session, reply_id: str, value: int, reasons: list[str], comment: str, open_form: bool
    ) -> Screen:
        session.quiet()
        try:
            self.chat.rate(reply_id, value, [str(reason) for reason in reasons], str(comment), session.rater)
        except (AssistantError, StoreError) as error:
            self._report(session, error)
            return Screen(self._view(session))
        if not session.busy:
            self._refresh(session)
        session.rating = reply_id if open_form else None
        session.remark = (reply_id, session.words.thanks if value else session.words.withdrawn)
        return Screen(self._view(session))

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
        return Screen(self._view(session))

    def _view(self, session: Session) -> list[str]:
        return view.conversation(session, self.chat.about)

    def _header(self, session: Session) -> str:
        return view.header(session.words, self.chat.version, self.chat.about)

    def _writing(self, session: Session, box: Any = SKIP, memory: Any = SKIP) -> Screen:
        return Screen(
            self._view(session),
            box=box,
            send=gr.Button(visible=False),
            stop=gr.Button(visible=True),
            memory=memory,
        )

    def _settled(self, session: Session, box: Any = SKIP) -> Screen:
        return Screen(
            self._view(session),
            header=self._header(session),
            box=box,
            send=gr.Button(visible=True),
            stop=gr.Button(visible=False),
            memory=session.memory(),
        )

    def _whole_page(self, session: Session) -> Screen:
        words = session.words
        return Screen(
            self._view(session),
            header=self._header(session),
            box=gr.Textbox(label=words.message_label, placeholder=words.message_placeholder),
            think=gr.Checkbox(value=session.think, label=words.think),
            send=gr.Button(words.send, visible=not session.busy),
            stop=gr.Button(words.stop, visible=session.busy),
            footnote=view.footnote(words),
            memory=session.memory(),
        )

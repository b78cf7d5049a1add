"""Which path through the conversation's tree is on the screen: another branch, one turn less, a new beginning."""

from __future__ import annotations

import gradio as gr

from assistant.page.handlers.shared import ERRORS, Desk, report
from assistant.page.handlers.updates import Screen, redrawn, settled, whole_page
from assistant.page.session.chat_session import Session


class Branching:
    """Handlers of the path; nothing of the tree is ever overwritten."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.chat = desk, desk.chat

    async def fresh(self, session: Session, memory: object = None) -> Screen:
        """Begin a new conversation; a reply being written is stopped and kept in the old one."""
        self.desk.wake(session, memory)
        await self.desk.end_stream(session)
        session.quiet()
        session.conversation, session.turns = None, []
        self.desk.list_again(session)
        return whole_page(self.chat, session)

    def edit(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Open the edit form of a message."""
        self.desk.wake(session, memory)
        session.quiet()
        session.editing = event.turn
        return redrawn(self.chat, session)

    def cancel(self, session: Session, memory: object = None) -> Screen:
        """Close whatever form is open; nothing was changed."""
        self.desk.wake(session, memory)
        session.quiet()
        return redrawn(self.chat, session)

    def show(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Show the branch of another sibling."""
        self.desk.wake(session, memory)
        if session.busy:
            return self.desk.hint(session, session.texts.busy)
        session.quiet()
        session.pair = None
        try:
            self.chat.library.show(event.turn, session.rater)
        except ERRORS as error:
            report(session, error)
        self.desk.refresh(session)
        return redrawn(self.chat, session)

    def undo(self, session: Session, memory: object = None) -> Screen:
        """Take back the last exchange; its message returns to the box."""
        self.desk.wake(session, memory)
        if session.busy or session.conversation is None:
            return self.desk.hint(session, session.texts.busy)
        session.quiet()
        session.pair = None
        try:
            text = self.chat.library.undo(session.conversation, session.rater)
        except ERRORS as error:
            report(session, error)
            return redrawn(self.chat, session)
        self.desk.refresh(session)
        return settled(self.chat, session, box=text)

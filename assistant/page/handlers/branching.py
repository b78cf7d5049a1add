"""Which path through the conversation's tree is shown: another branch, one exchange less, a new conversation."""

from __future__ import annotations

import gradio as gr

from assistant.page.handlers.failures import ERRORS, report
from assistant.page.handlers.page_update import PageUpdate, conversation_update, reply_finished, whole_page
from assistant.page.handlers.session_manager import SessionManager
from assistant.page.session.chat_session import ChatSession


class BranchingHandlers:
    """Handlers that change the shown path. Messages are added to the tree, never overwritten."""

    def __init__(self, sessions: SessionManager) -> None:
        self.sessions, self.chat = sessions, sessions.chat

    def new_conversation(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Begin a new conversation; a reply being written goes on in the old one."""
        self.sessions.restore(session, memory)
        self.sessions.leave_reply(session)
        session.close_forms()
        session.conversation, session.turns = None, []
        self.sessions.reload_list(session)
        return whole_page(self.chat, session)

    def edit(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Open the edit form of a message."""
        self.sessions.restore(session, memory)
        session.close_forms()
        session.editing = event.turn
        return conversation_update(self.chat, session)

    def cancel(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Close the open form and change nothing."""
        self.sessions.restore(session, memory)
        session.close_forms()
        return conversation_update(self.chat, session)

    def show_sibling(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Show the branch of a sibling."""
        self.sessions.restore(session, memory)
        if session.busy:
            return self.sessions.hint(session, session.texts.busy)
        session.close_forms()
        session.pair = None
        try:
            self.chat.library.show(event.turn, session.rater)
        except ERRORS as error:
            report(session, error)
        self.sessions.reload(session)
        return conversation_update(self.chat, session)

    def undo(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Take back the last exchange; its message returns to the message box."""
        self.sessions.restore(session, memory)
        if session.busy or session.conversation is None:
            return self.sessions.hint(session, session.texts.busy)
        session.close_forms()
        session.pair = None
        try:
            text = self.chat.library.undo(session.conversation, session.rater)
        except ERRORS as error:
            report(session, error)
            return conversation_update(self.chat, session)
        self.sessions.reload(session)
        return reply_finished(self.chat, session, message=text)

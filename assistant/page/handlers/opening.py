"""Opening the page, its language, its switches, and changes made in other tabs."""

from __future__ import annotations

import gradio as gr

from assistant.errors import NotHere
from assistant.page.handlers.failures import ERRORS, report
from assistant.page.handlers.page_update import PageUpdate, conversation_update, whole_page
from assistant.page.handlers.session_manager import SessionManager
from assistant.page.i18n.languages import LANGUAGES, browser_language
from assistant.page.session.chat_session import ChatSession, known_mode
from assistant.page.views import conversation, sidebar


class OpeningHandlers:
    """Handlers of the page as a whole, and of the switches beside the message box."""

    def __init__(self, sessions: SessionManager) -> None:
        self.sessions, self.chat = sessions, sessions.chat

    def open(self, session: ChatSession, request: gr.Request, memory: object = None) -> PageUpdate:
        """Load the page: restore the person and their conversation."""
        self.sessions.restore(session, memory, browser_language(request.headers.get("accept-language", "")))
        session.forget_sent()
        self._tell_of_learning(session)
        return whole_page(self.chat, session)

    def _tell_of_learning(self, session: ChatSession) -> None:
        """Once after each release, say how many of the person's ratings the new version has learned from."""
        released = self.chat.engine.version.id
        if session.told == released or session.notice is not None:
            return
        try:
            given = self.chat.given_feedback(session.rater)
        except ERRORS:
            return  # the person has asked for nothing, so there is nothing to report
        if learned := sum(released in one.learned_by for one in given):
            session.told = released
            session.notice = session.texts.learned_from_you_format.format(version=released, count=learned)
            session.notice_is_error = False

    def send_all(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Send the conversation and the list whole, to a tab that misses a part of them."""
        self.sessions.restore(session, memory)
        session.forget_sent()
        return conversation_update(self.chat, session)

    def language(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Switch between the page's two languages."""
        self.sessions.restore(session, memory)
        codes = list(LANGUAGES)
        session.language = codes[(codes.index(session.language) + 1) % len(codes)]
        session.notice = None  # it is written in the other language
        return whole_page(self.chat, session)

    def check_for_changes(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Show what another tab or device has changed, unless the person is busy with something in this tab."""
        self.sessions.restore(session, memory)
        if session.is_occupied:
            return PageUpdate()
        state, stream_number = sidebar.state(session), session.stream_number
        try:
            turns = (
                self.chat.library.history(session.conversation, session.rater) if session.conversation else []
            )
        except NotHere as error:
            session.close_forms()
            report(session, error)
            session.conversation, session.turns = None, []
            self.sessions.reload_list(session)
            return whole_page(self.chat, session)
        except ERRORS:
            return PageUpdate()  # the person has asked for nothing, so there is nothing to report
        if session.stream_number != stream_number:
            return PageUpdate()
        session.turns = turns
        self.sessions.join(session)
        self.sessions.reload_list(session)
        if sidebar.state(session) == state and not session.busy:
            return PageUpdate(footnote=conversation.footnote(session.texts, session.outlook))
        header = conversation.header(session.texts, self.chat.engine.version.id, self.chat.about)
        return conversation_update(self.chat, session)._replace(header=header)

    def set_think(self, think: bool, session: ChatSession, memory: object = None) -> PageUpdate:
        """Store whether replies think first."""
        self.sessions.restore(session, memory)
        session.think = think
        return PageUpdate(memory=session.memory())

    def set_mode(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Store how many answers a message gets."""
        self.sessions.restore(session, memory)
        session.mode = known_mode(event.text)
        return PageUpdate(memory=session.memory())

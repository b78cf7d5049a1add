"""Opening the page, its language and switches."""

from __future__ import annotations

import gradio as gr

from assistant.errors import NotHere
from assistant.page.handlers.shared import ERRORS, Desk, report
from assistant.page.handlers.updates import Screen, redrawn, whole_page
from assistant.page.i18n.languages import LANGUAGES, browser_language
from assistant.page.session.chat_session import Session, known_mode
from assistant.page.views import conversation, sidebar


class Opening:
    """Handlers of the page as a whole."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.chat = desk, desk.chat

    def open(self, session: Session, request: gr.Request, memory: object = None) -> Screen:
        """The page was loaded: find the person and their conversation again."""
        self.desk.wake(session, memory, browser_language(request.headers.get("accept-language", "")))
        return whole_page(self.chat, session)

    def language(self, session: Session, memory: object = None) -> Screen:
        """Switch between the page's two languages."""
        self.desk.wake(session, memory)
        codes = list(LANGUAGES)
        session.language = codes[(codes.index(session.language) + 1) % len(codes)]
        session.notice = None  # it was told in the other one
        return whole_page(self.chat, session)

    def look(self, session: Session, memory: object = None) -> Screen:
        """Another tab or device may have changed something: show it, unless that would disturb the person here."""
        self.desk.wake(session, memory)
        if session.occupied:
            return Screen()
        before, run = sidebar.state(session), session.run
        try:
            turns = (
                self.chat.library.history(session.conversation, session.rater) if session.conversation else []
            )
        except NotHere as error:
            session.quiet()
            report(session, error)
            session.conversation, session.turns = None, []
            self.desk.list_again(session)
            return whole_page(self.chat, session)
        except ERRORS:
            return Screen()  # nobody has asked for anything that could fail
        if session.run != run:
            return Screen()
        session.turns = turns
        self.desk.list_again(session)
        if sidebar.state(session) == before:
            return Screen()
        header = conversation.header(session.texts, self.chat.engine.version.id, self.chat.about)
        return redrawn(self.chat, session)._replace(header=header)

    def set_think(self, think: bool, session: Session, memory: object = None) -> Screen:
        """Remember the "think step by step" switch."""
        self.desk.wake(session, memory)
        session.think = think
        return Screen(memory=session.memory())

    def set_mode(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Remember how many answers a message gets."""
        self.desk.wake(session, memory)
        session.mode = known_mode(event.text)
        return Screen(memory=session.memory())

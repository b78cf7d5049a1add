"""Opening the page, its language and switches."""

from __future__ import annotations

import gradio as gr

from assistant.page.desk import Desk
from assistant.page.screen import Screen, whole_page
from assistant.page.session import Session, known_mode
from assistant.page.words import LANGUAGES, browser_language


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
        return whole_page(self.chat, session)

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

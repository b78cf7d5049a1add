"""What opens over the page: settings, the version's card, and how an answer was written."""

from __future__ import annotations

from dataclasses import replace

import gradio as gr

from assistant.chat.token_steps import token_steps
from assistant.errors import NoTokens
from assistant.page.handlers.shared import ERRORS, Desk, report
from assistant.page.handlers.updates import Screen, redrawn
from assistant.page.i18n.languages import explained
from assistant.page.session.chat_session import Session, TokenView
from assistant.page.session.preferences import Preferences, preferences, preset
from assistant.page.views import dialogs, token_panel


class Panels:
    """Handlers of the panels."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.chat = desk, desk.chat

    def close(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Close whatever is open, and keep the settings as its form has them."""
        self.desk.wake(session, memory)
        session.tokens = None
        if "temperature" in event.values:
            session.preferences = self._own(event.values)
        return Screen(panel="", memory=session.memory())

    def settings(self, session: Session, memory: object = None) -> Screen:
        """Open the settings."""
        self.desk.wake(session, memory)
        return Screen(panel=dialogs.settings(session, self.chat.sampling))

    def set_preferences(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """A setting was changed. The form stays as the person left it."""
        self.desk.wake(session, memory)
        session.preferences = self._own(event.values)
        return Screen(memory=session.memory())

    def preset(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Take a preset, or the server's own settings again."""
        self.desk.wake(session, memory)
        session.preferences = preset(str(event.value), session.preferences)
        return Screen(panel=dialogs.settings(session, self.chat.sampling), memory=session.memory())

    def card(self, session: Session, memory: object = None) -> Screen:
        """Open the card of the serving version."""
        self.desk.wake(session, memory)
        return Screen(
            panel=dialogs.version_card(session.texts, self.chat.engine.version.manifest, self.chat.about)
        )

    def tokens(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Open the view of how an answer was written."""
        self.desk.wake(session, memory)
        try:
            steps = token_steps(self.chat.library.reply(event.turn, session.rater), self.chat.engine)
        except NoTokens as error:
            return self.desk.hint(session, explained(session.texts, error))
        except ERRORS as error:
            report(session, error)
            return redrawn(self.chat, session)
        session.tokens = TokenView(event.turn, steps)
        return Screen(panel=token_panel.token_panel(session))

    def token(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Look at one token."""
        self.desk.wake(session, memory)
        if session.tokens is None:
            return redrawn(self.chat, session)
        session.tokens.chosen = int(event.position)
        return Screen(panel=token_panel.token_panel(session))

    def _own(self, values: object) -> Preferences:
        """What of a form differs from the server's settings: those may change, and the person follows them."""
        given, default = preferences(values), self.chat.sampling
        same = {
            name: None
            for name in ("temperature", "top_p", "top_k", "max_new_tokens")
            if getattr(given, name) == getattr(default, name)
        }
        return replace(given, **same)  # type: ignore[arg-type]

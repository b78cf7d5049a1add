"""The panels over the page: settings, the version's card, and the tokens of a reply."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr

from assistant.chat.token_steps import token_steps
from assistant.errors import NoTokens
from assistant.page.handlers.failures import ERRORS, report
from assistant.page.handlers.page_update import PageUpdate, conversation_update
from assistant.page.handlers.session_manager import SessionManager
from assistant.page.i18n.languages import explained
from assistant.page.session.chat_session import ChatSession, TokenView
from assistant.page.session.preferences import Preferences, preferences, preset
from assistant.page.views import dialogs, token_panel


class PanelHandlers:
    """Handlers that open, change and close a panel."""

    def __init__(self, sessions: SessionManager) -> None:
        self.sessions, self.chat = sessions, sessions.chat

    def close(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Close the panel. If it is the settings, store them as the form has them."""
        self.sessions.restore(session, memory)
        session.tokens = None
        if "temperature" in event.values:
            session.preferences = self._preferences(event.values)
        return PageUpdate(panel="", memory=session.memory())

    def settings(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Open the settings."""
        self.sessions.restore(session, memory)
        return PageUpdate(panel=dialogs.settings(session, self.chat.sampling))

    def set_preferences(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Store a changed setting. The form is not drawn again."""
        self.sessions.restore(session, memory)
        session.preferences = self._preferences(event.values)
        return PageUpdate(memory=session.memory())

    def preset(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Apply a preset, or restore the server's own settings."""
        self.sessions.restore(session, memory)
        session.preferences = preset(str(event.value), session.preferences)
        return PageUpdate(panel=dialogs.settings(session, self.chat.sampling), memory=session.memory())

    def version_card(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Open the card of the released version."""
        self.sessions.restore(session, memory)
        manifest = self.chat.engine.version.manifest
        card = dialogs.version_card(session.texts, manifest, self.chat.card, self.chat.about)
        return PageUpdate(panel=card)

    def tokens(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Open the tokens of a reply."""
        self.sessions.restore(session, memory)
        try:
            steps = token_steps(self.chat.library.reply(event.turn, session.rater), self.chat.engine)
        except NoTokens as error:
            return self.sessions.hint(session, explained(session.texts, error))
        except ERRORS as error:
            report(session, error)
            return conversation_update(self.chat, session)
        session.tokens = TokenView(event.turn, steps)
        return PageUpdate(panel=token_panel.token_panel(session))

    def token(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Show the alternatives to one token."""
        self.sessions.restore(session, memory)
        if session.tokens is None:
            return conversation_update(self.chat, session)
        session.tokens.chosen = int(event.position)
        return PageUpdate(panel=token_panel.token_panel(session))

    def _preferences(self, values: object) -> Preferences:
        """The settings of a form that differ from the server's. The others stay unset: they follow the server."""
        form, default = preferences(values), self.chat.sampling
        unchanged: dict[str, Any] = {
            name: None
            for name in ("temperature", "top_p", "top_k", "max_new_tokens")
            if getattr(form, name) == getattr(default, name)
        }
        return replace(form, **unchanged)

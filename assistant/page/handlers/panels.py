"""The panels over the page: settings, the version's card, one's own feedback, and the tokens of a reply."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
from markupsafe import Markup

from assistant.admin.fix_states import fix_states
from assistant.chat.token_steps import token_steps
from assistant.errors import NoTokens
from assistant.page.handlers.failures import ERRORS, report
from assistant.page.handlers.page_update import PageUpdate, conversation_update
from assistant.page.handlers.session_manager import SessionManager
from assistant.page.i18n.languages import explained
from assistant.page.session.chat_session import ChatSession, TokenView
from assistant.page.session.preferences import Preferences, preferences, preset
from assistant.page.views import dialogs, token_panel
from assistant.page.views.conversation import footnote
from assistant.page.views.my_feedback import my_feedback


class PanelHandlers:
    """Handlers that open, change and close a panel."""

    def __init__(self, sessions: SessionManager) -> None:
        self.sessions, self.chat = sessions, sessions.chat

    def close(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Close the panel. If it is the settings, store them as the form has them."""
        self.sessions.restore(session, memory)
        session.tokens = None
        if "temperature" in event.values and self._is_newest(session, event):
            session.preferences = self._preferences(event.values)
        return PageUpdate(panel="", memory=session.memory())

    def settings(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Open the settings."""
        self.sessions.restore(session, memory)
        return PageUpdate(panel=dialogs.settings(session, self.chat.sampling))

    def set_preferences(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Store a changed setting. The form is not drawn again."""
        self.sessions.restore(session, memory)
        if self._is_newest(session, event):
            session.preferences = self._preferences(event.values)
        return PageUpdate(memory=session.memory())

    def _is_newest(self, session: ChatSession, event: gr.EventData) -> bool:
        """Whether no later event about the settings came before this one: a form that closes overtakes a change."""
        newest = event.order >= session.settings_order
        session.settings_order = max(event.order, session.settings_order)
        return newest

    def preset(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Apply a preset, or restore the server's own settings."""
        self.sessions.restore(session, memory)
        if self._is_newest(session, event):
            session.preferences = preset(str(event.value), session.preferences)
        return PageUpdate(panel=dialogs.settings(session, self.chat.sampling), memory=session.memory())

    def version_card(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Open the card of the released version."""
        self.sessions.restore(session, memory)
        manifest = self.chat.engine.version.manifest
        card = dialogs.version_card(session.texts, manifest, self.chat.card, self.chat.about)
        return PageUpdate(panel=card)

    def my_feedback(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Open what the person said of replies, and what became of it."""
        self.sessions.restore(session, memory)
        return self._with_my_feedback(session)

    def take_back(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Withdraw a rating, or a correction, from the list of one's own feedback."""
        self.sessions.restore(session, memory)
        library = self.chat.library
        try:
            if event.kind == "correction":
                library.correct(event.turn, "", session.rater)
            else:
                library.rate(event.turn, 0, [], "", session.rater)
        except ERRORS as error:
            report(session, error)
        if not session.busy:
            self.sessions.reload(session)
        return conversation_update(self.chat, session)._replace(panel=self._my_feedback(session))

    def set_consent(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Allow or forbid training on the person's messages and feedback."""
        self.sessions.restore(session, memory)
        self.chat.library.set_consent(session.rater, "consent" in event.values)
        if self.sessions.next_version is not None:
            self.sessions.next_version.recount()
        return self._with_my_feedback(session)

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

    def _with_my_feedback(self, session: ChatSession) -> PageUpdate:
        """The panel, and the line below the message box, which says the same of the next version."""
        self.sessions.look_ahead(session)
        return PageUpdate(panel=self._my_feedback(session), footnote=footnote(session.texts, session.outlook))

    def _my_feedback(self, session: ChatSession) -> Markup:
        library, rater = self.chat.library, session.rater
        given, released, home = self.chat.given_feedback(rater), self.chat.engine.version.id, self.chat.home
        has_corrected = any(not one.value for one in given)
        states = fix_states(home, released) if home is not None and has_corrected else None
        return my_feedback(session.texts, given, library.consents(rater), released, session.outlook, states)

    def _preferences(self, values: object) -> Preferences:
        """The settings of a form that differ from the server's. The others stay unset: they follow the server."""
        form, default = preferences(values), self.chat.sampling
        unchanged: dict[str, Any] = {
            name: None
            for name in ("temperature", "top_p", "top_k", "max_new_tokens")
            if getattr(form, name) == getattr(default, name)
        }
        return replace(form, **unchanged)

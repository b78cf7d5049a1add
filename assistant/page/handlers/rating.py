"""Feedback on replies: ratings with reasons and comments, corrections, comparisons."""

from __future__ import annotations

import gradio as gr

from assistant.page.handlers.failures import ERRORS, report
from assistant.page.handlers.page_update import PageUpdate, conversation_update
from assistant.page.handlers.session_manager import SessionManager
from assistant.page.session.chat_session import ChatSession
from feedback_store.records import CHOICES


class RatingHandlers:
    """Handlers of every kind of feedback."""

    def __init__(self, sessions: SessionManager) -> None:
        self.sessions, self.chat = sessions, sessions.chat

    # Ratings

    def rate_reply(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Rate a reply by its thumb: 1 or -1; 0, from a thumb that is pressed, withdraws the rating."""
        self.sessions.restore(session, memory)
        value = int(event.value)
        return self._rate(session, event, value, [], "", open_form=value != 0)

    def feedback(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Store a change of the reasons or of the comment at once."""
        self.sessions.restore(session, memory)
        # Going on from the comment to a better answer sends the comment too, and that may come later.
        correcting = session.correcting if session.correcting == event.turn else None
        value = int(event.value)
        return self._rate(
            session, event, value, event.reasons, event.text, open_form=not correcting, correcting=correcting
        )

    def finish(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Store the feedback form and close it."""
        self.sessions.restore(session, memory)
        return self._rate(session, event, int(event.value), event.reasons, event.text, open_form=False)

    def withdraw(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Withdraw a rating with its reasons and its comment."""
        self.sessions.restore(session, memory)
        return self._rate(session, event, 0, [], "", open_form=False)

    def _rate(
        self,
        session: ChatSession,
        event: gr.EventData,
        value: int,
        reasons: list[str],
        comment: str,
        open_form: bool,
        correcting: str | None = None,
    ) -> PageUpdate:
        if event.order < session.rating_order:
            # Pressing "Withdraw" in the comment field sends the comment too; the later event counts.
            return PageUpdate()
        session.rating_order = event.order
        session.close_forms()
        session.correcting = correcting
        try:
            self.chat.library.rate(
                event.turn, value, [str(reason) for reason in reasons], str(comment), session.rater
            )
        except ERRORS as error:
            report(session, error)
            return conversation_update(self.chat, session)
        if not session.busy:
            self.sessions.reload(session)
        session.rating = event.turn if open_form else None
        session.remark = (event.turn, session.texts.thanks if value else session.texts.withdrawn)
        return conversation_update(self.chat, session)

    # Corrections

    def correct(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Open the form for a correction."""
        self.sessions.restore(session, memory)
        session.close_forms()
        session.correcting = event.turn
        return conversation_update(self.chat, session)

    def keep_correction(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Store the correction; one that changes nothing is not stored."""
        self.sessions.restore(session, memory)
        turn, text = session.turn(event.turn), str(event.text).strip()
        session.close_forms()
        if turn is None or not text or text == turn.content.strip():
            session.correcting = event.turn
            session.remark = (event.turn, session.texts.correction_same)
            return conversation_update(self.chat, session)
        return self._correct(session, event.turn, text, session.texts.corrected)

    def remove_correction(
        self, session: ChatSession, event: gr.EventData, memory: object = None
    ) -> PageUpdate:
        """Withdraw the correction."""
        self.sessions.restore(session, memory)
        session.close_forms()
        return self._correct(session, event.turn, "", session.texts.uncorrected)

    def _correct(self, session: ChatSession, reply_id: str, text: str, remark: str) -> PageUpdate:
        try:
            self.chat.library.correct(reply_id, text, session.rater)
        except ERRORS as error:
            report(session, error)
            return conversation_update(self.chat, session)
        if not session.busy:
            self.sessions.reload(session)
        session.remark = (reply_id, remark)
        return conversation_update(self.chat, session)

    # Comparisons

    def choose(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Store which of two replies is better, then show their versions."""
        self.sessions.restore(session, memory)
        pair, choice = session.pair, next((choice for choice in CHOICES if choice == event.value), None)
        if pair is None or session.busy or pair.choice is not None or choice is None:
            return conversation_update(self.chat, session)
        session.close_forms()
        try:
            self.chat.library.choose(pair.left_id, pair.right_id, choice, pair.how, session.rater)
        except ERRORS as error:
            report(session, error)
            return conversation_update(self.chat, session)
        pair.choice = choice
        self.sessions.reload(session)
        return conversation_update(self.chat, session)._replace(memory=session.memory())

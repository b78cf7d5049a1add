"""Thumbs, better answers, and the choice between two: what people say of replies."""

from __future__ import annotations

from typing import get_args

import gradio as gr

from assistant.page.handlers.shared import ERRORS, Desk, report
from assistant.page.handlers.updates import Screen, redrawn
from assistant.page.session.chat_session import Session
from feedback_store.records import Choice

CHOICES: tuple[Choice, ...] = get_args(Choice)


class Judging:
    """Handlers of every judgement."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.chat = desk, desk.chat

    # Thumbs

    def vote(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """A thumb was clicked: give it, or take it back when it was given already."""
        self.desk.wake(session, memory)
        turn, value = session.turn(event.turn), int(event.value)
        if turn is not None and turn.rating == value:
            return self._rate(session, event, 0, [], "", open_form=False)
        return self._rate(session, event, value, [], "", open_form=True)

    def feedback(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Reasons or comment were changed: keep them at once."""
        self.desk.wake(session, memory)
        return self._rate(session, event, int(event.value), event.reasons, event.text, open_form=True)

    def finish(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """The feedback form is done."""
        self.desk.wake(session, memory)
        return self._rate(session, event, int(event.value), event.reasons, event.text, open_form=False)

    def withdraw(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Take a vote back, with its reasons and comment."""
        self.desk.wake(session, memory)
        return self._rate(session, event, 0, [], "", open_form=False)

    def _rate(
        self,
        session: Session,
        event: gr.EventData,
        value: int,
        reasons: list[str],
        comment: str,
        open_form: bool,
    ) -> Screen:
        if event.order < session.vote_order:
            return Screen()  # Leaving the comment by pressing "Withdraw" sends both; the later one counts.
        session.vote_order = event.order
        session.quiet()
        try:
            self.chat.library.rate(
                event.turn, value, [str(reason) for reason in reasons], str(comment), session.rater
            )
        except ERRORS as error:
            report(session, error)
            return redrawn(self.chat, session)
        if not session.busy:
            self.desk.refresh(session)
        session.rating = event.turn if open_form else None
        session.remark = (event.turn, session.texts.thanks if value else session.texts.withdrawn)
        return redrawn(self.chat, session)

    # Better answers

    def correct(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Open the form for a better answer."""
        self.desk.wake(session, memory)
        session.quiet()
        session.correcting = event.turn
        return redrawn(self.chat, session)

    def keep_correction(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Keep the better answer that was written."""
        self.desk.wake(session, memory)
        turn, text = session.turn(event.turn), str(event.text).strip()
        session.quiet()
        if turn is None or not text or text == turn.content.strip():
            session.correcting = event.turn
            session.remark = (event.turn, session.texts.correction_same)
            return redrawn(self.chat, session)
        return self._correct(session, event.turn, text, session.texts.corrected)

    def remove_correction(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Take the better answer back."""
        self.desk.wake(session, memory)
        session.quiet()
        return self._correct(session, event.turn, "", session.texts.uncorrected)

    def _correct(self, session: Session, reply_id: str, text: str, remark: str) -> Screen:
        try:
            self.chat.library.correct(reply_id, text, session.rater)
        except ERRORS as error:
            report(session, error)
            return redrawn(self.chat, session)
        if not session.busy:
            self.desk.refresh(session)
        session.remark = (reply_id, remark)
        return redrawn(self.chat, session)

    # Side by side

    def choose(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """One of two answers is better, or both are alike. Then their names are told."""
        self.desk.wake(session, memory)
        pair, choice = session.pair, next((known for known in CHOICES if known == event.value), None)
        if pair is None or session.busy or pair.choice is not None or choice is None:
            return redrawn(self.chat, session)
        session.quiet()
        try:
            self.chat.library.choose(pair.left_id, pair.right_id, choice, pair.how, session.rater)
        except ERRORS as error:
            report(session, error)
            return redrawn(self.chat, session)
        pair.choice = choice
        self.desk.refresh(session)
        return redrawn(self.chat, session)

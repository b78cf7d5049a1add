"""What every handler stands on: who is there, their session woken and read again, and what to say when it fails."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from assistant.errors import AssistantError, ConversationError, EngineBusy, PromptError
from assistant.page.gradio_compat import current_request
from assistant.page.handlers.updates import Screen, redrawn
from assistant.page.i18n.languages import ENGLISH, explained
from assistant.page.session.chat_session import Session
from assistant.page.session.visitor import account_of, is_admin
from feedback_store import StoreError

if TYPE_CHECKING:
    from assistant.auth.accounts import Accounts
    from assistant.auth.admins import Admins
    from assistant.chat.chat import Chat

log = logging.getLogger(__name__)

ERRORS = (AssistantError, StoreError)
"""What people are told of; anything else is a bug, and Gradio logs it."""


class Desk:
    """The chat, and who may sit down at it."""

    def __init__(self, chat: Chat, accounts: Accounts | None = None, admins: Admins | None = None) -> None:
        self.chat = chat
        self._accounts, self._admins = accounts, admins

    def wake(self, session: Session, memory: object, language: str = ENGLISH.code) -> None:
        """Fill a new session from what the browser kept, and from who has signed in.

        Every handler begins with it: after the server was restarted, an open page goes on with a new session; and
        when somebody has signed in or out in another tab, this one is not the earlier person's any more.
        """
        request = current_request()
        account = account_of(request, self._accounts)
        if session.rater and session.account == account:
            return
        session.remember(memory, language, account)
        session.way_in = self._accounts.way if self._accounts else None
        session.admin = is_admin(request, self._admins)
        if session.conversation is not None:
            try:
                session.turns = self.chat.library.history(session.conversation, session.rater)
            except ERRORS:
                session.conversation = None
                session.notice = session.texts.lost_conversation
        self.list_again(session)

    def refresh(self, session: Session) -> None:
        """Read the conversation's current path again. If it cannot be read, what is on the screen stays."""
        try:
            if session.conversation is not None:
                session.turns = self.chat.library.history(session.conversation, session.rater)
        except ERRORS as error:
            report(session, error)
        self.list_again(session)

    def list_again(self, session: Session) -> None:
        """Read the list of conversations again. If it cannot be read, what is on the screen stays."""
        try:
            session.conversations = self.chat.library.conversations(session.rater, session.search)
        except ERRORS as error:
            report(session, error)

    def hint(self, session: Session, text: str) -> Screen:
        """Show a line under the conversation that is no error."""
        session.notice, session.notice_is_error = text, False
        return redrawn(self.chat, session)

    async def end_stream(self, session: Session) -> None:
        """Stop the reply being written, if there is one, and let its stream find that it is over."""
        session.run += 1
        ids = session.writing_ids()
        session.ended()
        session.pair = None
        for reply_id in ids:
            await self.chat.in_progress.stop(reply_id)


def report(session: Session, error: Exception) -> None:
    """Show an error under the conversation, in the page's language; its own sentence goes to the log."""
    level = (
        logging.INFO if isinstance(error, (PromptError, ConversationError, EngineBusy)) else logging.WARNING
    )
    log.log(level, "told somebody of a %s: %s", type(error).__name__, error)
    session.notice, session.notice_is_error = explained(session.texts, error), True

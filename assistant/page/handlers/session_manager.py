"""Sessions of tabs: identify the person, restore the session, read it again from the store, stop its reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.chat.reply_stream import Update
from assistant.page.handlers.failures import ERRORS, report
from assistant.page.handlers.page_update import PageUpdate, conversation_update
from assistant.page.i18n.languages import ENGLISH
from assistant.page.session.chat_session import AnswerPair, ChatSession
from assistant.page.session.gradio_compat import current_request
from assistant.page.session.running_replies import RunningReplies
from assistant.page.session.visitor import account_of, is_admin

if TYPE_CHECKING:
    from assistant.admin.next_version import NextVersion
    from assistant.auth.accounts import Accounts
    from assistant.auth.admins import Admins
    from assistant.chat.chat import Chat


class SessionManager:
    """The sessions of all tabs over one chat; with `accounts` people can sign in, with `admins` some are admins."""

    def __init__(
        self,
        chat: Chat,
        accounts: Accounts | None = None,
        admins: Admins | None = None,
        next_version: NextVersion | None = None,
    ) -> None:
        """`next_version`: what the next version waits for; None on a page that does not say so."""
        self.chat = chat
        self.next_version = next_version
        self.running = RunningReplies()
        self._accounts, self._admins = accounts, admins

    def restore(self, session: ChatSession, memory: object, language: str = ENGLISH.code) -> None:
        """Fill a new session from what the browser stored and from who has signed in.

        Every handler calls it first. After a restart of the server an open tab continues with a new session; and when
        somebody has signed in or out in another tab, this tab must not stay with the person before.
        """
        request = current_request()
        account = account_of(request, self._accounts)
        if session.rater and session.account == account:
            return
        session.restore(memory, language, account)
        session.thinking = self.chat.card.thinking
        session.way_in = self._accounts.way if self._accounts else None
        session.admin = is_admin(request, self._admins)
        if session.conversation is not None:
            try:
                session.turns = self.chat.library.history(session.conversation, session.rater)
                self._restore_pair(session)
                self.join(session)
            except ERRORS:
                session.conversation = None
                session.notice = session.texts.lost_conversation
        self.reload_list(session)

    def join(self, session: ChatSession) -> None:
        """Show the reply that is being written in the open conversation, if any; the page then asks to follow it."""
        reply = self.running.of(session.conversation)
        if reply is not None:
            session.show_running(reply)

    def _restore_pair(self, session: ChatSession) -> None:
        """Show two replies side by side again that were waiting for a choice."""
        unchosen, last = session.unchosen, session.turns[-1] if session.turns else None
        if unchosen is None or last is None or last.id not in (unchosen.left, unchosen.right):
            return
        if not {unchosen.left, unchosen.right} <= set(last.siblings):
            return
        left, right = (self._shown(reply_id, session.rater) for reply_id in unchosen[1:])
        pair = AnswerPair(unchosen.how, left, right)
        session.pair = None if pair.is_same else pair
        self.name_thinking(session)

    def _shown(self, reply_id: str, rater: str) -> Update:
        """A stored reply as the update that its reader saw last."""
        reply, turn = self.chat.library.reply(reply_id, rater), self.chat.library.turn(reply_id, rater)
        return Update(
            reply_id,
            reply.conversation_id,
            turn.thought or "",
            turn.content,
            reply.version,
            thinking=False,
            finish_reason=turn.finish_reason,
            seconds=0.0,
            thought_seconds=turn.thought_seconds,
        )

    def name_thinking(self, session: ChatSession) -> None:
        """Find out which of two replies side by side thought first. Raises what `Library.reply` raises."""
        pair = session.pair
        if pair is not None:
            sides = {"left": pair.left_id, "right": pair.right_id}
            pair.thinking = tuple(
                side
                for side, reply_id in sides.items()
                if self.chat.library.reply(reply_id, session.rater).think
            )

    def reload(self, session: ChatSession) -> None:
        """Read conversation and list from the store. What cannot be read stays as it was, with a notice."""
        try:
            if session.conversation is not None:
                session.turns = self.chat.library.history(session.conversation, session.rater)
        except ERRORS as error:
            report(session, error)
        self.reload_list(session)

    def reload_list(self, session: ChatSession) -> None:
        """Read the list of conversations, and what the next version waits for.

        What cannot be read stays as it was, with a notice.
        """
        self.look_ahead(session)
        try:
            session.conversations = self.chat.library.conversations(session.rater, session.search)
        except ERRORS as error:
            report(session, error)

    def look_ahead(self, session: ChatSession) -> None:
        """Find out what the next version waits for."""
        session.outlook = self.next_version.outlook() if self.next_version else None

    def hint(self, session: ChatSession, text: str) -> PageUpdate:
        """Show a notice that is not an error."""
        session.notice, session.notice_is_error = text, False
        return conversation_update(self.chat, session)

    def leave_reply(self, session: ChatSession) -> None:
        """Show the reply being written no longer, because the tab opens something else; it is written on.

        Its handler sees the new stream number and ends.
        """
        session.stream_number += 1
        session.end_reply()
        session.pair = None

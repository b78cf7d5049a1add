"""The list of conversations: open, find, rename, delete, carry out and in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import gradio as gr

from assistant.chat import conversation_file
from assistant.errors import ConversationFileError
from assistant.page.handlers.shared import ERRORS, Desk, report
from assistant.page.handlers.updates import Screen, download, list_only, redrawn, whole_page
from assistant.page.session.chat_session import Session

if TYPE_CHECKING:
    from feedback_store import Conversation, Message


class Shelving:
    """Handlers of the list beside the conversation."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.chat = desk, desk.chat

    async def switch(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Open another conversation; a reply being written is stopped and kept in its own."""
        self.desk.wake(session, memory)
        await self.desk.end_stream(session)
        return self._opened(session, event.turn)

    def find(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """List the conversations that contain this text."""
        self.desk.wake(session, memory)
        session.search = str(event.text)[:200]
        self.desk.list_again(session)
        return list_only(session)

    def ask_rename(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Open the form for another name."""
        self.desk.wake(session, memory)
        session.quiet()
        session.renaming = event.turn
        return redrawn(self.chat, session)

    def rename(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Give a conversation another name; an empty one gives it its first message's again."""
        self.desk.wake(session, memory)
        session.quiet()
        try:
            self.chat.library.rename(event.turn, str(event.text).strip()[:200], session.rater)
        except ERRORS as error:
            report(session, error)
        self.desk.list_again(session)
        return redrawn(self.chat, session)

    def ask_delete(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Ask before a conversation is deleted."""
        self.desk.wake(session, memory)
        session.quiet()
        session.deleting = event.turn
        return redrawn(self.chat, session)

    async def delete(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Delete a conversation with its answers and votes."""
        self.desk.wake(session, memory)
        session.quiet()
        if event.turn == session.conversation:
            await self.desk.end_stream(session)
        try:
            self.chat.library.delete(event.turn, session.rater)
        except ERRORS as error:
            report(session, error)
        else:
            session.notice = session.texts.deleted
            if event.turn == session.conversation:
                session.conversation, session.turns = None, []
        self.desk.list_again(session)
        return whole_page(self.chat, session)

    def export_markdown(self, session: Session, memory: object = None) -> Screen:
        """The shown path as a file to read."""
        self.desk.wake(session, memory)
        texts = session.texts
        names = {
            "system": texts.system,
            "user": texts.you,
            "assistant": texts.assistant,
            "thought": texts.thought,
        }
        conversation, tree = self._open_tree(session)
        if conversation is None:
            return redrawn(self.chat, session)
        shown = {turn.id for turn in session.turns}
        path = [message for message in tree if message.id in shown]
        text = conversation_file.as_markdown(conversation.title, path, names)
        return download(session, f"{_file_name(conversation.title)}.md", "text/markdown", text)

    def export_json(self, session: Session, memory: object = None) -> Screen:
        """Every branch as a file that can be opened again."""
        self.desk.wake(session, memory)
        conversation, tree = self._open_tree(session)
        if conversation is None:
            return redrawn(self.chat, session)
        text = conversation_file.as_json(conversation, tree)
        return download(session, f"{_file_name(conversation.title)}.json", "application/json", text)

    def bring(self, session: Session, event: gr.EventData, memory: object = None) -> Screen:
        """Open a saved file as a new conversation."""
        self.desk.wake(session, memory)
        if session.busy:
            return self.desk.hint(session, session.texts.busy)
        session.quiet()
        try:
            conversation = self.chat.import_conversation(str(event.text), session.rater)
        except ConversationFileError as error:
            session.notice, session.notice_is_error = session.texts.import_refused[error.reason], True
            return redrawn(self.chat, session)
        except ERRORS as error:
            report(session, error)
            return redrawn(self.chat, session)
        screen = self._opened(session, conversation)
        session.notice = session.texts.imported
        return screen._replace(view=redrawn(self.chat, session).view)

    def _opened(self, session: Session, conversation: str) -> Screen:
        session.quiet()
        session.pair = None
        try:
            session.turns = self.chat.library.history(conversation, session.rater)
            session.conversation = conversation
        except ERRORS as error:
            report(session, error)
        self.desk.list_again(session)
        return whole_page(self.chat, session)

    def _open_tree(self, session: Session) -> tuple[Conversation | None, list[Message]]:
        """The open conversation with every message of it; None if it cannot be read, which is then reported."""
        try:
            conversation = self.chat.library.owned(session.conversation or "", session.rater)
            return conversation, self.chat.library.tree(conversation.id, session.rater)
        except ERRORS as error:
            report(session, error)
            return None, []


def _file_name(title: str) -> str:
    """A title as a file's name that every system takes."""
    return re.sub(r"[^\w\- ]+", "", title).strip()[:60] or "conversation"

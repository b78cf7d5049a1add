"""The list of conversations: open, search, rename, delete, and save to and load from a file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import gradio as gr

from assistant.chat import conversation_file
from assistant.errors import ConversationFileError
from assistant.page.handlers.failures import ERRORS, report
from assistant.page.handlers.page_update import (
    PageUpdate,
    conversation_update,
    file_download,
    list_update,
    whole_page,
)
from assistant.page.handlers.session_manager import SessionManager
from assistant.page.session.chat_session import ChatSession

if TYPE_CHECKING:
    from feedback_store import Conversation, Message


class ConversationListHandlers:
    """Handlers of the list beside the conversation and of the buttons below it."""

    def __init__(self, sessions: SessionManager) -> None:
        self.sessions, self.chat = sessions, sessions.chat

    def open_conversation(
        self, session: ChatSession, event: gr.EventData, memory: object = None
    ) -> PageUpdate:
        """Open another conversation; a reply being written goes on in the one before."""
        self.sessions.restore(session, memory)
        self.sessions.leave_reply(session)
        return self._open(session, event.turn)

    def search(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """List only the conversations that contain the text in the search field."""
        self.sessions.restore(session, memory)
        session.search = str(event.text)[:200]
        self.sessions.reload_list(session)
        return list_update(session)

    def ask_rename(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Open the form for a new title."""
        self.sessions.restore(session, memory)
        session.close_forms()
        session.renaming = event.turn
        return conversation_update(self.chat, session)

    def rename(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Give a conversation a new title; an empty one restores the title made from its first message."""
        self.sessions.restore(session, memory)
        session.close_forms()
        try:
            self.chat.library.rename(event.turn, str(event.text).strip()[:200], session.rater)
        except ERRORS as error:
            report(session, error)
        self.sessions.reload_list(session)
        return conversation_update(self.chat, session)

    def ask_delete(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Ask for confirmation before a conversation is deleted."""
        self.sessions.restore(session, memory)
        session.close_forms()
        session.deleting = event.turn
        return conversation_update(self.chat, session)

    async def delete(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Delete a conversation with its replies and ratings."""
        self.sessions.restore(session, memory)
        session.close_forms()
        if event.turn == session.conversation:
            self.sessions.leave_reply(session)
        try:
            self.chat.library.owned(event.turn, session.rater)
            if (reply := self.sessions.running.of(event.turn)) is not None:
                await reply.end()  # what is stored after the deletion would not be deleted
            self.chat.library.delete(event.turn, session.rater)
        except ERRORS as error:
            report(session, error)
        else:
            session.notice = session.texts.deleted
            if event.turn == session.conversation:
                session.conversation, session.turns = None, []
        self.sessions.reload_list(session)
        return whole_page(self.chat, session)

    def export_markdown(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Save the shown path as a Markdown file for reading."""
        self.sessions.restore(session, memory)
        texts = session.texts
        speakers = {
            "system": texts.system,
            "user": texts.you,
            "assistant": texts.assistant,
            "thought": texts.thought,
        }
        conversation, tree = self._open_tree(session)
        if conversation is None:
            return conversation_update(self.chat, session)
        shown_ids = {turn.id for turn in session.turns}
        path = [message for message in tree if message.id in shown_ids]
        text = conversation_file.as_markdown(conversation.title, path, speakers)
        return file_download(f"{_file_name(conversation.title)}.md", "text/markdown", text)

    def export_json(self, session: ChatSession, memory: object = None) -> PageUpdate:
        """Save every branch as a JSON file that `import_file` can open."""
        self.sessions.restore(session, memory)
        conversation, tree = self._open_tree(session)
        if conversation is None:
            return conversation_update(self.chat, session)
        text = conversation_file.as_json(conversation, tree)
        return file_download(f"{_file_name(conversation.title)}.json", "application/json", text)

    def import_file(self, session: ChatSession, event: gr.EventData, memory: object = None) -> PageUpdate:
        """Open a saved file as a new conversation."""
        self.sessions.restore(session, memory)
        if session.busy:
            return self.sessions.hint(session, session.texts.busy)
        session.close_forms()
        try:
            conversation = self.chat.import_conversation(str(event.text), session.rater)
        except ConversationFileError as error:
            session.notice, session.notice_is_error = session.texts.import_refused[error.reason], True
            return conversation_update(self.chat, session)
        except ERRORS as error:
            report(session, error)
            return conversation_update(self.chat, session)
        update = self._open(session, conversation)
        session.notice = session.texts.imported
        return update._replace(conversation=conversation_update(self.chat, session).conversation)

    def _open(self, session: ChatSession, conversation: str) -> PageUpdate:
        session.close_forms()
        session.pair = None
        try:
            session.turns = self.chat.library.history(conversation, session.rater)
            session.conversation = conversation
            self.sessions.join(session)
        except ERRORS as error:
            report(session, error)
        self.sessions.reload_list(session)
        return whole_page(self.chat, session)

    def _open_tree(self, session: ChatSession) -> tuple[Conversation | None, list[Message]]:
        """The open conversation and all its messages; None and a notice if it cannot be read."""
        try:
            conversation = self.chat.library.owned(session.conversation or "", session.rater)
            return conversation, self.chat.library.tree(conversation.id, session.rater)
        except ERRORS as error:
            report(session, error)
            return None, []


def _file_name(title: str) -> str:
    """A title without the characters that some systems do not allow in file names."""
    return re.sub(r"[^\w\- ]+", "", title).strip()[:60] or "conversation"

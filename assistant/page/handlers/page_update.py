"""A tab's session → new values of the page's components."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from assistant.page.session.chat_session import ChatSession
from assistant.page.views import conversation as view
from assistant.page.views import sidebar
from assistant.page.views.templates import render

if TYPE_CHECKING:
    from assistant.chat.chat import Chat

SKIP: Any = gr.skip()


class PageUpdate(NamedTuple):
    """New values of the components, by their names in `ChatLayout`; SKIP leaves a component as it is.

    Conversation and list are lists of blocks here; `in_patches` makes of them what a tab does not have yet.
    """

    conversation: Any = SKIP
    header: Any = SKIP
    sidebar_top: Any = SKIP
    conversation_list: Any = SKIP
    sidebar_bottom: Any = SKIP
    message: Any = SKIP
    think: Any = SKIP
    answer_mode: Any = SKIP
    send: Any = SKIP
    stop: Any = SKIP
    footnote: Any = SKIP
    panel: Any = SKIP
    download: Any = SKIP
    memory: Any = SKIP


def conversation_update(chat: Chat, session: ChatSession) -> PageUpdate:
    """The conversation, the list of conversations, and what the next version waits for."""
    opening = view.welcome(session.texts, chat.card, chat.about)
    return PageUpdate(
        view.conversation(session, opening),
        conversation_list=sidebar.conversation_list(session),
        sidebar_bottom=sidebar.sidebar_bottom(session),
        footnote=view.footnote(session.texts, session.outlook),
    )


def list_update(session: ChatSession) -> PageUpdate:
    """The list of conversations only."""
    return PageUpdate(conversation_list=sidebar.conversation_list(session))


def reply_started(session: ChatSession) -> PageUpdate:
    """The first update of a reply: "Stop" instead of "Send"."""
    return reply_progress(session)._replace(send=gr.Button(visible=False), stop=gr.Button(visible=True))


def reply_progress(session: ChatSession, memory: Any = SKIP) -> PageUpdate:
    """One update of a reply. It names few components, because each one costs time in every update."""
    return PageUpdate(view.conversation(session), memory=memory)


def reply_finished(chat: Chat, session: ChatSession, message: Any = SKIP) -> PageUpdate:
    """The last update of a reply: "Send" instead of "Stop", and the version, which may have changed meanwhile."""
    return conversation_update(chat, session)._replace(
        header=view.header(session.texts, chat.engine.version.id, chat.about),
        message=message,
        send=gr.Button(visible=True),
        stop=gr.Button(visible=False),
        memory=session.memory(),
    )


def whole_page(chat: Chat, session: ChatSession) -> PageUpdate:
    """Every component, in the session's language and as the released version's model needs it."""
    texts, card = session.texts, chat.card
    placeholder, session.thinking = card.texts[texts.code].placeholder, card.thinking
    return conversation_update(chat, session)._replace(
        header=view.header(texts, chat.engine.version.id, chat.about),
        sidebar_top=sidebar.sidebar_top(session),
        message=gr.Textbox(label=texts.message_label, placeholder=placeholder),
        think=gr.Checkbox(value=session.thinks, label=texts.think, visible=session.thinking != "none"),
        answer_mode=view.answer_mode(session, chat.other_version),
        send=gr.Button(texts.send, visible=not session.busy),
        stop=gr.Button(texts.stop, visible=session.busy),
        panel="",
        memory=session.memory(),
    )


def file_download(name: str, media_type: str, text: str) -> PageUpdate:
    """A file for the browser to save; the page's script follows the link."""
    data = base64.b64encode(text.encode()).decode()
    number = secrets.token_hex(4)  # a new one each time: the same file twice is two downloads
    return PageUpdate(
        download=render("chat/download.html", name=name, number=number, media_type=media_type, data=data)
    )

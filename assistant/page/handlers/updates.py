"""A session → new values of the page's components."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from assistant.page.session.chat_session import Session
from assistant.page.views import conversation as view
from assistant.page.views import sidebar
from assistant.page.views.templates import render

if TYPE_CHECKING:
    from assistant.chat.chat import Chat

SKIP: Any = gr.skip()


class Screen(NamedTuple):
    """New values of the components, in the order `chat_page.py` lists them as outputs; SKIP leaves one alone."""

    view: Any = SKIP
    header: Any = SKIP
    side: Any = SKIP
    conversations: Any = SKIP
    box: Any = SKIP
    think: Any = SKIP
    mode: Any = SKIP
    send: Any = SKIP
    stop: Any = SKIP
    footnote: Any = SKIP
    panel: Any = SKIP
    outbox: Any = SKIP
    memory: Any = SKIP


def redrawn(chat: Chat, session: Session) -> Screen:
    """Conversation and list drawn again, all else left alone."""
    return Screen(view.conversation(session, chat.about), conversations=sidebar.conversation_list(session))


def list_only(session: Session) -> Screen:
    """The list drawn again."""
    return Screen(conversations=sidebar.conversation_list(session))


def writing(session: Session, box: Any = SKIP) -> Screen:
    """A reply begins to be written: "Stop" instead of "Send"."""
    return growing(session)._replace(box=box, send=gr.Button(visible=False), stop=gr.Button(visible=True))


def growing(session: Session, memory: Any = SKIP) -> Screen:
    """A reply goes on. Each component that is named makes every update dearer: the buttons stay as they are."""
    return Screen(view.conversation(session, about=""), memory=memory)


def settled(chat: Chat, session: Session, box: Any = SKIP) -> Screen:
    """No reply is being written. The header too: the version may have changed meanwhile."""
    return redrawn(chat, session)._replace(
        header=view.header(session.texts, chat.engine.version.id, chat.about),
        box=box,
        send=gr.Button(visible=True),
        stop=gr.Button(visible=False),
        memory=session.memory(),
    )


def whole_page(chat: Chat, session: Session) -> Screen:
    """Everything, in the session's language."""
    texts = session.texts
    return redrawn(chat, session)._replace(
        header=view.header(texts, chat.engine.version.id, chat.about),
        side=sidebar.sidebar_top(session),
        box=gr.Textbox(label=texts.message_label, placeholder=texts.message_placeholder),
        think=gr.Checkbox(value=session.think, label=texts.think),
        mode=view.answer_mode(session, chat.other_version),
        send=gr.Button(texts.send, visible=not session.busy),
        stop=gr.Button(texts.stop, visible=session.busy),
        footnote=view.footnote(texts),
        panel="",
        memory=session.memory(),
    )


def download(session: Session, name: str, kind: str, text: str) -> Screen:
    """A file for the browser to save; the page's script follows the link."""
    data = base64.b64encode(text.encode()).decode()
    # A new number each time: the same file twice is two downloads.
    number = secrets.token_hex(4)
    return Screen(outbox=render("chat/download.html", name=name, number=number, media_type=kind, data=data))

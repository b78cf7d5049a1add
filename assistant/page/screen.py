"""A session → new values of the page's components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr

from assistant.page import view
from assistant.page.session import Session

if TYPE_CHECKING:
    from assistant.conversation import Chat

SKIP: Any = gr.skip()


class Screen(NamedTuple):
    """New values of the components, in the order `chat_page.py` lists them as outputs; SKIP leaves one alone."""

    view: Any = SKIP
    header: Any = SKIP
    box: Any = SKIP
    think: Any = SKIP
    send: Any = SKIP
    stop: Any = SKIP
    footnote: Any = SKIP
    memory: Any = SKIP


def redrawn(chat: Chat, session: Session) -> Screen:
    """The conversation drawn again, all else left alone."""
    return Screen(view.conversation(session, chat.about))


def writing(chat: Chat, session: Session, box: Any = SKIP, memory: Any = SKIP) -> Screen:
    """A reply is being written: "Stop" instead of "Send"."""
    return Screen(
        view.conversation(session, chat.about),
        box=box,
        send=gr.Button(visible=False),
        stop=gr.Button(visible=True),
        memory=memory,
    )


def settled(chat: Chat, session: Session, box: Any = SKIP) -> Screen:
    """No reply is being written. The header too: the version may have changed meanwhile."""
    return Screen(
        view.conversation(session, chat.about),
        header=view.header(session.words, chat.version, chat.about),
        box=box,
        send=gr.Button(visible=True),
        stop=gr.Button(visible=False),
        memory=session.memory(),
    )


def whole_page(chat: Chat, session: Session) -> Screen:
    """Everything, in the session's language."""
    words = session.words
    return Screen(
        view.conversation(session, chat.about),
        header=view.header(words, chat.version, chat.about),
        box=gr.Textbox(label=words.message_label, placeholder=words.message_placeholder),
        think=gr.Checkbox(value=session.think, label=words.think),
        send=gr.Button(words.send, visible=not session.busy),
        stop=gr.Button(words.stop, visible=session.busy),
        footnote=view.footnote(words),
        memory=session.memory(),
    )

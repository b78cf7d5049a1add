"""The components of the chat page, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from assistant.bases.model_card import ModelCard
from assistant.page.handlers.page_update import PageUpdate
from assistant.page.i18n.languages import ENGLISH
from assistant.page.session.chat_session import ChatSession
from assistant.page.views import conversation as view
from assistant.page.views import sidebar

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("blocks.js", "difference.js", "toasts.js", "copying.js", "keyboard.js", "page.js")


@dataclass
class ChatLayout:
    """The components of the chat page. Those that handlers update have the names of the fields of `PageUpdate`."""

    session: gr.State
    memory: gr.BrowserState
    sidebar_top: gr.HTML
    conversation_list: gr.HTML
    sidebar_bottom: gr.HTML
    header: gr.HTML
    conversation: gr.HTML
    message: gr.Textbox
    think: gr.Checkbox
    answer_mode: gr.HTML
    send: gr.Button
    stop: gr.Button
    footnote: gr.HTML
    panel: gr.HTML
    download: gr.HTML

    @property
    def outputs(self) -> list[gr.components.Component]:
        """The components in the order of the fields of `PageUpdate`."""
        return [getattr(self, name) for name in PageUpdate._fields]


def build_layout(card: ModelCard, login_button: bool) -> ChatLayout:
    """Add the chat page's components to the current Blocks, as they are until the page is loaded.

    `card` is the served model's; `login_button` adds Hugging Face's login to the app.
    """
    components: dict[str, Any] = {
        "session": gr.State(ChatSession()),
        # A fixed key and secret, so that what a browser stored is still read after a restart of the server.
        "memory": gr.BrowserState(None, storage_key="thumbtune", secret="thumbtune-memory"),
    }
    with gr.Row(elem_id="frame"):
        with gr.Column(elem_id="sidebar"):
            components["sidebar_top"] = _block(sidebar.sidebar_top(ChatSession()), "sidebar-top")
            components["conversation_list"] = _blocks("conversation-list", "<nav><ul data-blocks></ul></nav>")
            components["sidebar_bottom"] = _block("", "sidebar-bottom")
        with gr.Column(elem_id="main"):
            components["header"] = _block("", "header")
            with gr.Column(elem_id="scroller"):
                components["conversation"] = _blocks("conversation", '<div role="log" data-blocks></div>')
            with gr.Column(elem_id="composer"):
                components |= _message_box(card)
                footnote = view.footnote(ENGLISH)
                components["footnote"] = _block(footnote, "footnote")
        components["panel"] = _block("", "panel")
        components["download"] = _block("", "download")
        if login_button:
            # Hidden: it registers the login's routes, and the page has its own link to them.
            gr.LoginButton(visible=False)
    return ChatLayout(**components)


def _message_box(card: ModelCard) -> dict[str, Any]:
    """The message box with the switches and buttons below it. The page speaks English until it is loaded."""
    session = ChatSession(thinking=card.thinking)
    with gr.Group(elem_id="box"):
        message = gr.Textbox(
            label=ENGLISH.message_label,
            placeholder=card.texts[ENGLISH.code].placeholder,
            show_label=False,
            container=False,
            lines=1,
            max_lines=8,
            elem_id="message",
        )
        with gr.Row(elem_id="tools"):
            think = gr.Checkbox(
                session.thinks,
                label=ENGLISH.think,
                visible=card.thinking != "none",
                container=False,
                elem_id="think",
                min_width=60,
                scale=1,
            )
            answer_mode = _block(view.answer_mode(session), "answer-mode")
            send = gr.Button(ENGLISH.send, variant="primary", elem_id="send", min_width=70, scale=0)
            stop = gr.Button(ENGLISH.stop, visible=False, elem_id="stop", min_width=70, scale=0)
    return {"message": message, "think": think, "answer_mode": answer_mode, "send": send, "stop": stop}


def _blocks(element_id: str, around: str) -> gr.HTML:
    """As `_block`, for HTML that the server sends in patches; `blocks.js` draws them into the element `around` them."""
    nothing: dict[str, Any] = {"order": [], "html": {}, "attributes": {}}
    return _block(nothing, element_id, html_template=around)


def _block(value: Any, element_id: str, **options: Any) -> gr.HTML:
    """HTML that the server draws and the page's script listens to."""
    script = "".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return gr.HTML(value, js_on_load=script, apply_default_css=False, elem_id=element_id, **options)

"""The chat page: layout, and which event calls which handler."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.events import Dependency, api

from assistant.page import view
from assistant.page.endpoints import Endpoints
from assistant.page.handlers import Handlers
from assistant.page.session import Session
from assistant.page.theme import theme
from assistant.page.words import ENGLISH

if TYPE_CHECKING:
    from assistant.conversation import Chat

FOLDER = Path(__file__).parent


def build_page(chat: Chat) -> gr.Blocks:
    """The page over `chat`, with the endpoints `/chat` and `/rate`; start it with `launch_options()`."""
    handlers, endpoints, words = Handlers(chat), Endpoints(chat), ENGLISH
    script = (FOLDER / "page.js").read_text(encoding="utf-8")

    page = gr.Blocks(title="Thumbtune", analytics_enabled=False, fill_width=True)
    with page:
        session = gr.State(Session())
        # A fixed key and secret, so that what a browser kept is still read after the server was restarted.
        memory = gr.BrowserState(None, storage_key="thumbtune", secret="thumbtune-memory")

        with gr.Column(elem_id="frame"):
            header = gr.HTML("", js_on_load=script, apply_default_css=False, elem_id="header")
            with gr.Column(elem_id="scroller"):
                conversation = gr.HTML(
                    [],
                    html_template="${value.join('')}",
                    js_on_load=script,
                    apply_default_css=False,
                    elem_id="conversation",
                )
            with gr.Column(elem_id="composer"):
                with gr.Group(elem_id="box"):
                    box = gr.Textbox(
                        label=words.message_label,
                        placeholder=words.message_placeholder,
                        show_label=False,
                        container=False,
                        lines=1,
                        max_lines=8,
                        autofocus=True,
                        elem_id="message",
                    )
                    with gr.Row(elem_id="tools"):
                        think = gr.Checkbox(
                            True, label=words.think, container=False, elem_id="think", min_width=80, scale=1
                        )
                        send = gr.Button(words.send, variant="primary", elem_id="send", min_width=80, scale=0)
                        stop = gr.Button(words.stop, visible=False, elem_id="stop", min_width=80, scale=0)
                footnote = gr.HTML(view.footnote(words), apply_default_css=False, elem_id="footnote")

        screen = [conversation, header, box, think, send, stop, footnote, memory]

        def wire(
            event: Callable[..., Dependency], handler: Callable[..., Any], *inputs: Any, **options: Any
        ) -> Dependency:
            """One line per event: from these inputs, session and memory to the whole screen."""
            return event(
                handler,
                [*inputs, session, memory],
                screen,
                show_progress="hidden",
                api_visibility="private",
                concurrency_limit=options.pop("concurrency_limit", None),
                **options,
            )

        wire(page.load, handlers.open)
        wire(header.language, handlers.language)
        wire(header.fresh, handlers.fresh)
        wire(think.input, handlers.set_think, think)

        for streams in (
            wire(box.submit, handlers.send, box),
            wire(send.click, handlers.send, box),
            wire(conversation.example, handlers.example),
            wire(conversation.resend, handlers.resend),
            wire(conversation.retry, handlers.retry),
        ):
            wire(streams.failure, handlers.recover)
        wire(stop.click, handlers.stop)
        wire(conversation.undo, handlers.undo)
        wire(conversation.edit, handlers.edit)
        wire(conversation.cancel, handlers.cancel)

        # One at a time: leaving the comment field by pressing "Withdraw" sends two votes at once.
        votes = {"trigger_mode": "multiple", "concurrency_limit": 1, "concurrency_id": "votes"}
        wire(conversation.vote, handlers.vote, **votes)
        wire(conversation.feedback, handlers.feedback, **votes)
        wire(conversation.finish, handlers.finish, **votes)
        wire(conversation.withdraw, handlers.withdraw, **votes)

        api(endpoints.chat, api_name="chat", concurrency_limit=None)
        api(endpoints.rate, api_name="rate", concurrency_limit=None)
    return page


def launch_options() -> dict[str, Any]:
    """What `Blocks.launch` needs for this page, beside address and port."""
    return {
        "theme": theme(),
        "css_paths": [FOLDER / "style.css"],
        "favicon_path": FOLDER / "favicon.svg",
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "share": False,
    }

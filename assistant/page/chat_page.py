"""The chat page: layout, and which event calls which handler."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.events import Dependency

from assistant.page.dashboard import add_dashboard
from assistant.page.endpoints import Endpoints
from assistant.page.gradio_compat import describe_components_once
from assistant.page.handlers.chat_handlers import Handlers
from assistant.page.handlers.shared import Desk
from assistant.page.handlers.unexpected import told
from assistant.page.i18n.languages import ENGLISH
from assistant.page.session.chat_session import Session
from assistant.page.theme import theme
from assistant.page.views import conversation as view
from assistant.page.views import sidebar

if TYPE_CHECKING:
    from assistant.auth.accounts import Accounts
    from assistant.chat.chat import Chat
    from assistant.page.dashboard import AdminServices

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("difference.js", "toasts.js", "page.js")
STYLES = ("style.css", "panels.css", "dashboard.css", "charts.css")


def build_page(
    chat: Chat, services: AdminServices | None = None, accounts: Accounts | None = None
) -> gr.Blocks:
    """The page over `chat`, with the endpoints `/chat` and `/rate`; start it with `launch_options()`.

    With `services` the dashboard is there too, and needs its own routes: `dashboard.routes`. With `accounts`
    people sign in, or may.
    """
    admins = services.admins if services else None
    handlers, endpoints, texts = Handlers(Desk(chat, accounts, admins)), Endpoints(chat, accounts), ENGLISH
    script = "".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS)

    def block(value: Any, name: str, **options: Any) -> gr.HTML:
        """A part of the page that the server draws and the page's script listens to."""
        return gr.HTML(value, js_on_load=script, apply_default_css=False, elem_id=name, **options)

    page = gr.Blocks(title="Thumbtune", analytics_enabled=False, fill_width=True)
    with page:
        session = gr.State(Session())
        # A fixed key and secret, so that what a browser kept is still read after the server was restarted.
        memory = gr.BrowserState(None, storage_key="thumbtune", secret="thumbtune-memory")

        with gr.Row(elem_id="frame"):
            with gr.Column(elem_id="side"):
                side = block(sidebar.sidebar_top(Session()), "side-head")
                shelf = block("", "shelf")
            with gr.Column(elem_id="main"):
                header = block("", "header")
                with gr.Column(elem_id="scroller"):
                    conversation = block([], "conversation", html_template="${value.join('')}")
                with gr.Column(elem_id="composer"):
                    with gr.Group(elem_id="box"):
                        box = gr.Textbox(
                            label=texts.message_label,
                            placeholder=texts.message_placeholder,
                            show_label=False,
                            container=False,
                            lines=1,
                            max_lines=8,
                            autofocus=True,
                            elem_id="message",
                        )
                        with gr.Row(elem_id="tools"):
                            think = gr.Checkbox(
                                True,
                                label=texts.think,
                                container=False,
                                elem_id="think",
                                min_width=60,
                                scale=1,
                            )
                            mode = block(view.answer_mode(Session()), "mode")
                            send = gr.Button(
                                texts.send, variant="primary", elem_id="send", min_width=70, scale=0
                            )
                            stop = gr.Button(texts.stop, visible=False, elem_id="stop", min_width=70, scale=0)
                    footnote = gr.HTML(view.footnote(texts), apply_default_css=False, elem_id="footnote")
            panel = block("", "panel")
            outbox = block("", "outbox")
            if accounts is not None and accounts.way == "hugging_face":
                # It brings Hugging Face's login into the app; the page has a link of its own to it.
                gr.LoginButton(visible=False)

        screen = [
            conversation, header, side, shelf, box, think, mode, send, stop, footnote, panel, outbox, memory,
        ]  # fmt: skip

        def wire(
            event: Callable[..., Dependency], handler: Callable[..., Any], *inputs: Any, **options: Any
        ) -> Dependency:
            """One line per event: from these inputs, session and memory to the whole screen."""
            return event(
                told(chat, handler),
                [*inputs, session, memory, *options.pop("more", ())],
                screen,
                show_progress="hidden",
                api_visibility="private",
                concurrency_limit=options.pop("concurrency_limit", None),
                **options,
            )

        def asks(event: Callable[..., Dependency], handler: Callable[..., Any], *inputs: Any) -> Dependency:
            """An event that asks for a reply: what the switches show goes with it.

            Changing a switch is an event too, and Gradio starts events of one moment in any order.
            """
            place = len(inputs) + 3  # after session, memory and `think`
            shown = (
                f'(...values) => [...values.slice(0, {place}), document.querySelector("#mode select").value]'
            )
            return wire(event, handler, *inputs, more=(think, mode), js=shown)

        opening, sending, branching = handlers.opening, handlers.sending, handlers.branching
        judging, shelving, panels = handlers.judging, handlers.shelving, handlers.panels

        wire(page.load, opening.open)
        wire(header.language, opening.language)
        wire(header.fresh, branching.fresh)
        wire(think.input, opening.set_think, think)
        wire(mode.set_mode, opening.set_mode)
        # Not "once", which would let the last of several changes elsewhere go unseen.
        wire(shelf.look, opening.look, trigger_mode="multiple", concurrency_limit=1, concurrency_id="look")

        for streams in (
            asks(box.submit, sending.send, box),
            asks(send.click, sending.send, box),
            asks(conversation.example, sending.example),
            asks(conversation.resend, sending.resend),
            asks(conversation.retry, sending.retry),
            wire(panel.continue_with, sending.continue_with),
        ):
            wire(streams.failure, sending.recover)
        wire(stop.click, sending.stop)
        wire(conversation.undo, branching.undo)
        wire(conversation.edit, branching.edit)
        wire(conversation.cancel, branching.cancel)
        wire(conversation.show, branching.show)

        # One at a time: leaving the comment field by pressing "Withdraw" sends two votes at once.
        votes = {"trigger_mode": "multiple", "concurrency_limit": 1, "concurrency_id": "votes"}
        wire(conversation.vote, judging.vote, **votes)
        wire(conversation.feedback, judging.feedback, **votes)
        wire(conversation.finish, judging.finish, **votes)
        wire(conversation.withdraw, judging.withdraw, **votes)
        wire(conversation.choose, judging.choose, **votes)
        wire(conversation.correct, judging.correct)
        wire(conversation.keep_correction, judging.keep_correction)
        wire(conversation.remove_correction, judging.remove_correction)

        # Not "always_last": Gradio 6.31 then repeats the first event's data instead of sending the last one's.
        wire(side.find, shelving.find, trigger_mode="multiple", concurrency_limit=1, concurrency_id="find")
        wire(shelf.switch, shelving.switch)
        wire(shelf.cancel, branching.cancel)
        wire(shelf.ask_rename, shelving.ask_rename)
        wire(shelf.rename, shelving.rename)
        wire(shelf.ask_delete, shelving.ask_delete)
        wire(shelf.delete, shelving.delete)
        wire(shelf.export_markdown, shelving.export_markdown)
        wire(shelf.export_json, shelving.export_json)
        wire(shelf.bring, shelving.bring)

        wire(header.settings, panels.settings)
        wire(header.card, panels.card)
        wire(conversation.tokens, panels.tokens)
        wire(panel.token, panels.token)
        # One at a time, in order: closing sends the whole form after the last change of it.
        form = {"trigger_mode": "multiple", "concurrency_limit": 1, "concurrency_id": "settings"}
        wire(panel.set_preferences, panels.set_preferences, **form)
        wire(panel.preset, panels.preset, **form)
        wire(panel.close, panels.close, **form)

        gr.api(endpoints.chat, api_name="chat", concurrency_limit=None)
        gr.api(endpoints.rate, api_name="rate", concurrency_limit=None)
    if services is not None:
        add_dashboard(page, services)
    describe_components_once(page)
    return page


def launch_options(accounts: Accounts | None = None) -> dict[str, Any]:
    """What `Blocks.launch` needs for this page, beside address and port."""
    by_password = accounts is not None and accounts.way == "password"
    return {
        "auth": accounts.check if accounts and by_password else None,
        "auth_message": sidebar.login_message() if by_password else None,
        "theme": theme(),
        "css_paths": [STATIC / name for name in STYLES],
        "favicon_path": STATIC / "favicon.svg",
        "footer_links": [],
        # Whose session was let go for newer ones is remembered by the browser, as after a restart.
        "state_session_capacity": 2_000,
        "run_history": False,
        "ssr_mode": False,
        "share": False,
    }

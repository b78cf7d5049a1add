"""The tour's page: its blocks, and which event calls which handler."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from assistant.page.i18n.languages import browser_language
from assistant.page.session.gradio_compat import event_data
from assistant.page.session.tour_session import TourSession
from assistant.page.tour.tour_handlers import TourHandlers
from assistant.page.tour.tour_views import CLAIMS

STATIC = Path(__file__).parents[1] / "static"
SCRIPTS = ("toasts.js", "tour.js")
PATH = "/tour"


def add_tour(page: gr.Blocks) -> None:
    """Add the tour to the chat page's blocks, at PATH. Whoever may chat may take it."""
    with page.route("Tour", PATH, show_in_navbar=False):
        session = gr.State(TourSession())
        with gr.Column(elem_id="tour"):
            blocks = {name: _block(name) for name in ("head", "intro")}
            for name in CLAIMS:
                with gr.Column(elem_id=name, elem_classes="screen"):
                    blocks |= {part: _block(part) for part in (name, f"{name}-onward")}
            events = gr.HTML(
                "",
                apply_default_css=False,
                js_on_load="".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS),
                elem_id="tour-events",
            )
        _wire(events, session, blocks, TourHandlers())


def _block(name: str) -> gr.HTML:
    return gr.HTML("", apply_default_css=False, js_on_load=None, elem_id=f"tour-{name}")


def _wire(events: gr.HTML, session: gr.State, blocks: dict[str, gr.HTML], handlers: TourHandlers) -> None:
    """Connect each event that the script triggers on the `events` block with its handler."""

    def on(event: Callable[..., Any], handler: Callable[..., Any]) -> None:
        def call(session: TourSession, request: gr.Request, event: gr.EventData) -> dict[gr.HTML, Any]:
            language = browser_language(request.headers.get("accept-language", ""))
            drawn = handler(session, {**event_data(event), "browser_language": language})
            return {blocks[name]: html for name, html in drawn.items()}

        event(
            call,
            [session],
            list(blocks.values()),
            show_progress="hidden",
            api_visibility="private",
            trigger_mode="multiple",
            concurrency_limit=None,
        )

    on(events.open, handlers.open)
    on(events.language, handlers.language)

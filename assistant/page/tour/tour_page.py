"""The tour's page: its blocks, and which event calls which handler."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from assistant.page.handlers.failures import ERRORS, EXPECTED
from assistant.page.i18n.languages import browser_language
from assistant.page.session.gradio_compat import event_data
from assistant.page.session.tour_session import TourSession
from assistant.page.tour import live_views
from assistant.page.tour.tour_handlers import Drawn, EventData, TourHandlers
from assistant.page.tour.tour_views import CLAIMS, LIVE

if TYPE_CHECKING:
    from assistant.serving.engine import Engine
    from assistant.tour.shared_starter import SharedStarter

log = logging.getLogger(__name__)

STATIC = Path(__file__).parents[1] / "static"
SCRIPTS = ("toasts.js", "tour.js")
PATH = "/tour"

Event = Callable[..., Any]
Streaming = Callable[[TourSession, EventData], AsyncGenerator[Drawn, None]]


def add_tour(page: gr.Blocks, starter: SharedStarter | None = None, engine: Engine | None = None) -> None:
    """Add the tour to the chat page's blocks, at PATH. Whoever may chat may take it.

    `starter`: what can be tried; without it the tour shows the claims alone. `engine`: the app's own.
    """
    handlers = TourHandlers(starter, engine)
    with page.route("Tour", PATH, show_in_navbar=False):
        session = gr.State(TourSession())
        with gr.Column(elem_id="tour"):
            blocks = {name: _block(name) for name in ("head", "intro")}
            for name in CLAIMS:
                is_live = starter is not None and name in LIVE
                parts = (
                    ("", "-form", "-live", "-result", "-onward") if is_live else ("", "-result", "-onward")
                )
                with gr.Column(elem_id=name, elem_classes="screen"):
                    blocks |= {name + part: _block(name + part) for part in parts}
            events = gr.HTML(
                "",
                apply_default_css=False,
                js_on_load="".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS),
                elem_id="tour-events",
            )
        wiring = _Wiring(session, blocks, handlers)
        wiring.page(events.open, handlers.open)
        wiring.page(events.language, handlers.language)
        if starter is not None:
            wiring.screen(events.chain_begin, handlers.chain_begin, "word_chain")
            wiring.screen(events.chain_take, handlers.chain_take, "word_chain")
            wiring.screen(events.compare, handlers.compare, "base_and_assistant")
            wiring.screen(events.think, handlers.think, "chain_of_thought")
            wiring.screen(events.write_two, handlers.write_two, "votes_and_rows")
            # Each makes a store: few at a time.
            wiring.screen(events.vote, handlers.vote, "votes_and_rows", concurrency_limit=2)


def _block(name: str) -> gr.HTML:
    return gr.HTML("", apply_default_css=False, js_on_load=None, elem_id=f"tour-{name}")


class _Wiring:
    """Connects the events that the script triggers with handlers, which return the HTML of blocks by name."""

    def __init__(self, session: gr.State, blocks: dict[str, gr.HTML], handlers: TourHandlers) -> None:
        self._session, self._blocks, self._handlers = session, blocks, handlers

    def page(self, event: Event, handler: Callable[[TourSession, EventData], Drawn]) -> None:
        """Connect an event about the whole page."""

        def call(session: TourSession, request: gr.Request, event: gr.EventData) -> dict[gr.HTML, Any]:
            language = browser_language(request.headers.get("accept-language", ""))
            return self._values(handler(session, {**event_data(event), "browser_language": language}))

        self._connect(event, call, list(self._blocks))

    def screen(self, event: Event, handler: Streaming, screen: str, **options: Any) -> None:
        """Connect an event of one screen, on which errors are shown too."""

        async def call(session: TourSession, event: gr.EventData) -> AsyncGenerator[dict[gr.HTML, Any], None]:
            try:
                drawn: Drawn = {}
                async with aclosing(handler(session, event_data(event))) as updates:
                    async for drawn in updates:
                        yield self._values(drawn)
                if not drawn:
                    # An event that changed nothing, such as a second click: without values Gradio empties the blocks.
                    yield self._values(live_views.live(session, screen))
            except Exception as error:
                level = logging.INFO if isinstance(error, EXPECTED) else logging.WARNING
                bug = None if isinstance(error, ERRORS) else error
                log.log(
                    level, "showed a visitor of the tour %s: %s", type(error).__name__, error, exc_info=bug
                )
                yield self._values(self._handlers.failed(session, screen, error))

        self._connect(event, call, [f"{screen}-form", f"{screen}-live"], **options)

    def _connect(self, event: Event, call: Callable[..., Any], outputs: list[str], **options: Any) -> None:
        event(
            call,
            [self._session],
            [self._blocks[name] for name in outputs],
            show_progress="hidden",
            api_visibility="private",
            trigger_mode="multiple",
            concurrency_limit=options.pop("concurrency_limit", None),
        )

    def _values(self, drawn: Drawn) -> dict[gr.HTML, Any]:
        return {self._blocks[name]: html for name, html in drawn.items()}

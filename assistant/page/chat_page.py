"""The app's page: the chat, the named endpoints, the tour and the dashboard in one Gradio app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from assistant.admin.next_version import NextVersion
from assistant.api import cross_origin
from assistant.page.chat_events import ChatEvents, ChatHandlers
from assistant.page.chat_layout import STATIC, build_layout
from assistant.page.dashboard import add_dashboard
from assistant.page.endpoints import Endpoints
from assistant.page.handlers.session_manager import SessionManager
from assistant.page.session.gradio_compat import describe_components_once, rest_while_idle
from assistant.page.theme import theme
from assistant.page.tour import add_tour, plot_route
from assistant.page.views import sidebar

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from assistant.auth.accounts import Accounts
    from assistant.chat.chat import Chat
    from assistant.page.dashboard import AdminServices
    from assistant.tour.shared_starter import SharedStarter

STYLES = ("style.css", "answer.css", "panels.css", "touch.css", "dashboard.css", "charts.css", "tour.css")


def build_page(
    chat: Chat,
    services: AdminServices | None = None,
    accounts: Accounts | None = None,
    starter: SharedStarter | None = None,
) -> gr.Blocks:
    """The page over `chat`, with the endpoints `/chat` and `/rate`; launch it with `launch_options()`.

    With `services` it has the dashboard, whose routes `dashboard.routes` gives. With `accounts` people can sign in.
    With `starter` the tour has something to try.
    """
    sessions = SessionManager(
        chat,
        accounts,
        services.admins if services else None,
        NextVersion(services.store, services.home, services.actions.runner.policy) if services else None,
    )
    endpoints = Endpoints(chat, accounts)
    page = gr.Blocks(title="Thumbtune", analytics_enabled=False, fill_width=True)
    with page:
        by_hugging_face = accounts is not None and accounts.way == "hugging_face"
        layout = build_layout(chat.card, login_button=by_hugging_face)
        ChatEvents(layout, ChatHandlers(sessions)).connect(page.load)
        gr.api(endpoints.chat, api_name="chat", concurrency_limit=None)
        gr.api(endpoints.rate, api_name="rate", concurrency_limit=None)
    add_tour(page, starter, chat.engine)
    if services is not None:
        add_dashboard(page, services)
    describe_components_once(page)
    rest_while_idle(page)
    return page


def launch_options(
    accounts: Accounts | None = None, routes: Sequence[BaseRoute] = (), origins: Sequence[str] = ()
) -> dict[str, Any]:
    """The arguments of `Blocks.launch` for this page, except address and port.

    `routes` come before the page's own. `origins`: other sites whose pages may use the app, see `CrossOrigin`.
    """
    by_password = accounts is not None and accounts.way == "password"
    return {
        "auth": accounts.check if accounts and by_password else None,
        "auth_message": sidebar.login_message() if by_password else None,
        "theme": theme(),
        "css_paths": [STATIC / name for name in STYLES],
        "favicon_path": STATIC / "favicon.svg",
        "footer_links": [],
        # A session beyond this number is dropped; its tab restores it from the browser's memory, as after a restart.
        "state_session_capacity": 1_000,
        "run_history": False,
        "ssr_mode": False,
        "share": False,
        "app_kwargs": {
            "routes": [Route("/manifest.json", _manifest), plot_route(), *routes],
            "lifespan": cross_origin.lifespan(origins),
        },
    }


async def _manifest(request: Request) -> JSONResponse:
    """What a browser needs to install the page as an app. Its addresses hold under any path: Gradio's own do not."""
    icon = {"src": "pwa_icon", "sizes": "any", "type": "image/svg+xml", "purpose": "any"}
    manifest = {"name": "Thumbtune", "icons": [icon], "start_url": "./", "display": "standalone"}
    return JSONResponse(manifest, media_type="application/manifest+json")

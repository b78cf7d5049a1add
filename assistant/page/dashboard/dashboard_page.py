"""The dashboard's page: its blocks, which event calls which handler, and the access check before each of them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import gradio as gr

from assistant.admin.services import AdminServices
from assistant.auth.admins import NotAnAdmin
from assistant.auth.origins import is_ours
from assistant.page.dashboard.admin_handlers import ERRORS, AdminHandlers, EventData
from assistant.page.dashboard.views.layout import head, sign_in
from assistant.page.i18n.dashboard_languages import LANGUAGES, error_text
from assistant.page.i18n.languages import browser_language
from assistant.page.session.dashboard_session import DashboardSession, DashboardUpdate
from assistant.page.session.gradio_compat import event_data, starlette_request
from assistant.page.session.visitor import login_session

STATIC = Path(__file__).parents[1] / "static"
SCRIPTS = ("toasts.js", "dashboard.js")
PATH = "/dashboard"


def add_dashboard(page: gr.Blocks, services: AdminServices) -> None:
    """Add the dashboard to the chat page's blocks, at PATH. Whoever is no admin sees only the sign-in form."""
    with page.route("Dashboard", PATH, show_in_navbar=False):
        session = gr.State(DashboardSession())
        with gr.Column(elem_id="dashboard"):
            blocks = [
                gr.HTML("", apply_default_css=False, js_on_load=None, elem_id=f"dashboard-{name}")
                for name in DashboardUpdate._fields
            ]
            if services.admins.by_name:
                # This component adds the routes of Hugging Face's login to the app.
                gr.LoginButton(elem_id="dashboard-account")
            events = gr.HTML(
                "",
                apply_default_css=False,
                js_on_load="".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS),
                elem_id="dashboard-events",
            )
        _wire(events, session, blocks, services)


def _wire(events: gr.HTML, session: gr.State, blocks: list[gr.HTML], services: AdminServices) -> None:
    """Connect each event that the script triggers on the `events` block with its handler."""

    def on(event: Callable[..., Any], handler: Callable[..., Any], **options: Any) -> None:
        event(
            guarded(services, handler),
            [session],
            blocks,
            show_progress="hidden",
            api_visibility="private",
            trigger_mode="multiple",
            concurrency_limit=options.pop("concurrency_limit", None),
            **options,
        )

    handlers = AdminHandlers(services)
    on(events.open, handlers.open)
    on(events.go, handlers.go)
    on(events.language, handlers.language)
    on(events.tick, handlers.tick)
    on(events.close, handlers.close)

    on(events.open_version, handlers.open_version)
    on(events.ask_release, handlers.ask_release)
    on(events.ask_roll_back, handlers.ask_roll_back)
    on(events.choose_candidate, handlers.choose_candidate)
    on(events.choose_side_by_side, handlers.choose_side_by_side)
    # Actions that change what is served run one at a time, whoever clicks.
    exclusive = {"concurrency_limit": 1, "concurrency_id": "admin actions"}
    on(events.release, handlers.release, **exclusive)
    on(events.roll_back, handlers.roll_back, **exclusive)

    on(events.run_cycle, handlers.run_cycle, **exclusive)
    on(events.cancel_cycle, handlers.cancel_cycle, **exclusive)
    on(events.ask_discard_cycle, handlers.ask_discard_cycle)
    on(events.discard_cycle, handlers.discard_cycle, **exclusive)
    on(events.failure_seen, handlers.failure_seen)
    on(events.plan, handlers.plan)

    on(events.ask_start_live_comparison, handlers.ask_start_live_comparison)
    on(events.start_live_comparison, handlers.start_live_comparison, **exclusive)
    on(events.ask_stop_live_comparison, handlers.ask_stop_live_comparison)
    on(events.stop_live_comparison, handlers.stop_live_comparison, **exclusive)

    on(events.example, handlers.example)
    on(events.ask, handlers.ask)
    on(events.stop, handlers.stop)
    # One at a time: of two quick clicks, the first one counts.
    on(events.choose, handlers.choose, concurrency_limit=1)


def guarded(services: AdminServices, handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler` as Gradio calls it: run for admins, with their name. Everybody else gets the sign-in form."""

    def admin_of(session: DashboardSession, request: gr.Request, data: EventData) -> str | None:
        if data.get("language") in LANGUAGES and "view" in data:
            session.language = str(data["language"])
        elif "view" in data:
            session.language = browser_language(request.headers.get("accept-language", ""))
        try:
            return admin_name(services, request)
        except NotAnAdmin:
            return None

    def refused(session: DashboardSession, data: EventData) -> DashboardUpdate:
        if data.get("do") == "language":
            session.language = next(code for code in LANGUAGES if code != session.language)
        form = sign_in(session.texts, services.admins)
        return DashboardUpdate(head(session, None), "", form, "", "")

    def failed(session: DashboardSession, error: Exception, admin: str) -> DashboardUpdate:
        session.notify(error_text(session.texts, error), error=True)
        return AdminHandlers(services).draw(session, admin)

    if inspect.isasyncgenfunction(handler):

        async def stream(
            session: DashboardSession, request: gr.Request, event: gr.EventData
        ) -> AsyncGenerator[DashboardUpdate, None]:
            data = event_data(event)
            admin = admin_of(session, request, data)
            if admin is None:
                yield refused(session, data)
                return
            try:
                async for update in handler(session, data, admin):
                    yield update
            except ERRORS as error:
                yield failed(session, error, admin)

        return stream

    def run(session: DashboardSession, request: gr.Request, event: gr.EventData) -> DashboardUpdate:
        data = event_data(event)
        admin = admin_of(session, request, data)
        if admin is None:
            return refused(session, data)
        try:
            update: DashboardUpdate = handler(session, data, admin)
        except ERRORS as error:
            return failed(session, error, admin)
        return update

    return run


def admin_name(services: AdminServices, request: Any) -> str:
    """The name of the admin who sent a request of Gradio's or Starlette's. Raises NotAnAdmin for anybody else."""
    http_request = starlette_request(request)
    if not is_ours(http_request.headers):
        raise NotAnAdmin("The request was sent by a page of another site.")
    account = login_session(http_request).get("oauth_info") if services.admins.by_name else None
    return services.admins.who(http_request.cookies, account)

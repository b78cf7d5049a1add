"""The dashboard's page: layout, which event calls which handler, and the guard before every one of them."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import gradio as gr

from assistant.admin.services import Office
from assistant.auth.admins import NotAnAdmin, is_ours
from assistant.page.dashboard.admin_handlers import ERRORS, Acts
from assistant.page.dashboard.views.layout import door, head
from assistant.page.gradio_compat import event_data, starlette_request
from assistant.page.i18n.dashboard_languages import LANGUAGES, told
from assistant.page.i18n.languages import browser_language
from assistant.page.session.dashboard_session import DashboardSession, Screen
from assistant.page.session.visitor import login_session

STATIC = Path(__file__).parents[1] / "static"
SCRIPTS = ("toasts.js", "dashboard.js")
PATH = "/dashboard"


def add_dashboard(page: gr.Blocks, office: Office) -> None:
    """Add the dashboard to the chat page's blocks, at PATH; nobody but admins gets anything from it."""
    with page.route("Dashboard", PATH, show_in_navbar=False):
        session = gr.State(DashboardSession())
        with gr.Column(elem_id="office"):
            blocks = [
                gr.HTML("", apply_default_css=False, js_on_load=None, elem_id=f"office-{name}")
                for name in Screen._fields
            ]
            if office.admins.by_name:
                # It brings Hugging Face's login into the app.
                gr.LoginButton(elem_id="office-account")
            desk = gr.HTML(
                "",
                apply_default_css=False,
                js_on_load="".join((STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS),
                elem_id="office-desk",
            )

        def wire(event: Callable[..., Any], handler: Callable[..., Any], **options: Any) -> None:
            """One line an event: guarded, from the session to the whole screen."""
            event(
                guarded(office, handler),
                [session],
                blocks,
                show_progress="hidden",
                api_visibility="private",
                trigger_mode="multiple",
                concurrency_limit=options.pop("concurrency_limit", None),
                **options,
            )

        acts = Acts(office)
        wire(desk.open, acts.open)
        wire(desk.go, acts.go)
        wire(desk.language, acts.language)
        wire(desk.tick, acts.tick)
        wire(desk.close, acts.close)

        wire(desk.open_version, acts.open_version)
        wire(desk.ask_release, acts.ask_release)
        wire(desk.ask_roll_back, acts.ask_roll_back)
        wire(desk.choose_candidate, acts.choose_candidate)
        wire(desk.choose_rival, acts.choose_rival)
        # One at a time: two admins, or two clicks, must not cross.
        lever = {"concurrency_limit": 1, "concurrency_id": "levers"}
        wire(desk.release, acts.release, **lever)
        wire(desk.roll_back, acts.roll_back, **lever)

        wire(desk.run_cycle, acts.run_cycle, **lever)
        wire(desk.cancel_cycle, acts.cancel_cycle, **lever)
        wire(desk.plan, acts.plan)

        wire(desk.start_trial, acts.start_trial, **lever)
        wire(desk.ask_stop_trial, acts.ask_stop_trial)
        wire(desk.stop_trial, acts.stop_trial, **lever)

        wire(desk.example, acts.example)
        wire(desk.ask, acts.ask)
        wire(desk.stop, acts.stop)
        wire(desk.choose, acts.choose)


def guarded(office: Office, handler: Callable[..., Any]) -> Callable[..., Any]:
    """`handler` for admins, with who they are; everybody else gets the door, whatever they sent and however."""

    def admitted(session: DashboardSession, request: gr.Request, given: dict[str, Any]) -> str | None:
        if given.get("language") in LANGUAGES and "view" in given:
            session.language = str(given["language"])
        elif "view" in given:
            session.language = browser_language(request.headers.get("accept-language", ""))
        try:
            return who(office, request)
        except NotAnAdmin:
            return None

    def shut(session: DashboardSession, given: dict[str, Any]) -> Screen:
        if given.get("do") == "language":
            session.language = next(code for code in LANGUAGES if code != session.language)
        return Screen(head(session, None), "", door(session.words, office.admins), "", "")

    def failed(session: DashboardSession, error: Exception, who: str) -> Screen:
        session.say(told(session.words, error), error=True)
        return Acts(office).whole(session, who)

    if inspect.isasyncgenfunction(handler):

        async def stream(
            session: DashboardSession, request: gr.Request, event: gr.EventData
        ) -> AsyncGenerator[Screen, None]:
            given = event_data(event)
            name = admitted(session, request, given)
            if name is None:
                yield shut(session, given)
                return
            try:
                async for screen in handler(session, given, name):
                    yield screen
            except ERRORS as error:
                yield failed(session, error, name)

        return stream

    def run(session: DashboardSession, request: gr.Request, event: gr.EventData) -> Screen:
        given = event_data(event)
        name = admitted(session, request, given)
        if name is None:
            return shut(session, given)
        try:
            screen: Screen = handler(session, given, name)
        except ERRORS as error:
            return failed(session, error, name)
        return screen

    return run


def who(office: Office, request: Any) -> str:
    """The admin behind a request of Gradio's or of Starlette's. Raises NotAnAdmin for anybody else."""
    asked = starlette_request(request)
    if not is_ours(asked.headers):
        raise NotAnAdmin("Another site has sent this.")
    account = login_session(asked).get("oauth_info") if office.admins.by_name else None
    return office.admins.who(asked.cookies, account)

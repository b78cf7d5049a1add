"""What stands around every view: the bar with the views' names, the line on top, and the door."""

from __future__ import annotations

from assistant.admin.cycle_records import STEPS, Cycle
from assistant.admin.cycle_runner import Started
from assistant.auth.admins import Admins
from assistant.page.dashboard.views.widgets import button
from assistant.page.i18n.dashboard_languages import DashboardWords, said_in_report
from assistant.page.i18n.languages import LANGUAGES
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views import icons
from assistant.page.views.components import toast_words
from assistant.page.views.markdown import plain

LOG_LINES = 12
SWITCH_ON = "THUMBTUNE_ADMIN_PASSWORD=… python app.py"


def head(session: DashboardSession, who: str | None) -> str:
    """The bar: name, views, language, the way back to the chat; views and the way out for admins alone."""
    words = session.words
    views = "".join(
        f'<button type="button" data-do="go" data-view="{name}" '
        f"{'aria-current=page ' if name == session.view else ''}>{plain(label)}</button>"
        for name, label in words.views.items()
    )
    out = button("sign_out", words.sign_out, "quiet") if who is not None else ""
    return (
        f'<div class="bar" lang="{words.code}" data-title="{plain(words.title)} · Thumbtune"'
        f"{toast_words(LANGUAGES[words.code])}>"
        f'<span class="brand">{icons.THUMB}<h1>Thumbtune</h1></span>'
        f'<span class="place">{plain(words.title)}</span>'
        f'<span class="who" dir="auto">{plain(who or "")}</span>'
        f'<button type="button" class="quiet" data-do="language" aria-label="{plain(words.switch_language)}">'
        f"{plain(words.other_language)}</button>{out}"
        f'<a class="quiet" href="./">{plain(words.to_chat)}</a></div>'
        + (f'<nav class="views" aria-label="{plain(words.title)}">{views}</nav>' if who is not None else "")
    )


def live(session: DashboardSession, running: Started | None, cycle: Cycle | None, log: list[str]) -> str:
    """The line on top, and a cycle at work: its steps, what it says, and a way to end it."""
    words, parts = session.words, []
    if session.notice:
        kind, role = ("error", "alert") if session.notice_is_error else ("", "status")
        start = f"<strong>{plain(words.failed)}</strong> " if session.notice_is_error else ""
        parts.append(
            f'<p class="notice {kind}" role="{role}" data-drawn="{session.drawn}">{start}{plain(session.notice)}</p>'
        )
    if running is not None:
        done = cycle.done if cycle is not None and not cycle.ended else 0
        steps = "".join(
            f'<li class="{_progress(number, done)}">{plain(words.steps[step])}</li>'
            for number, step in enumerate(STEPS)
        )
        lines = said_in_report(words, "\n".join(log[-LOG_LINES:]))
        parts.append(
            f'<section class="card working" data-follow lang="{words.code}"><header><h3>'
            f"{plain(words.cycle_works_format.format(who=running.who))}</h3>"
            f'{button("cancel_cycle", words.cancel_cycle)}</header><ol class="steps">{steps}</ol>'
            f'<details id="cycle-log" open><summary>{plain(words.log)}</summary><pre class="log">{plain(lines)}</pre>'
            "</details></section>"
        )
    return "".join(parts)


def _progress(step: int, done: int) -> str:
    return "done" if step < done else "now" if step == done else ""


def door(words: DashboardWords, admins: Admins) -> str:
    """The way in; where nobody can come in, how to switch it on."""
    if not admins.by_password and not admins.by_name:
        return (
            f'<section class="door card" lang="{words.code}"><h2>{plain(words.no_door)}</h2>'
            f"<p>{plain(words.no_door_help)}</p>"
            f"<pre>{SWITCH_ON}</pre>"
            f'<p class="help">{plain(words.no_door_spaces)}</p></section>'
        )
    form = ""
    if admins.by_password:
        errors = "".join(f' data-{key}="{plain(text)}"' for key, text in words.sign_in_errors.items())
        form = (
            f'<form data-sign-in{errors}><label class="field"><span>{plain(words.your_name)}</span>'
            '<input name="name" maxlength="40" autocomplete="username">'
            f"<small>{plain(words.your_name_help)}</small></label>"
            f'<label class="field"><span>{plain(words.password)}</span><input name="password" type="password" required '
            f'autocomplete="current-password" data-focus></label><p class="notice error" role="alert" hidden></p>'
            f'<button type="submit" class="strong">{plain(words.sign_in)}</button>'
            f'<p class="own-tab" hidden><a target="_blank" rel="noopener" href="">{plain(words.own_tab)}</a></p></form>'
        )
    return (
        f'<section class="door card" lang="{words.code}"><h2>{plain(words.sign_in)}</h2>'
        f"<p>{plain(words.sign_in_help)}</p>{form}</section>"
    )

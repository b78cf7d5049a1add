"""Small pieces of HTML that several views of the dashboard use."""

from __future__ import annotations

from datetime import UTC, datetime

from assistant.page.i18n.dashboard_languages import DashboardWords
from assistant.page.views import icons
from assistant.page.views.markdown import plain
from feedback_store.stats.intervals import Share, wilson


def moment(words: DashboardWords, when: str | float, time: bool = True) -> str:
    """A moment (ISO 8601, or seconds since 1970) in UTC, as people write it; what is no moment stays as it is."""
    try:
        if isinstance(when, str):
            found = datetime.fromisoformat(when).astimezone(UTC)
        else:
            found = datetime.fromtimestamp(when, UTC)
    except (ValueError, OverflowError, OSError):
        return str(when)
    day = words.date_format.format(day=found.day, month=words.months[found.month - 1])
    return words.moment_format.format(date=day, time=f"{found:%H:%M}") if time else day


def date(words: DashboardWords, when: str | float) -> str:
    """A moment's day."""
    return moment(words, when, time=False)


def thumbs_share(up: int, down: int) -> Share | None:
    """The share of thumbs up; None where there is no thumb."""
    return wilson(up, up + down) if up + down else None


def share_text(words: DashboardWords, share: Share | None) -> str:
    """A share with its interval, in percent; "–" for none."""
    if share is None:
        return "–"
    return words.share_format.format(
        value=f"{100 * share.value:.0f}",
        low=f"{100 * share.low:.0f}",
        high=f"{100 * share.high:.0f}",
        of=share.of,
    )


def card(title: str, body: str, help_text: str = "", actions: str = "", kind: str = "") -> str:
    """A part of a view with its title; `body` and `actions` are HTML already."""
    help_line = f'<p class="help">{plain(help_text)}</p>' if help_text else ""
    return (
        f'<section class="card {kind}"><header><h3>{plain(title)}</h3><div class="row">{actions}</div></header>'
        f"{help_line}{body}</section>"
    )


def empty(text: str) -> str:
    """What will appear where there is nothing yet."""
    return f'<p class="empty">{plain(text)}</p>'


def badge(text: str, tone: str = "calm") -> str:
    """A short word on a version: `tone` is good, bad, calm or strong."""
    return f'<span class="tag {tone}">{plain(text)}</span>'


def button(action: str, label: str, kind: str = "choice", **data: str) -> str:
    """A button that the script passes on; `data` goes with it."""
    more = "".join(f' data-{key}="{plain(value)}"' for key, value in data.items())
    return f'<button type="button" class="{kind}" data-do="{action}"{more}>{plain(label)}</button>'


def wait(words: DashboardWords) -> str:
    """A button that closes what asks."""
    return button("close", words.cancel, "quiet")


def dialog(words: DashboardWords, title: str, body: str) -> str:
    """A panel with a title and a way to close it; the script opens it as modal."""
    return (
        f'<dialog class="panel card" lang="{words.code}" aria-label="{plain(title)}">'
        f'<div class="panel-top"><h2>{plain(title)}</h2>'
        f'<button type="button" class="icon" data-do="close" title="{plain(words.close)}" '
        f'aria-label="{plain(words.close)}">{icons.CROSS}</button></div><div class="panel-body">{body}</div></dialog>'
    )


def table(columns: list[str], rows: list[list[str]], figures: int = 0) -> str:
    """Rows of HTML under `columns` of text; the last `figures` columns are numbers."""
    first = len(columns) - figures

    def cells(kind: str, row: list[str]) -> str:
        return "".join(
            f'<{kind} class="{"figure" if number >= first else ""}">{cell}</{kind}>'
            for number, cell in enumerate(row)
        )

    head = cells("th", [plain(column) for column in columns])
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'

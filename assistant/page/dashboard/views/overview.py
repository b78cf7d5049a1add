"""The first view: what is released, how people like it, what went on last."""

from __future__ import annotations

from assistant.admin import cycle_records
from assistant.admin.services import Office
from assistant.errors import SettingsError
from assistant.page.dashboard.views import ratings
from assistant.page.dashboard.views.cycles import outcome
from assistant.page.dashboard.views.widgets import button, date, share_text, thumbs_share
from assistant.page.i18n.dashboard_languages import told
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.markdown import plain
from assistant.registry import live_comparison


def view(office: Office, session: DashboardSession) -> str:
    """Tiles, and the thumbs."""
    words = session.words
    counts = office.store.counts()
    released, history = office.versions.released(), office.versions.history()
    given = counts["versions"].get(released, {"up": 0, "down": 0})
    cycles = cycle_records.cycles(office.home)
    tiles = [
        (
            "released",
            released or "–",
            words.since_format.format(date=date(words, history[-1]["at"])) if history else "",
            "versions",
        ),
        ("liked", *_liked(session, given["up"], given["down"]), "people"),
        (
            "votes",
            f"{counts['ratings']['up'] + counts['ratings']['down']:,}",
            words.tile_votes_format.format(up=counts["ratings"]["up"], down=counts["ratings"]["down"]),
            "people",
        ),
        (
            "cycle",
            str(cycles[0].number) if cycles else "–",
            outcome(words, cycles[0]) if cycles else words.none_yet,
            "cycles",
        ),
        ("trial", *_trial(office, session), "trial"),
    ]
    drawn = "".join(
        f'<button type="button" class="tile" data-do="go" data-view="{where}"><span>{plain(words.tiles[name])}</span>'
        f"<strong>{plain(value)}</strong><small>{plain(more)}</small></button>"
        for name, value, more, where in tiles
    )
    back = button("ask_roll_back", words.roll_back) if len({one["version"] for one in history}) > 1 else ""
    return f'<div class="tiles">{drawn}</div>' + ratings.thumbs(office, session, back)


def _liked(session: DashboardSession, up: int, down: int) -> tuple[str, str]:
    share = thumbs_share(up, down)
    if share is None:
        return "–", session.words.none_yet
    text = share_text(session.words, share)
    value, _, more = text.partition(" [")
    return (value.removesuffix("%").strip() + " %", f"[{more}") if more else (text, "")


def _trial(office: Office, session: DashboardSession) -> tuple[str, str]:
    try:
        under_way = live_comparison.read(office.home)
    except SettingsError as error:
        return "?", told(session.words, error)
    if under_way is None:
        return "–", session.words.none_yet
    return f"{under_way.candidate} / {under_way.released}", f"{100 * under_way.share:g} %"

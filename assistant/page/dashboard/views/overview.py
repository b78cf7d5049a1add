"""The first view: the released version, its thumbs, the last cycle, and the live comparison under way."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from assistant.admin import cycle_records
from assistant.admin.services import AdminServices
from assistant.errors import SettingsError
from assistant.page.dashboard.views import ratings
from assistant.page.dashboard.views.cycles import outcome
from assistant.page.dashboard.views.formatting import NONE, date, interval, percent, thumbs_share
from assistant.page.i18n.dashboard_languages import error_text
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.templates import render
from assistant.registry import live_comparison


@dataclass(frozen=True)
class Tile:
    """A large value with its label above and a note below; a click opens `view`."""

    label: str
    value: str
    note: str
    view: str


def view(services: AdminServices, session: DashboardSession) -> Markup:
    """Five tiles, and the thumbs over time."""
    tiles = [
        _released_tile(services, session),
        *_thumbs_tiles(services, session),
        _cycle_tile(services, session),
        _live_comparison_tile(services, session),
    ]
    thumbs = ratings.thumbs(services, session, can_roll_back=services.can_roll_back())
    return render("dashboard/overview.html", tiles=tiles, thumbs=thumbs)


def _released_tile(services: AdminServices, session: DashboardSession) -> Tile:
    texts, history = session.texts, services.versions.history()
    since = texts.since_format.format(date=date(texts, history[-1]["at"])) if history else ""
    return Tile(texts.tiles["released"], services.versions.released() or NONE, since, "versions")


def _thumbs_tiles(services: AdminServices, session: DashboardSession) -> list[Tile]:
    texts, counts = session.texts, services.store.counts()
    of_released = counts["versions"].get(services.versions.released(), {"up": 0, "down": 0})
    share = thumbs_share(of_released["up"], of_released["down"])
    up, down = counts["ratings"]["up"], counts["ratings"]["down"]
    return [
        Tile(
            texts.tiles["liked"],
            percent(texts, share) if share else NONE,
            interval(texts, share) if share else texts.none_yet,
            "ratings",
        ),
        Tile(
            texts.tiles["votes"],
            f"{up + down:,}",
            texts.thumbs_counts_format.format(up=up, down=down),
            "ratings",
        ),
    ]


def _cycle_tile(services: AdminServices, session: DashboardSession) -> Tile:
    texts, cycles = session.texts, cycle_records.cycles(services.home)
    value, note = (str(cycles[0].number), outcome(texts, cycles[0])) if cycles else (NONE, texts.none_yet)
    return Tile(texts.tiles["cycle"], value, note, "cycles")


def _live_comparison_tile(services: AdminServices, session: DashboardSession) -> Tile:
    texts = session.texts
    try:
        under_way = live_comparison.read(services.home)
    except SettingsError as error:
        value, note = "?", error_text(texts, error)
    else:
        last = next((record for record in cycle_records.trials(services.home) if "ended" in record), None)
        if under_way is None and last is not None:
            value, verdict = f"{last['candidate']} / {last['released']}", str(last.get("verdict"))
            note = texts.live_verdicts.get(verdict, verdict)
        elif under_way is None:
            value, note = NONE, texts.none_yet
        else:
            value = f"{under_way.candidate} / {under_way.released}"
            note = texts.percent_format.format(value=f"{100 * under_way.share:g}")
    return Tile(texts.tiles["live_comparison"], value, note, "live_comparison")

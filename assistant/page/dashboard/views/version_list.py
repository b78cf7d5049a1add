"""The view of versions: their family tree, with each version's verdict and thumbs."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from assistant.admin.actions import verdict
from assistant.admin.services import AdminServices
from assistant.errors import SettingsError, VersionError
from assistant.page.dashboard.views.family_tree import Row, family_rows, lane_count
from assistant.page.dashboard.views.formatting import date, share_text, thumbs_share
from assistant.page.i18n.dashboard_languages import DashboardTexts, error_text
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.templates import render
from assistant.registry import live_comparison
from assistant.registry.versions import Manifest

LANE_WIDTH = 18
"""Width of a lane of the tree in pixels."""
VERDICT_TONES = {"promote": "good", "hold": "calm", "reject": "bad"}


def view(services: AdminServices, session: DashboardSession) -> Markup:
    """The family tree, the newest version on top. A version with an unreadable manifest is left out, with a notice."""
    texts, manifests = session.texts, {}
    for version in services.versions.ids():
        try:
            manifests[version] = services.versions.manifest(version)
        except VersionError as error:
            session.notify(error_text(texts, error), error=True)
    parents = {version: manifest.parent for version, manifest in manifests.items()}
    rows = family_rows(parents, services.versions.released())
    counts = services.store.counts()["versions"]
    return render(
        "dashboard/version_list.html",
        texts=texts,
        versions=[_row(services, texts, row, manifests[row.version], counts) for row in rows],
        width=LANE_WIDTH * lane_count(rows),
        can_roll_back=services.can_roll_back(),
    )


def tags(services: AdminServices, texts: DashboardTexts, manifest: Manifest) -> list[tuple[str, str]]:
    """Labels of a version with their tones: released, in a live comparison, reward model, else the gate's verdict."""
    labels = []
    if manifest.id == services.versions.released():
        labels.append((texts.released, "strong"))
    try:
        under_way = live_comparison.read(services.home)
    except SettingsError:
        under_way = None
    if under_way is not None and under_way.candidate == manifest.id:
        labels.append((texts.in_live_comparison, "good"))
    if manifest.stage == "reward":
        labels.append((texts.reward_model, "calm"))
    elif manifest.gate is not None and manifest.id != services.versions.released():
        # Of the released version it is no news: people may have released what the gate held.
        name = verdict(manifest)
        labels.append((texts.verdicts.get(name, name), VERDICT_TONES.get(name, "calm")))
    return labels


def _row(
    services: AdminServices, texts: DashboardTexts, row: Row, manifest: Manifest, counts: dict[str, Any]
) -> dict[str, Any]:
    thumbs = counts.get(manifest.id, {"up": 0, "down": 0})
    origin = manifest.stage
    if manifest.parent:
        origin = texts.made_from_format.format(stage=manifest.stage, parent=manifest.parent)
    return {
        "id": manifest.id,
        "released": manifest.id == services.versions.released(),
        "tags": tags(services, texts, manifest),
        "origin": origin,
        "created": date(texts, manifest.created),
        "thumbs": share_text(texts, thumbs_share(thumbs["up"], thumbs["down"])),
        "paths": _lane_paths(row),
        "dot": _lane_middle(row.lane),
    }


def _lane_paths(row: Row) -> list[str]:
    """SVG paths of the part of the tree that this row shows, in pixels across and percent of the row down."""
    middle = _lane_middle(row.lane)
    paths = [f"M{_lane_middle(lane)} 0V100" for lane in row.through]
    paths += [f"M{x} 0C{x} 30 {middle} 20 {middle} 50" for x in map(_lane_middle, row.joins)]
    paths += [f"M{middle} 0V50"] if row.above else []
    paths += [f"M{middle} 50V100"] if row.below else []
    return paths


def _lane_middle(lane: int) -> float:
    return LANE_WIDTH * (lane + 0.5)

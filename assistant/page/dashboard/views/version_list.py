"""The versions: their family tree, and a panel with what one of them is and how it was judged."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from assistant.admin import cycle_records
from assistant.admin.actions import verdict
from assistant.admin.services import Office
from assistant.errors import SettingsError, VersionError
from assistant.page.dashboard.views import cycles
from assistant.page.dashboard.views.charts import Line, Point, line_chart
from assistant.page.dashboard.views.family_tree import Row, family, width
from assistant.page.dashboard.views.widgets import (
    badge,
    button,
    card,
    date,
    dialog,
    empty,
    moment,
    share_text,
    thumbs_share,
    wait,
)
from assistant.page.i18n.dashboard_languages import DashboardWords, told
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.markdown import markdown, plain
from assistant.registry import live_comparison
from assistant.registry.versions import STARTER, STARTER_FOLDER, Manifest

LANE = 18
"""Width of a lane of the tree, in pixels."""
TONES = {"promote": "good", "hold": "calm", "reject": "bad"}


def view(office: Office, session: DashboardSession) -> str:
    """The family tree."""
    words, manifests = session.words, {}
    for version in office.versions.ids():
        try:
            manifests[version] = office.versions.manifest(version)
        except VersionError as error:
            session.say(told(session.words, error), error=True)
    released = office.versions.released()
    rows = family({version: one.parent for version, one in manifests.items()}, released)
    lanes, given = width(rows), office.store.counts()["versions"]
    drawn = "".join(
        f'<li><button type="button" class="version{" served" if row.version == released else ""}" '
        f'data-do="open_version" data-version="{row.version}" '
        f'aria-label="{plain(words.details.format(version=row.version))}">'
        f"{_lanes(row, lanes)}{_line(office, words, manifests[row.version], released, given)}</button></li>"
        for row in rows
    )
    back = ""
    if len({one["version"] for one in office.versions.history()}) > 1:
        back = button("ask_roll_back", words.roll_back)
    return card(words.views["versions"], f'<ol class="family">{drawn}</ol>', words.versions_help, back)


def _line(
    office: Office, words: DashboardWords, one: Manifest, released: str | None, given: dict[str, Any]
) -> str:
    of = given.get(one.id, {"up": 0, "down": 0})
    made = words.made_from_format.format(stage=one.stage, parent=one.parent) if one.parent else one.stage
    return (
        f'<span class="name">{plain(one.id)}</span><span class="tags">{_tags(office, words, one, released)}</span>'
        f'<span class="made">{plain(made)} · {plain(date(words, one.created))}</span>'
        f'<span class="liked">{plain(share_text(words, thumbs_share(of["up"], of["down"])))}</span>'
    )


def _tags(office: Office, words: DashboardWords, one: Manifest, released: str | None) -> str:
    tags = []
    if one.id == released:
        tags.append(badge(words.released, "strong"))
    try:
        under_way = live_comparison.read(office.home)
    except SettingsError:
        under_way = None
    if under_way is not None and under_way.candidate == one.id:
        tags.append(badge(words.in_trial, "good"))
    if one.stage == "reward":
        tags.append(badge(words.judge))
    elif one.gate is not None:
        tags.append(badge(words.verdicts.get(verdict(one), verdict(one)), TONES.get(verdict(one), "calm")))
    return "".join(tags)


def _lanes(row: Row, lanes: int) -> str:
    """The part of the tree that this row shows."""

    def x(lane: int) -> float:
        return LANE * (lane + 0.5)

    here = x(row.lane)
    paths = [f"M{x(lane)} 0V100" for lane in row.through]
    paths += [f"M{x(lane)} 0C{x(lane)} 30 {here} 20 {here} 50" for lane in row.joins]
    paths += [f"M{here} 0V50"] if row.above else []
    paths += [f"M{here} 50V100"] if row.below else []
    drawn = "".join(f'<path d="{path}"/>' for path in paths)
    return (
        f'<span class="lanes" style="width:{LANE * lanes}px" aria-hidden="true">'
        f'<svg viewBox="0 0 {LANE * lanes} 100" preserveAspectRatio="none">{drawn}</svg>'
        f'<i style="left:{here}px"></i></span>'
    )


def panel(office: Office, session: DashboardSession, version: str) -> str:
    """All about one version. Raises VersionError if it is unknown or its manifest cannot be read."""
    words, one = session.words, office.versions.manifest(version)
    released = office.versions.released()
    head = f'<p class="tags">{_tags(office, words, one, released)}</p>'
    actions = []
    if one.stage != "reward" and version != released:
        actions.append(button("ask_release", words.release, "strong", version=version))
        if any(candidate.id == version for candidate in office.candidates()):
            actions.append(button("choose_candidate", words.start_with, version=version))
        actions.append(button("choose_rival", words.compare_with, version=version))
    body = (
        f'{head}<div class="row">{"".join(actions)}</div>'
        f"<h3>{plain(words.sections['gate'])}</h3>{_gate(words, one)}"
        f"{_rewards(office, session, one)}"
        f"<h3>{plain(words.sections['curves'])}</h3>{_curves(office, words, version)}"
        f"<h3>{plain(words.sections['facts'])}</h3>{_facts(words, one)}{_card(office, words, one)}"
    )
    return dialog(words, version, body)


def ask_release(office: Office, session: DashboardSession, version: str) -> str:
    """The question before a release. Raises VersionError."""
    words, one, released = session.words, office.versions.manifest(version), office.versions.released()
    warning = ""
    if not any(candidate.id == version for candidate in office.candidates()):
        warning = f'<p class="notice error">{plain(words.release_warning)}</p>'
    title = words.release_format.format(version=one.id)
    body = (
        f"<p>{plain(words.release_help_format.format(version=one.id, released=released))}</p>{warning}"
        f'<form data-do="release" data-version="{plain(one.id)}">{_why(words)}'
        f'<div class="row">{wait(words)}'
        f'<button type="submit" class="strong">{plain(words.release)}</button></div></form>'
    )
    return dialog(words, title, body)


def ask_roll_back(office: Office, session: DashboardSession) -> str:
    """The question before a way back."""
    words = session.words
    body = (
        f"<p>{plain(words.roll_back_help.format(released=office.versions.released()))}</p>"
        f'<form data-do="roll_back">{_why(words)}<div class="row">{wait(words)}'
        f'<button type="submit" class="strong danger">{plain(words.roll_back)}</button></div></form>'
    )
    return dialog(words, words.roll_back, body)


def _why(words: DashboardWords) -> str:
    return (
        f'<label class="field"><span>{plain(words.why)}</span><input name="why" maxlength="300" dir="auto" '
        f'placeholder="{plain(words.why_placeholder)}"></label>'
    )


def _gate(words: DashboardWords, one: Manifest) -> str:
    if one.gate is None:
        return empty(words.no_gate_judge if one.stage == "reward" else words.no_gate)
    return cycles.decision(words, one.gate)


def _rewards(office: Office, session: DashboardSession, one: Manifest) -> str:
    gate = one.gate or {}
    drawn = cycles.rewards(office, session, gate.get("cycle"), one.id, str(gate.get("released", "")))
    return f"<h3>{plain(session.words.sections['rewards'])}</h3>{drawn}" if drawn else ""


def _curves(office: Office, words: DashboardWords, version: str) -> str:
    found = cycle_records.curves(office.home, version)
    if not found:
        return empty(words.no_curves)
    lines = [
        Line(
            words.curves.get(curve.name, curve.name),
            [
                Point(step, value, text=f"{words.curves.get(curve.name, curve.name)} · {step:g}: {value:.4g}")
                for step, value in curve.points
            ],
            tone,
        )
        for tone, curve in enumerate(found)
    ]
    return line_chart(
        lines, words.sections["curves"], lambda x: f"{x:g}", lambda y: f"{y:g}", x_title=words.updates
    )


def _facts(words: DashboardWords, one: Manifest) -> str:
    facts = {
        "base": f"{one.base.name} {one.base.revision[:12]}".strip(),
        "parent": one.parent,
        "stage": one.stage,
        "created": moment(words, one.created),
        "seed": one.seed,
        "data": _listed(one.data),
        "metrics": _listed(one.metrics),
        "recipe": _listed(one.recipe),
        "libraries": _listed(one.libraries),
    }
    rows = "".join(
        f'<div><dt>{plain(words.facts[key])}</dt><dd dir="auto">{plain(str(value))}</dd></div>'
        for key, value in facts.items()
        if value not in (None, "")
    )
    whole = json.dumps(asdict(one), ensure_ascii=False, indent=1)
    return (
        f'<dl class="facts">{rows}</dl><details class="more" id="manifest-{plain(one.id)}">'
        f"<summary>{plain(words.manifest)}</summary><pre>{plain(whole)}</pre></details>"
    )


def _listed(values: dict[str, Any]) -> str:
    """Short facts as "name value"; what is long or nested stands in the manifest."""
    short = {
        key: value for key, value in values.items() if isinstance(value, str | int | float) and value != ""
    }
    return ", ".join(
        f"{key} {value:.12}"
        if isinstance(value, str)
        else f"{key} {value:,}"
        if isinstance(value, int)
        else f"{key} {value:.4g}"
        for key, value in short.items()
    )


def _card(office: Office, words: DashboardWords, one: Manifest) -> str:
    """The model card that lies with the version; the starter's own for versions on the starter."""
    paths = [office.versions.folder / one.id / "README.md"]
    if one.base.name == STARTER:
        paths.append(STARTER_FOLDER / "README.md")
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            continue
        text = text.split("\n---\n", 1)[-1] if text.startswith("---\n") else text
        return (
            f'<details class="more" id="card-{plain(one.id)}"><summary>{plain(words.card)}</summary>'
            f'<div class="answer" lang="en">{markdown(text)}</div></details>'
        )
    return ""

"""The panel about one version: the gate's decision, rewards, training curves, manifest and model card."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from markupsafe import Markup

from assistant.admin import cycle_records
from assistant.admin.actions import export_formats
from assistant.admin.services import AdminServices
from assistant.bases.base import STARTER, STARTER_FOLDER
from assistant.bases.card_lookup import card_of, public_name
from assistant.page.dashboard.views.charts import Line, Point, line_chart
from assistant.page.dashboard.views.cycles import gate_decision, probes, rewards
from assistant.page.dashboard.views.formatting import moment
from assistant.page.dashboard.views.side_by_side import choice_counts
from assistant.page.dashboard.views.version_list import tags
from assistant.page.i18n.dashboard_languages import DashboardTexts
from assistant.page.session.dashboard_session import DashboardSession
from assistant.page.views.markdown import markdown
from assistant.page.views.templates import render
from assistant.registry.versions import Manifest


def panel(services: AdminServices, session: DashboardSession, version: str) -> Markup:
    """Everything known about one version. Raises VersionError if it is unknown or its manifest cannot be read."""
    texts, manifest = session.texts, services.versions.manifest(version)
    is_judge, gate = manifest.stage == "reward", manifest.gate
    return render(
        "dashboard/version_panel.html",
        texts=texts,
        version=manifest.id,
        tags=tags(services, texts, manifest),
        can_release=not is_judge and version != services.versions.released(),
        is_candidate=any(candidate.id == version for candidate in services.candidates()),
        is_judge=is_judge,
        gate=gate_decision(texts, gate) if gate is not None else None,
        rewards=rewards(
            services, session, (gate or {}).get("cycle"), version, str((gate or {}).get("released", ""))
        ),
        probes=_probes(services, texts, version),
        choices=_choices(services, texts, manifest),
        exports=export_formats(manifest),
        curves=_curves(services, texts, version),
        facts=_facts(services, texts, manifest),
        manifest=json.dumps(asdict(_shown(services, manifest)), ensure_ascii=False, indent=1),
        model_card=_model_card(services, manifest),
    )


def _curves(services: AdminServices, texts: DashboardTexts, version: str) -> Markup | None:
    """The training curves; None where the version kept none."""
    curves = cycle_records.curves(services.home, version)
    if not curves:
        return None
    lines = []
    for tone, curve in enumerate(curves):
        name = texts.curves.get(curve.name, curve.name)
        points = [Point(step, value, text=f"{name} · {step:g}: {value:.4g}") for step, value in curve.points]
        lines.append(Line(name, points, tone))
    return line_chart(
        lines,
        texts.sections["curves"],
        lambda step: f"{step:g}",
        lambda value: f"{value:g}",
        x_title=texts.updates,
    )


def _probes(services: AdminServices, texts: DashboardTexts, version: str) -> Markup:
    """What became of people's corrections when the version was last asked them; empty where it never was."""
    for record in cycle_records.asked_again(services.home):
        if found := record.candidates.get(version):
            return probes(texts, found, version, record.released, level=3)
    return Markup()


def _choices(services: AdminServices, texts: DashboardTexts, manifest: Manifest) -> list[str]:
    """What people said of the version: how its live comparisons ended, and choices side by side."""
    lines = []
    for record in cycle_records.trials(services.home):
        if "ended" in record and manifest.id in (record.get("candidate"), record.get("released")):
            verdict = str(record.get("verdict"))
            lines.append(
                texts.live_ended_format.format(
                    candidate=record["candidate"],
                    released=record["released"],
                    verdict=texts.live_verdicts.get(verdict, verdict),
                    date=moment(texts, str(record["ended"])),
                )
            )
    others = (services.versions.released(), manifest.parent, (manifest.gate or {}).get("released"))
    for other in dict.fromkeys(str(other) for other in others if other and other != manifest.id):
        if (counts := choice_counts(services, texts, manifest.id, other)) is not None:
            lines.append(f"{counts.text} {counts.finding}")
    return lines


def _shown(services: AdminServices, manifest: Manifest) -> Manifest:
    """The manifest with its base's name instead of the folder where that lies."""
    name = public_name(manifest.base.name, services.home)
    return replace(manifest, base=replace(manifest.base, name=name))


def _facts(services: AdminServices, texts: DashboardTexts, manifest: Manifest) -> dict[str, str]:
    """The manifest's fields as text, by their names in `DashboardTexts.facts`; empty ones are left out."""
    facts = {
        "base": f"{card_of(manifest.base.name, services.home).name} {manifest.base.revision[:12]}".strip(),
        "parent": manifest.parent,
        "stage": manifest.stage,
        "created": moment(texts, manifest.created),
        "seed": manifest.seed,
        "data": _short_values(manifest.data),
        "metrics": _short_values(manifest.metrics),
        "recipe": _short_values(manifest.recipe),
        "libraries": _short_values(manifest.libraries),
    }
    return {name: str(value) for name, value in facts.items() if value not in (None, "")}


def _short_values(values: dict[str, Any]) -> str:
    """Texts and numbers as "name value, name value"; nested values stand only in the manifest."""
    formats = {str: ".12", int: ",", bool: ",", float: ".4g"}
    return ", ".join(
        f"{name} {value:{formats[type(value)]}}"
        for name, value in values.items()
        if type(value) in formats and value != ""
    )


def _model_card(services: AdminServices, manifest: Manifest) -> Markup:
    """The model card in the version's folder, else the starter's for versions on the starter; empty where none is."""
    paths = [services.versions.folder / manifest.id / "README.md"]
    if manifest.base.name == STARTER:
        paths.append(STARTER_FOLDER / "README.md")
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            continue
        if text.startswith("---\n"):  # The metadata that the Hub reads.
            text = text.split("\n---\n", 1)[-1]
        return markdown(text)
    return Markup()

"""The panels that open over the page, as HTML: settings and the version's card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assistant.page.i18n.languages import Words
from assistant.page.session.preferences import LARGEST_SEED, MAX_SYSTEM, MAX_TOKENS, PRECISE, VARIED
from assistant.page.views import icons
from assistant.page.views.markdown import markdown, plain
from assistant.registry.versions import STARTER, STARTER_FOLDER

if TYPE_CHECKING:
    from assistant.page.session.chat_session import Session
    from assistant.registry.versions import Manifest
    from assistant.serving.sampling import Sampling


def dialog(words: Words, title: str, body: str, kind: str) -> str:
    """A panel with a title and a way to close it; the script opens it as modal."""
    return (
        f'<dialog class="panel {kind}" lang="{words.code}" aria-label="{plain(title)}">'
        f'<div class="panel-top"><h2>{plain(title)}</h2>'
        f'<button type="button" class="icon" data-do="close" title="{plain(words.close)}" '
        f'aria-label="{plain(words.close)}">{icons.CROSS}</button></div>'
        f'<div class="panel-body" tabindex="0">{body}</div></dialog>'
    )


def settings(session: Session, default: Sampling) -> str:
    """How answers are drawn, in plain words."""
    words, own = session.words, session.preferences
    drawn = own.sampling(default)
    presets = "".join(
        f'<button type="button" class="choice" data-do="preset" data-value="{name}" '
        f'aria-pressed="{"true" if chosen else "false"}">{plain(label)}</button>'
        for name, label, chosen in (
            ("precise", words.precise, drawn.temperature == PRECISE.temperature),
            (
                "varied",
                words.varied,
                (drawn.temperature, drawn.top_p) == (VARIED.temperature, VARIED.top_p),
            ),
            ("reset", words.reset, False),
        )
    )
    seed = "" if own.seed is None else own.seed
    rows = [
        _slider("temperature", words.temperature, words.temperature_help, drawn.temperature, 0, 2, 0.05),
        _slider("top_p", words.top_p, words.top_p_help, drawn.top_p, 0.05, 1, 0.05),
        _number("top_k", words.top_k, words.top_k_help, drawn.top_k, 0, 1_000),
        _number(
            "max_new_tokens", words.max_tokens, words.max_tokens_help, drawn.max_new_tokens, 1, MAX_TOKENS
        ),
        _number("seed", words.seed, words.seed_help, seed, 0, LARGEST_SEED, words.seed_random),
    ]
    keys = "".join(
        f"<div><dt><kbd>{plain(key)}</kbd></dt><dd>{plain(label)}</dd></div>"
        for key, label in words.shortcut_names.items()
    )
    body = (
        f'<div class="presets" role="group" aria-label="{plain(words.presets)}">{presets}</div>'
        f'<form data-change="set_preferences"><label class="field"><span>{plain(words.system_label)}</span>'
        f'<textarea name="system" rows="3" dir="auto" maxlength="{MAX_SYSTEM}">\n{plain(own.system)}</textarea>'
        f"<small>{plain(words.system_help)}</small></label>{''.join(rows)}</form>"
        f'<p class="help">{plain(words.settings_kept)}</p>'
        f'<h3>{plain(words.shortcuts)}</h3><dl class="keys">{keys}</dl>'
    )
    return dialog(words, words.settings, body, "settings")


def card(words: Words, manifest: Manifest, about: str) -> str:
    """What the serving version is: its manifest, and the starter's own card where it is one."""
    base = f"{manifest.base.name} {manifest.base.revision[:12]}".strip()
    facts = {
        "base": base,
        "parent": manifest.parent or words.none,
        "stage": words.card_stages.get(manifest.stage, manifest.stage),
        "created": manifest.created[:10],
        "data": _listed(words, manifest.data) or words.none,
        "metrics": _listed(words, manifest.metrics) or words.none,
    }
    rows = "".join(
        f'<div><dt>{plain(words.card[key])}</dt><dd dir="auto">{plain(value)}</dd></div>'
        for key, value in facts.items()
    )
    about_it = more = ""
    if manifest.base.name == STARTER:
        text = (STARTER_FOLDER / "README.md").read_text(encoding="utf-8")
        text = text.split("\n---\n", 1)[-1] if text.startswith("---\n") else text
        about_it = f'<p class="about">{plain(words.card_starter)}</p>'
        more = (
            f'<details class="card-text" id="card-document"><summary>{plain(words.card_document)}</summary>'
            f'<div class="answer" lang="en" dir="ltr">{markdown(text)}</div></details>'
        )
    title = words.card_title_format.format(version=manifest.id)
    return dialog(
        words,
        title,
        f'<p class="help">{plain(about)}</p>{about_it}<dl class="facts">{rows}</dl>{more}',
        "card",
    )


def _listed(words: Words, values: dict[str, object]) -> str:
    """Short facts as "name value", names that people know in their language; what is long or nested is left out."""
    return " · ".join(
        f"{words.card_facts.get(key, key)} {_short(value)}"
        for key, value in values.items()
        if isinstance(value, str | int | float)
    )


def _short(value: str | float) -> str:
    if isinstance(value, str):
        return value[:12]
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def _slider(name: str, label: str, text: str, value: float, least: float, most: float, step: float) -> str:
    return (
        f'<label class="field"><span>{plain(label)}<output>{value:g}</output></span>'
        f'<input type="range" name="{name}" min="{least}" max="{most}" step="{step}" value="{value:g}">'
        f"<small>{plain(text)}</small></label>"
    )


def _number(
    name: str, label: str, text: str, value: int | str, least: int, most: int, placeholder: str = ""
) -> str:
    return (
        f'<label class="field"><span>{plain(label)}</span>'
        f'<input type="number" name="{name}" min="{least}" max="{most}" step="1" value="{value}" '
        f'placeholder="{plain(placeholder)}"><small>{plain(text)}</small></label>'
    )

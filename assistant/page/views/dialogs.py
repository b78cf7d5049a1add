"""The dialogs that open over the page as HTML: settings and the version's card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from assistant.bases.base import STARTER, STARTER_FOLDER
from assistant.page.i18n.languages import ChatTexts
from assistant.page.session.preferences import LARGEST_SEED, MAX_SYSTEM, MAX_TOKENS, PRECISE, VARIED
from assistant.page.views.markdown import markdown
from assistant.page.views.templates import render
from assistant.sampling_settings import MAX_PAGE_TEMPERATURE

if TYPE_CHECKING:
    from assistant.bases.model_card import ModelCard
    from assistant.page.session.chat_session import ChatSession
    from assistant.registry.versions import Manifest
    from assistant.sampling_settings import Sampling


def settings(session: ChatSession, default: Sampling) -> Markup:
    """The form of sampling settings and instructions; `default` is what the server does without any."""
    texts, preferences = session.texts, session.preferences
    sampling = preferences.sampling(default)
    is_precise = sampling.temperature == PRECISE.temperature
    is_varied = (sampling.temperature, sampling.top_p) == (VARIED.temperature, VARIED.top_p)
    return render(
        "chat/settings.html",
        texts=texts,
        presets=[
            ("precise", texts.precise, is_precise),
            ("varied", texts.varied, is_varied),
            ("reset", texts.reset, False),
        ],
        system=preferences.system,
        temperature=f"{sampling.temperature:g}",
        max_temperature=f"{MAX_PAGE_TEMPERATURE:g}",
        top_p=f"{sampling.top_p:g}",
        top_k=sampling.top_k,
        max_new_tokens=sampling.max_new_tokens,
        seed="" if preferences.seed is None else preferences.seed,
        max_system=MAX_SYSTEM,
        max_tokens=MAX_TOKENS,
        largest_seed=LARGEST_SEED,
    )


def version_card(texts: ChatTexts, manifest: Manifest, card: ModelCard, about: str) -> Markup:
    """What is known of the version's model, and the facts of its manifest; for the starter, its README.md too."""
    own = card.texts[texts.code]
    model = {
        "good_at": own.good_at,
        "not_good_at": own.not_good_at,
        "size": card.size,
        "languages": " · ".join(texts.card_languages.get(code, code) for code in card.languages),
        "licence": card.licence,
    }
    facts = {
        "base": f"{card.name} {manifest.base.revision[:12]}".strip(),
        "parent": manifest.parent or texts.none,
        "stage": texts.card_stages.get(manifest.stage, manifest.stage),
        "created": manifest.created[:10],
        "data": _facts(texts, manifest.data) or texts.none,
        "metrics": _facts(texts, manifest.metrics) or texts.none,
    }
    document = None
    if manifest.base.name == STARTER:
        text = (STARTER_FOLDER / "README.md").read_text(encoding="utf-8")
        document = markdown(text.split("\n---\n", 1)[-1] if text.startswith("---\n") else text)
    title = texts.card_title_format.format(version=manifest.id)
    return render(
        "chat/version_card.html",
        texts=texts,
        title=title,
        about=about,
        model={name: value for name, value in model.items() if value},
        facts=facts,
        document=document,
    )


def _facts(texts: ChatTexts, values: dict[str, object]) -> str:
    """The short values as "name value · name value", with translated names; nested values are left out."""
    return " · ".join(
        f"{texts.card_facts.get(key, key)} {_short(value)}"
        for key, value in values.items()
        if isinstance(value, str | int | float)
    )


def _short(value: str | float) -> str:
    if isinstance(value, str):
        return value[:12]
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"

"""The tour: its screens, and the results of claims as they are shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from assistant.page.i18n.languages import TOUR_LANGUAGES
from assistant.page.session.tour_session import TourSession
from assistant.page.tour import claim_results, plot_route, tour_views
from assistant.page.tour.tour_handlers import TourHandlers

RESULT = {
    "verdict": "partly",
    "conditions": [
        {"is_met": True, "en": "They <b>differ</b>.", "zh": "它们不同。"},
        {"is_met": False, "en": "All end.", "zh": "都结束。"},
    ],
    "plain": {"en": "Three of <i>four</i>.", "zh": "四个里有三个。"},
    "finding": {"en": "3 of 4 <b>differ</b>.", "zh": "4 个中有 3 个不同。"},
    "command": "python -m benchmarks.claims word_chain",
    "date": "2026-11-29",
}


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Documents beside the package, with the result and the plots of one claim."""
    (tmp_path / "claims").mkdir()
    (tmp_path / "images" / "claims").mkdir(parents=True)
    (tmp_path / "explanation.md").write_text("# Explanation")
    (tmp_path / "claims" / "summary.json").write_text(json.dumps({"word_chain": RESULT}))
    for name in ("word_chain.svg", "word_chain.zh.svg"):
        (tmp_path / "images" / "claims" / name).write_text(f"<svg>{name}</svg>")
    monkeypatch.setattr(claim_results, "DOCS", tmp_path)
    return tmp_path


def opened(language: str = "en") -> dict[str, Any]:
    return dict(TourHandlers().open(TourSession(), {"language": language, "browser_language": "en"}))


@pytest.mark.parametrize("language", TOUR_LANGUAGES)
def test_each_claim_has_a_screen_with_its_text(docs: Path, language: str) -> None:
    texts = TOUR_LANGUAGES[language]
    assert list(texts.titles) == list(texts.explanations) == list(tour_views.CLAIMS)
    drawn = opened(language)
    for name in tour_views.CLAIMS:
        assert texts.titles[name] in drawn[name] and texts.explanations[name] in drawn[name]
        assert f'href="#{name}"' in drawn["intro"]


def test_a_result_is_shown_with_its_figures_plot_and_command_and_is_escaped(docs: Path) -> None:
    english, chinese = opened("en")["word_chain-result"], opened("zh")["word_chain-result"]
    assert "</b> Three of &lt;i&gt;four&lt;/i&gt;.</p>" in english and "</b> 四个里有三个。</p>" in chinese
    assert 'aria-label="seen:">✓</span> They &lt;b&gt;differ&lt;/b&gt;.' in english
    assert 'aria-label="没有看到：">✗</span> 都结束。' in chinese
    assert "3 of 4 &lt;b&gt;differ&lt;/b&gt;." in english and "It held in part." in english
    assert 'src="tour/plots/word_chain.svg"' in english and RESULT["command"] in english
    assert "4 个中有 3 个不同。" in chinese and 'src="tour/plots/word_chain.zh.svg"' in chinese


def test_a_claim_without_a_result_says_that_it_was_not_measured(docs: Path) -> None:
    texts = TOUR_LANGUAGES["en"]
    assert texts.not_measured in opened()["two_languages-result"]
    assert texts.not_measured not in opened()["word_chain-result"]
    assert texts.not_measured not in opened()["votes_and_rows-result"]


def test_an_installation_without_documents_says_where_they_are(docs: Path) -> None:
    (docs / "claims" / "summary.json").unlink()
    (docs / "explanation.md").unlink()
    assert TOUR_LANGUAGES["en"].not_here in opened()["two_languages-result"]


@pytest.mark.parametrize("content", ["{", "[1]", '{"word_chain": {"verdict": "held"}}', '{"word_chain": 3}'])
def test_a_damaged_summary_costs_the_figures_and_not_the_page(docs: Path, content: str) -> None:
    (docs / "claims" / "summary.json").write_text(content)
    assert TOUR_LANGUAGES["en"].titles["word_chain"] in opened()["word_chain"]


def test_the_route_sends_plots_and_nothing_else(docs: Path) -> None:
    (docs / "images" / "claims" / "secret.txt").write_text("secret")
    with TestClient(Starlette(routes=[plot_route()])) as client:
        sent = client.get("/tour/plots/word_chain.svg")
        assert sent.text == "<svg>word_chain.svg</svg>"
        assert sent.headers["content-type"] == "image/svg+xml"
        for other in ("secret.txt", "..%2F..%2Fexplanation.md", "%2e%2e", "two_languages.svg"):
            assert client.get(f"/tour/plots/{other}").status_code == 404


def test_the_language_is_that_of_the_link_else_of_the_browser(docs: Path) -> None:
    session = TourSession()
    TourHandlers().open(session, {"language": ["xx"], "browser_language": "zh"})
    assert session.language == "zh"
    drawn = TourHandlers().language(session, {})
    assert session.language == "en" and TOUR_LANGUAGES["en"].intro_title in drawn["intro"]

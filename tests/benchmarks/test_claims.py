"""The claims' harness: parts are kept, documents come from results alone, and every claim can be run."""

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.paths import ROOT

from alignment.suites.checkers import CHINESE
from assistant.page.tour import claim_results
from assistant.page.tour.tour_views import CLAIMS as SCREENS
from assistant.page.tour.tour_views import NOT_MEASURED
from benchmarks.claims import document
from benchmarks.claims.claim import LANGUAGES, ClaimTexts, Condition, Report, Text
from benchmarks.claims.command import CLAIMS, main
from benchmarks.claims.context import Context
from benchmarks.claims.intervals import difference, mean, share

RESULT: dict[str, Any] = {
    "command": "python -m benchmarks.claims word_chain",
    "quick": False,
    "date": "2026-11-29",
    "machine": {"cpu": "Example CPU", "cores": 2},
    "minutes": 3.5,
    "libraries": {},
    "log": [],
    "measured": {"count": 9, "of": 10},
}


def small_claim() -> Any:
    def report(measured: dict[str, int]) -> Report:
        figure = share(**measured)
        return Report(
            "held",
            Text("Nine of ten.", "十个里有九个。"),
            [
                Condition(Text("It differs.", "有不同。"), True),
                Condition(Text("It ends.", "会结束。"), False),
            ],
            Text(figure.percent, figure.percent),
            [Text("Share", "比例")],
            [[figure.percent]],
        )

    def draw(measured: dict[str, int], figure: Any, language: str) -> None:
        figure.subplots().barh([0], [measured["count"]])

    texts = {language: ClaimTexts("Claim.", "Done.", "Refuted.") for language in LANGUAGES}
    return SimpleNamespace(TEXTS=texts, report=report, draw=draw)


def test_documents_plots_and_the_tours_summary_are_made_from_the_results_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "claims"
    folder.mkdir()
    (folder / "word_chain.json").write_text(json.dumps(RESULT), encoding="utf-8")
    document.write(tmp_path, {"word_chain": small_claim(), "two_languages": small_claim()})
    english = (tmp_path / "claims.md").read_text(encoding="utf-8")
    assert english.count("| It held. | Nine of ten. |") == english.count("**It held.** Nine of ten.\n") == 1
    assert "- ✓ It differs.\n- ✗ It ends.\n" in english
    assert "**The figures that decide.** 90.0 % [59.6, 98.2]" in english
    assert "| 90.0 % [59.6, 98.2] |" in english
    assert (
        "`python -m benchmarks.claims word_chain`, 2026-11-29, 2 cores of an Example CPU, 3.5 minutes of processor"
        in english
    )
    assert english.count("Not measured yet: `python -m benchmarks.claims two_languages`.") == 2
    assert "**成立。** 十个里有九个。" in (tmp_path / "claims.zh.md").read_text(encoding="utf-8")
    (tmp_path / "explanation.md").touch()
    monkeypatch.setattr(claim_results, "DOCS", tmp_path)
    shown = claim_results.claim_results("zh")["word_chain"]
    assert (shown.verdict, shown.plain, shown.plot) == ("held", "十个里有九个。", "word_chain.zh.svg")
    assert shown.conditions == [("有不同。", True), ("会结束。", False)]
    assert shown.finding == "90.0% [59.6, 98.2]"
    plots = sorted(path.name for path in (tmp_path / "images" / "claims").iterdir())
    assert plots == ["word_chain.svg", "word_chain.zh.svg"]


def test_a_plot_is_the_same_bytes_whenever_it_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "claims").mkdir()
    (tmp_path / "claims" / "word_chain.json").write_text(json.dumps(RESULT), encoding="utf-8")
    drawn = []
    for _ in range(2):
        document.write(tmp_path, {"word_chain": small_claim()})
        drawn.append((tmp_path / "images" / "claims" / "word_chain.svg").read_bytes())
    assert drawn[0] == drawn[1]


def test_a_finished_part_is_not_measured_again(tmp_path: Path) -> None:
    context = Context(tmp_path)
    values = iter([{"count": 1}, {"count": 2}])
    assert context.once("seed-1", next, values) == context.once("seed-1", next, values) == {"count": 1}
    assert [part["part"] for part in context.parts()] == ["seed-1"]


def seeded_claim() -> Any:
    """A claim of one part a seed."""

    def run(context: Context) -> dict[str, Any]:
        return {f"{seed}": context.once(f"seed-{seed}", int, 10 * seed) for seed in context.seeds}

    return SimpleNamespace(run=run)


def test_a_process_measures_one_seed_and_the_last_gathers_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CLAIMS, "word_chain", seeded_claim())
    for seed in (2, 1, 3):
        main(["word_chain", "--seed", f"{seed}", "--out", str(tmp_path)])
    context = Context(tmp_path / "full" / "word_chain")
    assert [part["part"] for part in context.parts()] == ["seed-2", "seed-1", "seed-3"]
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 3
    monkeypatch.setattr(json, "dumps", None)  # Nothing is measured again.
    assert CLAIMS["word_chain"].run(context) == {"1": 10, "2": 20, "3": 30}


def test_seeds_are_measured_beside_each_other_and_one_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    class Process:
        def __init__(self, command: list[str], env: dict[str, str], **_: Any) -> None:
            self.seed = int(command[-1])
            started.append((self.seed, env["OMP_NUM_THREADS"]))

        def wait(self) -> int:
            assert len(started) == 3
            return int(self.seed == 2)

    monkeypatch.setattr(subprocess, "Popen", Process)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    with pytest.raises(SystemExit, match="scarce_pairs: seed 2 failed"):
        main(["scarce_pairs", "--out", str(tmp_path)])
    assert started == [(1, "2"), (2, "2"), (3, "2")]
    assert not list(tmp_path.rglob("*.json"))


def test_every_claim_has_texts_in_both_languages() -> None:
    for name, claim in CLAIMS.items():
        for field in ("claim", "done", "against"):
            english, chinese = (getattr(claim.TEXTS[language], field) for language in LANGUAGES)
            assert english and not CHINESE.search(english), (name, field)
            assert CHINESE.search(chinese), (name, field)


def test_the_documents_are_those_that_the_results_give() -> None:
    docs, remedy = ROOT / "docs", "python -m benchmarks.claims --document"
    results = document.read_results(docs / "claims", list(CLAIMS))
    assert not any(result["quick"] for result in results.values())
    reports = document.make_reports(CLAIMS, results)
    for language in LANGUAGES:
        written = (docs / document.FILES[language]).read_text(encoding="utf-8")
        assert written == document.document(CLAIMS, results, reports, language), remedy
    summary = json.loads((docs / "claims" / document.SUMMARY).read_text(encoding="utf-8"))
    assert summary == document.summary(results, reports), remedy


def test_every_claim_has_a_screen_of_the_tour() -> None:
    assert set(CLAIMS) == set(SCREENS) - set(NOT_MEASURED)


def test_a_claim_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["word_chains"])
    assert "there is no claim word_chains. Known: word_chain" in capsys.readouterr().err


def test_figures_have_the_intervals_of_scipy() -> None:
    assert share(0, 10).percent == "0.0 % [0.0, 27.8]"
    assert mean([1, 1, 1]).low == mean([1, 1, 1]).high == 1
    gain = difference([0, 0, 0, 1] * 25, [1, 1, 0, 1] * 25)
    assert gain.value == 0.5
    assert 0.35 < gain.low < 0.45 < 0.55 < gain.high < 0.65


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_claim_runs_and_reports(tmp_path: Path) -> None:
    main(["--quick", "--out", str(tmp_path)])
    docs = tmp_path / "quick" / "docs"
    assert set(document.read_results(docs / "claims", list(CLAIMS))) == set(CLAIMS)
    assert "Not measured yet" not in (docs / "claims.md").read_text(encoding="utf-8")
    assert len(list((docs / "images" / "claims").iterdir())) == 2 * len(CLAIMS)
    assert not list((ROOT / "docs" / "claims").glob("*quick*"))

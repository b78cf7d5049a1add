"""`python -m feedback_store stats`: statistics as text, as JSON and as plots."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from helpers.store_fixtures import new_reply, one_turn

from feedback_store import FeedbackStore
from feedback_store.__main__ import main
from feedback_store.stats.intervals import wilson
from feedback_store.stats.summary import gather, lines
from feedback_store.store import feedback

# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section A: two observers, ten units, binary.
MEG = (0, 1, 0, 0, 0, 0, 0, 0, 1, 0)
OWEN = (1, 1, 1, 0, 0, 1, 0, 0, 0, 0)


def judged_by_two(store: FeedbackStore) -> None:
    for number, (meg, owen) in enumerate(zip(MEG, OWEN, strict=True)):
        reply = one_turn(store, "asker", f"Question {number}")
        store.rate(reply.id, "meg", 1 if meg else -1)
        store.rate(reply.id, "owen", 1 if owen else -1, ["错了"])


def later(monkeypatch: pytest.MonkeyPatch, **passed: float) -> None:
    moment = datetime(2026, 11, 24, 10, 5, tzinfo=UTC) + timedelta(**passed)

    class Then(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return moment

    monkeypatch.setattr(feedback, "datetime", Then)


def test_agreement_is_krippendorffs_alpha(store: FeedbackStore) -> None:
    judged_by_two(store)
    alone = one_turn(store, "asker", "judged by one person")
    store.rate(alone.id, "meg", 1)
    agreement = gather(store).agreement
    assert agreement[""].alpha == pytest.approx(0.095, abs=5e-4)
    assert (agreement[""].texts, agreement[""].thumbs) == (10, 20)
    assert agreement["v1"] == agreement[""]
    assert "all:   0.10, 10 texts, 20 thumbs" in list(lines(gather(store)))


def test_raters_of_the_same_text_agree_or_not_whichever_reply_they_saw(store: FeedbackStore) -> None:
    for number, (meg, owen) in enumerate(zip(MEG, OWEN, strict=True)):
        store.rate(one_turn(store, "meg", f"Question {number}?").id, "meg", 1 if meg else -1)
        reply = one_turn(store, "owen", f"QUESTION {number}", version="v2")
        store.rate(reply.id, "owen", 1 if owen else -1)
    agreement = gather(store).agreement
    assert agreement[""].alpha == pytest.approx(0.095, abs=5e-4)
    assert (agreement["v1"].alpha, agreement["v1"].texts) == (None, 0)


def test_agreement_is_not_defined_where_all_thumbs_are_alike(store: FeedbackStore) -> None:
    reply = one_turn(store)
    for rater in ("meg", "owen"):
        store.rate(reply.id, rater, 1)
    stats = gather(store)
    assert (stats.agreement[""].alpha, stats.agreement[""].texts) == (None, 1)
    assert "all: not defined: all these thumbs point the same way, 1 texts, 2 thumbs" in list(lines(stats))


def test_shares_come_with_their_wilson_interval(store: FeedbackStore) -> None:
    judged_by_two(store)
    ups = sum(MEG) + sum(OWEN)
    share = wilson(ups, 20)
    assert gather(store).plain()["up_share"]["v1"] == vars(share)
    shown = next(line for line in lines(gather(store)) if line.startswith("v1"))
    assert shown.endswith(f"{100 * share.value:.1f} %  [{100 * share.low:.1f}, {100 * share.high:.1f}]")


@pytest.mark.parametrize(
    ("passed", "seconds", "names"),
    [
        ({"minutes": 10}, 3_600, ["2026-11-24 10:00"]),
        ({"hours": 2}, 3_600, ["2026-11-24 10:00", "2026-11-24 11:00", "2026-11-24 12:00"]),
        ({"days": 3}, 86_400, ["2026-11-24", "2026-11-25", "2026-11-26", "2026-11-27"]),
    ],
)
def test_time_is_cut_into_spans_that_can_be_read_empty_ones_included(
    store: FeedbackStore,
    monkeypatch: pytest.MonkeyPatch,
    passed: dict[str, float],
    seconds: int,
    names: list[str],
) -> None:
    for number, when in enumerate(({"minutes": 0}, {"minutes": 0}, passed)):
        later(monkeypatch, **when)
        store.rate(one_turn(store, text=f"Question {number}").id, "ann", 1 if number else -1)
    stats = gather(store)
    assert stats.seconds == seconds
    assert [(span.up, span.down) for span in stats.over_time if span.up or span.down] == (
        [(1, 1), (1, 0)] if len(names) > 1 else [(2, 1)]
    )
    shown = [line for line in lines(stats) if line.startswith("2026")]
    assert [line.split("  ")[0] for line in shown] == names


def test_many_years_are_few_lines(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for days in (0, 9_000):
        later(monkeypatch, days=days)
        store.rate(one_turn(store, text=f"Day {days}").id, "ann", 1)
    assert 20 < len(gather(store).over_time) < 30


def test_each_picture_is_drawn_where_there_is_something_to_draw(
    store: FeedbackStore, place: Path | str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="pictures need requirements-train.txt")
    where = ["--store-url", place if isinstance(place, str) else f"sqlite:///{place}"]
    assert main(["stats", *where, "--plots", str(tmp_path / "none")]) == 0
    assert list((tmp_path / "none").iterdir()) == []
    judged_by_two(store)
    # Names that matplotlib would read as formulas if they were not escaped.
    odd = one_turn(store, "asker", "odd", version="$\\frac{v}$")
    store.rate(odd.id, "meg", -1, ["$x_", "50 % & more"])
    assert main(["stats", *where, "--plots", str(tmp_path / "some"), "--quiet"]) == 0
    names = ["agreement.png", "reasons.png", "thumbs-over-time.png", "up-by-version.png"]
    assert sorted(path.name for path in (tmp_path / "some").iterdir()) == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "some").iterdir())
    printed = capsys.readouterr().out
    assert all(str(tmp_path / "some" / name) in printed for name in names)


def test_pictures_that_cannot_be_written_are_one_error(
    store: FeedbackStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], place: Path | str
) -> None:
    pytest.importorskip("matplotlib", reason="pictures need requirements-train.txt")
    judged_by_two(store)
    (tmp_path / "file").write_text("")
    where = ["--store-url", place if isinstance(place, str) else f"sqlite:///{place}"]
    assert main(["stats", *where, "--plots", str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_json_holds_every_statistic(
    store: FeedbackStore, place: Path | str, capsys: pytest.CaptureFixture[str]
) -> None:
    judged_by_two(store)
    where = place if isinstance(place, str) else f"sqlite:///{place}"
    assert main(["stats", "--json", "--store-url", where]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {name: printed[name] for name in store.counts()} == store.counts()
    assert printed["agreement"][""]["thumbs"] == 20
    assert sum(span["down"] for span in printed["over_time"]["spans"]) == printed["ratings"]["down"]


def test_without_the_package_for_agreement_all_other_statistics_are_there(
    store: FeedbackStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_by_two(store)
    monkeypatch.setitem(sys.modules, "nltk.metrics.agreement", None)
    stats = gather(store)
    assert stats.agreement == {}
    report = list(lines(stats))
    assert report[-1] == "\nfor the agreement between raters: pip install -r requirements-train.txt"
    assert any(line.startswith("v1") for line in report)


def test_thumbs_are_the_ratings_that_are_up_or_down(store: FeedbackStore) -> None:
    judged_by_two(store)
    taken_back = one_turn(store, "bob")
    store.rate(taken_back.id, "meg", 1)
    store.rate(taken_back.id, "meg", 0)
    other = store.add_reply(new_reply(taken_back.conversation_id, taken_back.parent_id, version="v2"))
    store.rate(other.id, "owen", 1)
    store.set_consent("meg", False)
    for chosen in ({}, {"consented": True}, {"version": "v2"}):
        ratings = [
            (rating.reply_id, rating.rater, rating.value, reply.parent_id, reply.version, reply.answer)
            for rating, reply in store.ratings(**chosen)  # type: ignore[arg-type]
            if rating.value
        ]
        assert ratings == [
            (thumb.reply_id, thumb.rater, thumb.value, thumb.parent_id, thumb.version, thumb.answer)
            for thumb in store.thumbs(**chosen)  # type: ignore[arg-type]
        ]
        assert ratings

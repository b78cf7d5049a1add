"""Cycles: what they make of new feedback, and that a version which the gate did not promote is never served."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from helpers.feedback import apples, rate_replies
from helpers.small_cycle import Killed, add_twin, hold_all, run, state, write_policy
from helpers.tiny_home import tiny_home

from alignment.__main__ import main
from alignment.cycle import cycle, decisions
from alignment.errors import CycleError
from alignment.live import live_run
from assistant.admin import cycle_records
from assistant.admin.cycle_rule import CandidatePlan, CycleRule
from assistant.errors import VersionError
from assistant.registry import live_comparison as trials
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore


def test_with_too_little_feedback_a_cycle_names_what_is_missing_and_writes_nothing(
    home: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rate_replies(tiny_home(home), apples(6))
    assert run(home, policy) == 0
    assert "6 new votes, 10 are needed. 4 more" in capsys.readouterr().out
    assert not (home / "cycles" / "1").exists()
    assert Versions(home).ids() == ["v1"]


def test_with_json_as_log_format_a_cycle_writes_events_and_an_error_is_one(
    home: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rate_replies(tiny_home(home), apples(6))
    command = ["--log-format", "json", "cycle", "--home", str(home), "--policy", str(policy)]
    assert main(command) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line]
    assert events[-1]["code"] == "cycle_too_little_feedback"
    assert events[-1]["params"] == {"votes": 6, "needed": 10, "missing": 4}
    assert events[-1]["time"].endswith("+00:00")
    policy.write_text("gate: {alhpa: 0.1}")
    assert main(command) == 2
    output = capsys.readouterr()
    event = json.loads(output.out)
    assert (event["code"], event["params"]["kind"]) == ("error", "PolicyError")
    assert "alhpa" in event["params"]["text"] and output.err == ""


def test_a_candidate_that_is_not_promoted_stays_registered_with_its_reasons_and_unreleased(
    rated: Path, policy: Path
) -> None:
    assert run(rated, policy) == 0
    versions = Versions(rated)
    assert (versions.ids(), versions.released()) == (["v1", "v2"], "v1")
    manifest = versions.open("v2").manifest
    assert manifest.gate is not None
    assert manifest.gate["verdict"] in ("hold", "reject")
    assert {reason["kind"] for reason in manifest.gate["reasons"]} == {"primary", "guard"}
    recorded = state(rated)
    assert manifest.data["snapshot"] == recorded["snapshot"]["own"]["id"]
    with FeedbackStore.open(rated / "feedback.db", create=False) as store:
        assert store.snapshot(recorded["snapshot"]["own"]["id"]).versions == ("v2",)
        assert store.verify() == []
    report = (rated / "cycles" / "1" / "report.md").read_text()
    assert "nothing was released: no candidate was promoted" in report
    assert "| right, thinking | primary |" in report
    assert (rated / "cycles" / "1" / "v2-against-v1.png").exists()


def test_the_next_cycle_waits_for_votes_that_are_new(
    rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(rated, policy) == 0
    assert run(rated, policy) == 0
    assert "0 new votes" in capsys.readouterr().out
    rate_replies(rated, [(f"What is {n} + 1?", f"{n + 1}", (-1) ** n) for n in range(12)])
    assert run(rated, policy) == 0
    assert state(rated, 2)["new_votes"] == 12
    assert [decision["looks"] for decision in state(rated, 2)["decisions"]] == [2]


@pytest.mark.usefixtures("promoting")
def test_a_promoted_candidate_is_released_with_the_reason_in_the_history(rated: Path, policy: Path) -> None:
    assert run(rated, policy) == 0
    versions = Versions(rated)
    assert versions.released() == "v2"
    assert "promoted by the gate over v1" in versions.history()[-1]["why"]


@pytest.mark.usefixtures("promoting")
def test_a_policy_can_leave_the_release_to_an_admin(rated: Path, tmp_path: Path) -> None:
    assert run(rated, write_policy(tmp_path, release="by hand")) == 0
    assert Versions(rated).released() == "v1"
    assert state(rated)["outcome"]["what"] == "by hand"


@pytest.mark.usefixtures("promoting")
def test_a_policy_can_begin_a_live_comparison_and_no_candidate_is_made_meanwhile(
    rated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other_policy = write_policy(tmp_path, release="trial", share=0.5)
    assert run(rated, other_policy) == 0
    under_way = trials.read(rated)
    assert under_way is not None
    assert (under_way.candidate, under_way.released, under_way.share) == ("v2", "v1", 0.5)
    assert Versions(rated).released() == "v1"
    capsys.readouterr()
    assert run(rated, other_policy) == 0
    assert "no new candidate while a live comparison is under way" in capsys.readouterr().out


@pytest.mark.parametrize("undecided", ["hold", "trial"])
def test_a_policy_can_leave_to_people_what_no_measure_decides(
    rated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undecided: str
) -> None:
    hold_all(monkeypatch, guards="not worse")
    assert run(rated, write_policy(tmp_path, undecided=undecided, share=0.5)) == 0
    under_way, outcome = trials.read(rated), state(rated)["outcome"]
    assert Versions(rated).released() == "v1"
    if undecided == "hold":
        assert under_way is None and "let people decide in a live comparison" in outcome["why"]
        # An admin may still begin one by hand.
        assert live_run.start(rated, "v2", 0.5).candidate == "v2"
        return
    assert under_way is not None and (under_way.candidate, under_way.share) == ("v2", 0.5)
    assert outcome == {"what": "trial", "version": "v2"}
    assert any("people decide" in note for note in state(rated)["notes"])


def test_people_are_asked_about_no_candidate_that_a_guard_does_not_pass(
    rated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_all(monkeypatch, guards="undecided")
    assert run(rated, write_policy(tmp_path, undecided="trial")) == 0
    assert trials.read(rated) is None and state(rated)["outcome"]["why"] == "no candidate was promoted"


@pytest.mark.usefixtures("promoting")
def test_nothing_is_released_over_a_version_that_was_released_meanwhile(
    rated: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = decisions.release

    def meanwhile(home: Path, *rest: Any) -> Any:
        add_twin(home, "v3")
        Versions(home).release("v3", "by hand")
        return release(home, *rest)

    monkeypatch.setattr(decisions, "release", meanwhile)
    assert run(rated, policy) == 0
    assert Versions(rated).released() == "v3"
    assert "v3 was released meanwhile" in state(rated)["outcome"]["why"]


def test_a_cycle_that_could_train_nothing_does_not_begin_and_says_what_it_lacks(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = write_policy(tmp_path, stages=["dpo", "kto", "ppo"])
    rate_replies(tiny_home(home), [(f"What is {n} + 1?", f"{n + 1}", 1) for n in range(20)])
    assert run(home, policy) == 0
    output = capsys.readouterr().out
    assert "20 new votes, and no stage can learn" in output
    assert "no dpo: 0 of 50 pairs" in output and "point up, and it learns from the difference" in output
    assert "no ppo: " in output
    assert not (home / "cycles" / "1").exists() and Versions(home).ids() == ["v1"]
    # The votes stay new: with one more of the other kind the next run begins.
    rate_replies(home, [(f"What is {n} + 2?", f"{n + 1}", -1) for n in range(3)])
    assert run(home, policy) == 0
    assert state(home)["new_votes"] == 23


def test_reward_models_and_every_stage_with_enough_rows_make_versions(rated: Path, tmp_path: Path) -> None:
    quick = {"min_steps": 1, "epochs": 0.1, "evaluations": 1}
    other_policy = write_policy(
        tmp_path, minimum_judgements=10, stages=["dpo", "kto"], recipes={"kto": quick, "reward": quick}
    )
    assert run(rated, other_policy) == 0
    recorded = state(rated)
    assert recorded["judges"] == {"a": "v2", "b": "v3"}
    assert recorded["candidates"] == [{"stage": "kto", "version": "v4"}]
    assert any("no dpo: 0 of 50 pairs" in note for note in recorded["notes"])
    assert {Versions(rated).open(v).manifest.recipe["split"] for v in ("v2", "v3")} == {"a", "b"}
    # The reward model's scores are kept, prompt by prompt, for the dashboard.
    scored = cycle_records.rewards(rated, 1, "v4", "v1")
    assert scored is not None and scored.judge == "v3"
    assert 0 < len(scored.before) == len(scored.after) <= 4


def test_a_dry_run_prints_what_would_be_done_and_writes_nothing(
    rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path for path in rated.rglob("*") if "feedback.db" not in path.name)
    assert run(rated, policy, "--dry-run") == 0
    output = capsys.readouterr().out
    assert "new votes: 24; 10 are needed" in output
    assert "kto: would run" in output
    assert sorted(path for path in rated.rglob("*") if "feedback.db" not in path.name) == before


@pytest.mark.parametrize(("text", "seconds"), [("24h", 86400), ("30m", 1800), ("90s", 90), ("1.5d", 129600)])
def test_durations_are_parsed(text: str, seconds: float) -> None:
    assert cycle._duration(text) == seconds


@pytest.mark.parametrize("text", ["24", "h", "0h", "-1h", "1 h"])
def test_invalid_durations_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="24h"):
        cycle._duration(text)


def test_with_every_the_next_cycle_begins_so_much_later(
    rated: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            raise Killed

    monkeypatch.setattr(cycle.time, "sleep", sleep)
    monkeypatch.setattr(cycle, "run", lambda home, policy: None)
    with pytest.raises(Killed):
        run(rated, policy, "--every", "1h")
    assert all(3500 < seconds <= 3600 for seconds in slept)


def test_the_gate_decides_on_a_version_once(rated: Path) -> None:
    versions = Versions(rated)
    versions.record_gate("v1", {"verdict": "hold"})
    versions.record_gate("v1", {"verdict": "hold"})
    with pytest.raises(VersionError, match="already"):
        versions.record_gate("v1", {"verdict": "promote"})


def test_a_version_that_was_not_promoted_gets_no_live_comparison(rated: Path) -> None:
    add_twin(rated, "v2")
    for gated in (None, {"verdict": "hold", "released": "v1"}):
        if gated:
            Versions(rated).record_gate("v2", gated)
        with pytest.raises(CycleError, match="has not promoted v2"):
            live_run.start(rated, "v2", 0.5)
    assert trials.read(rated) is None


def test_candidates_learn_from_feedback_on_the_released_versions_answers_alone(
    rated: Path, policy: Path, tmp_path: Path
) -> None:
    add_twin(rated, "v2")
    Versions(rated).release("v2")
    rate_replies(rated, [(f"What is {n} + 1?", f"{n + 1}", (-1) ** n) for n in range(20)], version="v2")
    assert run(rated, policy) == 0
    snapshot = state(rated)["snapshot"]
    assert (snapshot["counts"]["unpaired"], snapshot["own"]["counts"]["unpaired"]) == (44, 20)
    learned = Versions(rated).open("v3").manifest.data
    assert learned["snapshot"] == snapshot["own"]["id"]
    assert learned["thumbs_up"] + learned["thumbs_down"] + learned["held_out"] == 20
    rate_replies(rated, [(f"What is {n} + 2?", f"{n + 2}", (-1) ** n) for n in range(12)], version="v2")
    assert run(rated, write_policy(tmp_path, learn_from="all")) == 0
    assert state(rated, 2)["snapshot"]["own"]["counts"]["unpaired"] == 56


def test_plans_count_rows_to_train_on_without_held_out_ones(rated: Path) -> None:
    from feedback_store import rows

    with FeedbackStore.open(rated / "feedback.db", create=False) as store:
        plan = CandidatePlan.of_store(store, CycleRule(), "v1")
        trained = [row for row in rows.unpaired_rows(store) if not rows.held_out(row)]
    assert plan.own == plan.whole
    assert plan.own.thumbs == len(trained) < 24

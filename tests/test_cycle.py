"""The loop: too little is told, each step goes on after a kill, and what the gate did not promote serves nobody."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from feedback import apples, rate_replies
from tiny import tiny_home

from alignment import candidates, cycle, gate, journal, trial
from alignment.__main__ import main
from alignment.errors import CycleError
from alignment.lock import holder
from assistant import records
from assistant import trial as trials
from assistant.versions import Versions
from feedback_store import FeedbackStore

SMALL: dict[str, Any] = {
    "gate": {"minimum_prompts": 4},
    "evaluate": {
        "primary": ["word_two_step"],
        "each": 4,
        "guarded": 1,
        "retention": 4,
        "max_new_tokens": 4,
        "prompts": 4,
    },
    "cycle": {
        "minimum_feedback": 10,
        "minimum_thumbs": 10,
        "minimum_judgements": 1000,
        "stages": ["kto"],
        "recipes": {"kto": {"min_steps": 2, "epochs": 0.1, "batch_size": 8, "evaluations": 1}},
    },
}


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return write_policy(tmp_path)


def write_policy(folder: Path, **cycle_keys: Any) -> Path:
    path = folder / "policy.yaml"
    path.write_text(yaml.safe_dump({**SMALL, "cycle": {**SMALL["cycle"], **cycle_keys}}))
    return path


@pytest.fixture
def rated(home: Path) -> Path:
    """A tiny home with thumbs."""
    rate_replies(tiny_home(home), apples(24))
    return home


@pytest.fixture
def promoting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that promotes whatever comes, for what follows it: two steps of training show nothing."""
    judge = gate.judge

    def promote(*given: Any) -> Any:
        _, level, reasons = judge(*given)
        better = [
            replace(one, finding="better", p=0.001) if one.kind == "primary" else one for one in reasons
        ]
        return "promote", level, better

    monkeypatch.setattr(gate, "judge", promote)


def run(home: Path, policy: Path, *flags: str) -> int:
    return main(["cycle", "--home", str(home), "--policy", str(policy), *flags])


def state(home: Path, number: int = 1) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / "cycles" / str(number) / "state.json").read_text())
    return found


def test_too_little_feedback_says_how_much_is_missing_and_writes_nothing(
    home: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rate_replies(tiny_home(home), apples(6))
    assert run(home, policy) == 0
    assert "6 new votes, 10 are needed. 4 more" in capsys.readouterr().out
    assert not (home / "cycles" / "1").exists()
    assert Versions(home).ids() == ["v1"]


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
    found = state(rated)
    assert manifest.data["snapshot"] == found["snapshot"]["id"]
    with FeedbackStore.open(rated / "feedback.db", create=False) as store:
        assert store.snapshot(found["snapshot"]["id"]).versions == ("v2",)
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
    assert [one["looks"] for one in state(rated, 2)["decisions"]] == [2]


@pytest.mark.usefixtures("promoting")
def test_a_promoted_candidate_is_released_with_the_reason_in_the_history(rated: Path, policy: Path) -> None:
    assert run(rated, policy) == 0
    versions = Versions(rated)
    assert versions.released() == "v2"
    assert "promoted by the gate over v1" in versions.history()[-1]["why"]


@pytest.mark.usefixtures("promoting")
def test_a_policy_can_leave_the_release_to_people(rated: Path, tmp_path: Path) -> None:
    assert run(rated, write_policy(tmp_path, release="by hand")) == 0
    assert Versions(rated).released() == "v1"
    assert state(rated)["outcome"]["what"] == "by hand"


@pytest.mark.usefixtures("promoting")
def test_a_policy_can_begin_a_live_comparison_and_no_candidate_is_made_meanwhile(
    rated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = write_policy(tmp_path, release="trial", share=0.5)
    assert run(rated, asked) == 0
    under_way = trials.read(rated)
    assert under_way is not None
    assert (under_way.candidate, under_way.released, under_way.share) == ("v2", "v1", 0.5)
    assert Versions(rated).released() == "v1"
    capsys.readouterr()
    assert run(rated, asked) == 0
    assert "no new candidate while a live comparison is under way" in capsys.readouterr().out


@pytest.mark.usefixtures("promoting")
def test_nothing_is_released_over_a_version_that_somebody_released_meanwhile(
    rated: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = cycle._release

    def meanwhile(home: Path, *rest: Any) -> Any:
        add_twin(home, "v3")
        Versions(home).release("v3", "by hand")
        return release(home, *rest)

    monkeypatch.setattr(cycle, "_release", meanwhile)
    assert run(rated, policy) == 0
    assert Versions(rated).released() == "v3"
    assert "v3 was released meanwhile" in state(rated)["outcome"]["why"]


def add_twin(home: Path, name: str) -> None:
    """Another version with v1's weights."""
    versions = Versions(home)
    one = versions.open("v1")
    with versions.staging() as folder:
        for file in one.manifest.files:
            shutil.copy(one.folder / file, folder / file)
        versions.add(replace(one.manifest, id=name), folder)


class Killed(BaseException):
    """Nothing catches it, nothing is tidied."""


def kill_before_saving(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Die when a step has been done and is about to be written down."""
    save = journal.Journal.save

    def dying(self: journal.Journal, **new: Any) -> None:
        if key in new:
            raise Killed
        save(self, **new)

    monkeypatch.setattr(journal.Journal, "save", dying)


@pytest.mark.usefixtures("promoting")
@pytest.mark.parametrize(
    "key", ["snapshot", "suspects", "planned", "candidates", "decisions", "outcome", "ended"]
)
def test_a_cycle_killed_in_any_step_goes_on_to_the_same_end(
    rated: Path, policy: Path, key: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        kill_before_saving(key, patch)
        with pytest.raises(Killed):
            run(rated, policy)
    assert Versions(rated).released() in ("v1", "v2")
    if key != "ended" and key != "outcome":
        assert Versions(rated).released() == "v1"
    assert run(rated, policy) == 0
    assert "going on with cycle 1" in capsys.readouterr().out
    versions = Versions(rated)
    assert (versions.ids(), versions.released()) == (["v1", "v2"], "v2")
    assert [entry["version"] for entry in versions.history()] == ["v1", "v2"]
    assert [entry.name for entry in (rated / "cycles").iterdir() if entry.name.isdigit()] == ["1"]
    assert "ended" in state(rated)


def test_a_candidate_deleted_by_hand_is_told_and_the_cycle_ends(
    rated: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        kill_before_saving("decisions", patch)
        with pytest.raises(Killed):
            run(rated, policy)
    shutil.rmtree(rated / "versions" / "v2")
    assert run(rated, policy) == 0
    assert any("v2 is not there any more" in note for note in state(rated)["notes"])
    assert Versions(rated).released() == "v1"


def test_a_stage_that_cannot_learn_is_told_in_the_report(home: Path, policy: Path) -> None:
    rate_replies(tiny_home(home), [(f"What is {n} + 1?", f"{n + 1}", 1) for n in range(20)])
    assert run(home, policy) == 0
    assert any("point up, and it learns from the difference" in note for note in state(home)["notes"])
    assert Versions(home).ids() == ["v1"]


def test_judges_and_every_stage_that_fits_make_versions(rated: Path, tmp_path: Path) -> None:
    quick = {"min_steps": 1, "epochs": 0.1, "evaluations": 1}
    asked = write_policy(
        tmp_path, minimum_judgements=10, stages=["dpo", "kto"], recipes={"kto": quick, "reward": quick}
    )
    assert run(rated, asked) == 0
    found = state(rated)
    assert found["judges"] == {"a": "v2", "b": "v3"}
    assert found["candidates"] == [{"stage": "kto", "version": "v4"}]
    assert any("no dpo: 0 of 50 pairs" in note for note in found["notes"])
    assert {Versions(rated).open(v).manifest.recipe["split"] for v in ("v2", "v3")} == {"a", "b"}
    # The judge's scores are kept, prompt by prompt, for whoever looks at them later.
    scored = records.rewards(rated, 1, "v4", "v1")
    assert scored is not None and scored.judge == "v3"
    assert 0 < len(scored.before) == len(scored.after) <= 4


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path for path in rated.rglob("*") if "feedback.db" not in path.name)
    assert run(rated, policy, "--dry-run") == 0
    told = capsys.readouterr().out
    assert "new votes: 24; 10 are needed" in told
    assert "kto: would run" in told
    assert sorted(path for path in rated.rglob("*") if "feedback.db" not in path.name) == before


def test_two_cycles_at_once_are_refused_and_a_stale_lock_is_not(
    rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = rated / "cycles" / "lock"
    lock.parent.mkdir()
    lock.write_text(json.dumps(holder(os.getpid())))
    assert run(rated, policy) == 2
    assert "Another cycle is at work" in capsys.readouterr().err
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    gone = {**holder(os.getpid()), "pid": int(done.stdout)}
    lock.write_text(json.dumps(gone))
    assert run(rated, policy) == 0
    assert not lock.exists()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda there: {**there, "started": there["started"] - 1},
        lambda there: {**there, "boot": "another"},
        lambda there: {},
    ],
    ids=["another process has the id", "the machine was started anew", "damaged"],
)
def test_a_lock_whose_process_is_another_by_now_is_stale(
    rated: Path, policy: Path, spoil: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    lock = rated / "cycles" / "lock"
    lock.parent.mkdir()
    lock.write_text(json.dumps(spoil(holder(os.getpid()))))
    assert run(rated, policy) == 0


def test_a_lock_of_another_machine_stands(
    rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = rated / "cycles" / "lock"
    lock.parent.mkdir()
    lock.write_text(json.dumps({**holder(os.getpid()), "host": "elsewhere"}))
    assert run(rated, policy) == 2
    assert "on elsewhere" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda home: (home / "feedback.db").unlink(), "feedback.db"),
        (lambda home: (home / "suite.jsonl").write_text(""), "holds no tasks"),
        (lambda home: (home / "policy.yaml").write_text("gate: {alhpa: 0.1}"), "alhpa"),
        (lambda home: (home / "versions" / "v1" / "adapter_model.safetensors").unlink(), "v1"),
    ],
    ids=["a store that moved", "a suite without tasks", "an unknown key", "a damaged version"],
)
def test_what_cannot_be_used_is_told_in_plain_words_and_nothing_is_released(
    rated: Path, spoil: Callable[[Path], object], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_policy(rated)
    spoil(rated)
    asked = yaml.safe_load((rated / "policy.yaml").read_text())
    if (rated / "suite.jsonl").exists():
        asked["evaluate"]["suite"] = "suite.jsonl"
        (rated / "policy.yaml").write_text(yaml.safe_dump(asked))
    assert run(rated, rated / "policy.yaml") == 2
    assert says in capsys.readouterr().err
    assert Versions(rated).released() == "v1"
    assert not (rated / "cycles" / "lock").exists()


def test_a_damaged_state_is_named(rated: Path, policy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (rated / "cycles" / "1").mkdir(parents=True)
    (rated / "cycles" / "1" / "state.json").write_text("{")
    assert run(rated, policy) == 2
    assert "state.json" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "seconds"), [("24h", 86400), ("30m", 1800), ("90s", 90), ("1.5d", 129600)])
def test_times_are_read(text: str, seconds: float) -> None:
    assert cycle._duration(text) == seconds


@pytest.mark.parametrize("text", ["24", "h", "0h", "-1h", "1 h"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(cycle.argparse.ArgumentTypeError, match="24h"):
        cycle._duration(text)


def test_every_goes_on_and_the_next_cycle_begins_that_much_later(
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


def test_a_version_goes_through_the_gate_once(rated: Path) -> None:
    versions = Versions(rated)
    journal.record_gate(versions, "v1", {"verdict": "hold"})
    journal.record_gate(versions, "v1", {"verdict": "hold"})
    with pytest.raises(CycleError, match="already"):
        journal.record_gate(versions, "v1", {"verdict": "promote"})


def test_what_the_gate_did_not_promote_is_in_no_live_comparison(rated: Path) -> None:
    add_twin(rated, "v2")
    for gated in (None, {"verdict": "hold", "released": "v1"}):
        if gated:
            journal.record_gate(Versions(rated), "v2", gated)
        with pytest.raises(CycleError, match="has not promoted v2"):
            trial.start(rated, "v2", 0.5)
    assert trials.read(rated) is None


def test_plans_count_what_is_trained_on_alone(rated: Path) -> None:
    from alignment.policy import Policy
    from feedback_store import rows

    with FeedbackStore.open(rated / "feedback.db", create=False) as store:
        plan = candidates.Plan.of_store(store, Policy())
        trained = [row for row in rows.from_store(store) if not rows.held_out(row)]
    assert plan.up + plan.down == len(trained) < 24

"""Admin actions are in the audit trail before they are carried out; records of cycles are read as they stand."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from helpers.empty_versions import add

from assistant.admin import cycle_records
from assistant.admin.actions import AdminActions
from assistant.admin.audit import Audit
from assistant.admin.cycle_runner import CycleRunner
from assistant.errors import CommandError, VersionError
from assistant.registry.versions import Versions


@pytest.fixture
def actions(home: Path) -> AdminActions:
    versions = Versions(home)
    versions.release(add(versions))
    add(versions, "v1", gate={"verdict": "reject", "released": "v1"})
    return AdminActions(versions, CycleRunner(home))


def audited(actions: AdminActions) -> list[tuple[str, str, str]]:
    return [(entry["who"], entry["what"], entry["detail"]) for entry in actions.audit.last(50)]


def test_a_release_and_a_rollback_are_audited_with_admin_and_gate_verdict(actions: AdminActions) -> None:
    actions.release("Ada", "v2", "I know better")
    assert actions.versions.released() == "v2"
    assert actions.roll_back("Bob") == "v1"
    assert audited(actions) == [
        ("Bob", "roll back", "from v2"),
        ("Ada", "release", "v2 instead of v1; gate: reject; I know better"),
    ]
    assert [entry["why"] for entry in actions.versions.history()][1:] == [
        "by Ada: I know better",
        "rolled back from v2 by Bob",
    ]


def test_a_failed_action_is_audited_as_failed(actions: AdminActions) -> None:
    with pytest.raises(VersionError):
        actions.roll_back("Ada")
    assert [entry[1] for entry in audited(actions)] == ["roll back: failed", "roll back"]
    assert actions.versions.released() == "v1"


def test_an_action_that_cannot_be_audited_is_not_carried_out(actions: AdminActions) -> None:
    actions.audit.path.mkdir()
    with pytest.raises(CommandError, match="cannot be traced"):
        actions.release("Ada", "v2")
    assert actions.versions.released() == "v1"


def test_an_unknown_version_never_reaches_a_command_line(actions: AdminActions) -> None:
    with pytest.raises(VersionError):
        actions.start_trial("Ada", "--help", 0.2)
    assert audited(actions) == []


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5, float("nan")])
def test_a_live_comparison_that_leaves_a_version_without_conversations_is_refused(
    actions: AdminActions, share: float
) -> None:
    with pytest.raises(CommandError, match="more than 0 % and less than 100 %"):
        actions.start_trial("Ada", "v2", share)
    assert audited(actions) == []


def test_a_live_comparison_of_a_version_that_was_not_promoted_is_refused(actions: AdminActions) -> None:
    with pytest.raises(CommandError, match="has not promoted v2"):
        actions.start_trial("Ada", "v2", 0.2)
    assert [entry[1] for entry in audited(actions)] == [
        "start a live comparison: failed",
        "start a live comparison",
    ]


def test_the_audit_trail_is_private_and_survives_a_cut_line(home: Path) -> None:
    home.mkdir()
    audit = Audit(home)
    assert audit.last(5) == []
    audit.write("Ada", "release", "v2\nv3")
    with audit.path.open("a") as file:
        file.write('{"at": "2026-11-24T')
        file.write("\n")
    Audit(home).write("Bob", "export", "x" * 5_000)
    assert [(entry["who"], len(entry["detail"])) for entry in audit.last(5)] == [("Bob", 2_000), ("Ada", 5)]
    assert len(audit.last(1)) == 1
    if os.name == "posix":
        assert stat.S_IMODE(audit.path.stat().st_mode) == 0o600


def write(home: Path, name: str, content: Any) -> None:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_cycles_are_read_newest_first_and_damaged_ones_are_skipped(home: Path) -> None:
    write(home, "cycles/1/state.json", {"snapshot": {}, "judges": {}, "ended": "2026-11-24"})
    write(home, "cycles/2/state.json", "{")
    write(home, "cycles/10/state.json", {"snapshot": {}})
    write(home, "cycles/run.json", {})
    records = cycle_records.cycles(home)
    assert [(entry.number, entry.done, entry.ended) for entry in records] == [
        (10, ["snapshot"], False),
        (1, ["snapshot", "judges"], True),
    ]
    assert cycle_records.cycles(home / "nowhere") == []
    damaged = []
    cycle_records.cycles(home, lambda path, error: damaged.append(path.parent.name))
    assert damaged == ["2"]


def test_rewards_are_read_if_there_was_a_reward_model(home: Path) -> None:
    name = "cycles/3/v2-against-v1.json"
    assert cycle_records.rewards(home, 3, "v2", "v1") is None
    write(home, name, {"rewards": None})
    assert cycle_records.rewards(home, 3, "v2", "v1") is None
    write(home, name, {"rewards": {"judge": "v4", "candidate": [1, 2.5], "released": [0, -1]}})
    assert cycle_records.rewards(home, 3, "v2", "v1") == cycle_records.RewardHistogram(
        "v4", [0.0, -1.0], [1.0, 2.5]
    )


def test_curves_are_losses_or_scores_where_there_are_scores(home: Path) -> None:
    history = [
        {"step": 0, "eval_loss": 2.0},
        {"step": 5, "loss": 1.5},
        {"step": 10, "loss": 1.0, "eval_loss": 1.2},
        {"step": 10, "train_runtime": 3.0},
    ]
    write(home, "versions/v2/curves.json", history)
    assert cycle_records.curves(home, "v2") == [
        cycle_records.Curve("loss", [(5.0, 1.5), (10.0, 1.0)]),
        cycle_records.Curve("eval_loss", [(0.0, 2.0), (10.0, 1.2)]),
    ]
    write(home, "versions/v3/curves.json", [{"step": 1, "loss": 1.0, "score": 0.5}])
    assert [entry.name for entry in cycle_records.curves(home, "v3")] == ["score"]
    write(home, "versions/v4/curves.json", {"not": "a list"})
    assert cycle_records.curves(home, "v4") == []
    assert cycle_records.curves(home, "v5") == []


def test_live_comparisons_are_read_newest_first(home: Path) -> None:
    for name, started in (("a", "2026-11-23"), ("b", "2026-11-24")):
        write(home, f"trials/{name}.json", {"candidate": name, "released": "v1", "started": started})
    write(home, "trials/c.json", {"half": "a record"})
    assert [entry["candidate"] for entry in cycle_records.trials(home)] == ["b", "a"]
    assert cycle_records.trials(home / "nowhere") == []

"""What an admin does is in the trail before it is done; what was written into a home is read as it stands."""

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
def control(home: Path) -> AdminActions:
    versions = Versions(home)
    versions.release(add(versions))
    add(versions, "v1", gate={"verdict": "reject", "released": "v1"})
    return AdminActions(versions, CycleRunner(home))


def trail(control: AdminActions) -> list[tuple[str, str, str]]:
    return [(one["who"], one["what"], one["detail"]) for one in control.audit.last(50)]


def test_a_release_and_a_way_back_are_traced_with_who_and_what_the_gate_said(control: AdminActions) -> None:
    control.release("Ada", "v2", "I know better")
    assert control.versions.released() == "v2"
    assert control.roll_back("Bob") == "v1"
    assert trail(control) == [
        ("Bob", "roll back", "from v2"),
        ("Ada", "release", "v2 instead of v1; gate: reject; I know better"),
    ]
    assert [one["why"] for one in control.versions.history()][1:] == [
        "by Ada: I know better",
        "rolled back from v2 by Bob",
    ]


def test_what_fails_is_traced_as_failed(control: AdminActions) -> None:
    with pytest.raises(VersionError):
        control.roll_back("Ada")
    assert [one[1] for one in trail(control)] == ["roll back: failed", "roll back"]
    assert control.versions.released() == "v1"


def test_what_cannot_be_traced_is_not_done(control: AdminActions) -> None:
    control.audit.path.mkdir()
    with pytest.raises(CommandError, match="cannot be traced"):
        control.release("Ada", "v2")
    assert control.versions.released() == "v1"


def test_an_unknown_version_is_not_handed_to_a_command(control: AdminActions) -> None:
    with pytest.raises(VersionError):
        control.start_trial("Ada", "--help", 0.2)
    with pytest.raises(CommandError, match="more than 0 %"):
        control.start_trial("Ada", "v2", 1.5)
    assert trail(control) == []


def test_a_live_comparison_that_the_gate_did_not_promote_is_refused_in_words(control: AdminActions) -> None:
    with pytest.raises(CommandError, match="has not promoted v2"):
        control.start_trial("Ada", "v2", 0.2)
    assert [one[1] for one in trail(control)] == [
        "start a live comparison: failed",
        "start a live comparison",
    ]


def test_the_trail_is_only_added_to_is_private_and_bears_a_cut_line(home: Path) -> None:
    home.mkdir()
    audit = Audit(home)
    assert audit.last(5) == []
    audit.write("Ada", "release", "v2\nv3")
    with audit.path.open("a") as file:
        file.write('{"at": "2026-11-24T')
        file.write("\n")
    Audit(home).write("Bob", "export", "x" * 5_000)
    assert [(one["who"], len(one["detail"])) for one in audit.last(5)] == [("Bob", 2_000), ("Ada", 5)]
    assert len(audit.last(1)) == 1
    if os.name == "posix":
        assert stat.S_IMODE(audit.path.stat().st_mode) == 0o600


def written(home: Path, name: str, content: Any) -> None:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_cycles_are_read_newest_first_and_a_damaged_one_is_passed_over(home: Path) -> None:
    written(home, "cycles/1/state.json", {"snapshot": {}, "judges": {}, "ended": "2026-11-24"})
    written(home, "cycles/2/state.json", "{")
    written(home, "cycles/10/state.json", {"snapshot": {}})
    written(home, "cycles/run.json", {})
    found = cycle_records.cycles(home)
    assert [(one.number, one.done, one.ended) for one in found] == [
        (10, ["snapshot"], False),
        (1, ["snapshot", "judges"], True),
    ]
    assert cycle_records.cycles(home / "nowhere") == []
    damaged = []
    cycle_records.cycles(home, lambda path, error: damaged.append(path.parent.name))
    assert damaged == ["2"]


def test_rewards_are_read_where_a_judge_was(home: Path) -> None:
    name = "cycles/3/v2-against-v1.json"
    assert cycle_records.rewards(home, 3, "v2", "v1") is None
    written(home, name, {"rewards": None})
    assert cycle_records.rewards(home, 3, "v2", "v1") is None
    written(home, name, {"rewards": {"judge": "v4", "candidate": [1, 2.5], "released": [0, -1]}})
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
    written(home, "versions/v2/curves.json", history)
    assert cycle_records.curves(home, "v2") == [
        cycle_records.Curve("loss", [(5.0, 1.5), (10.0, 1.0)]),
        cycle_records.Curve("eval_loss", [(0.0, 2.0), (10.0, 1.2)]),
    ]
    written(home, "versions/v3/curves.json", [{"step": 1, "loss": 1.0, "score": 0.5}])
    assert [one.name for one in cycle_records.curves(home, "v3")] == ["score"]
    written(home, "versions/v4/curves.json", {"not": "a list"})
    assert cycle_records.curves(home, "v4") == []
    assert cycle_records.curves(home, "v5") == []


def test_live_comparisons_are_read_newest_first(home: Path) -> None:
    for name, started in (("a", "2026-11-23"), ("b", "2026-11-24")):
        written(home, f"trials/{name}.json", {"candidate": name, "released": "v1", "started": started})
    written(home, "trials/c.json", {"half": "a record"})
    assert [one["candidate"] for one in cycle_records.trials(home)] == ["b", "a"]
    assert cycle_records.trials(home / "nowhere") == []

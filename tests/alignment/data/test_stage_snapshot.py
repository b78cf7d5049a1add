"""Which rows a version learned from: a snapshot that its manifest names, and that `forget` follows."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.feedback import apples, rate_replies
from helpers.tiny_home import tiny_home

from alignment.__main__ import main
from alignment.data.demonstration_rows import demonstrations_of_store
from alignment.data.stage_snapshot import with_snapshot
from alignment.training.flags import RunOptions, StageLocation
from alignment.training.output_version import record_use
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore
from feedback_store.__main__ import main as store_main
from feedback_store.rows import snapshot

QUICK = ("--min_steps=2", "--epochs=0.1", "--batch_size=4", "--evaluations=1")
RECIPE = SimpleNamespace()


@pytest.fixture
def location(home: Path) -> StageLocation:
    """A home with thumbs."""
    rate_replies(tiny_home(home), apples(24))
    return StageLocation(home=home)


def test_forgetting_somebody_names_what_learned_from_them_and_what_continues_it(
    location: StageLocation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(location.home)
    assert main(["kto", "--home", home, *QUICK]) == 0
    manifest = Versions(location.home).open("v2").manifest
    taken = snapshot.load(location.home / "snapshots" / manifest.data["snapshot"][:16])
    assert taken.id == manifest.data["snapshot"] and taken.counts == {"unpaired": 24}
    # The child learns from a file, which nobody of the store is in.
    sides = {side: {"thought": "", "answer": answer} for side, answer in (("chosen", "5"), ("rejected", "6"))}
    rows = [
        {"messages": [{"role": "user", "content": f"What is {n} + 2?"}], "think": False, **sides}
        for n in range(9)
    ]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert main(["dpo", "--home", home, "--parent=v2", f"--pairs={pairs}", *QUICK]) == 0
    assert "snapshot" not in Versions(location.home).open("v3").manifest.data
    capsys.readouterr()
    assert store_main(["forget", "tester", "--yes", "--home", home]) == 0
    assert "retrain these versions, they learned from somebody forgotten: v2, v3" in capsys.readouterr().out


def test_what_a_reward_model_learned_from_counts_for_what_it_taught(location: StageLocation) -> None:
    taken = with_snapshot(location, RunOptions(), RECIPE, "unpaired")
    record_use(taken, "v2", "v1", RECIPE)
    record_use(location, "v3", "v1", SimpleNamespace(reward="v2", watch_reward=None))
    with FeedbackStore.open_home(location.home) as store:
        store.forget("tester")
        assert store.versions_to_retrain() == ["v2", "v3"]


def test_the_same_feedback_is_written_once(location: StageLocation) -> None:
    folders = [with_snapshot(location, RunOptions(), RECIPE, "unpaired").snapshot for _ in range(2)]
    assert folders[0] == folders[1]
    assert len(list((location.home / "snapshots").iterdir())) == 1


@pytest.mark.parametrize(
    ("run", "recipe"),
    [(RunOptions(dry_run=True), RECIPE), (RunOptions(), SimpleNamespace(pairs=Path("pairs.jsonl")))],
)
def test_a_dry_run_and_rows_of_a_file_take_no_snapshot(
    location: StageLocation, run: RunOptions, recipe: SimpleNamespace
) -> None:
    assert with_snapshot(location, run, recipe, "unpaired") == location
    assert not (location.home / "snapshots").exists()


def test_demonstrations_are_read_from_the_snapshot_that_is_named(location: StageLocation) -> None:
    with FeedbackStore.open_home(location.home) as store:
        reply = next(iter(store.ratings()))[1]
        store.correct(reply.id, "tester", "Seven apples.")
    taken = with_snapshot(location, RunOptions(), RECIPE, "demonstration")
    with FeedbackStore.open_home(location.home) as store:
        store.correct(reply.id, "tester", "Eight apples.")
    assert [row["answer"] for row in demonstrations_of_store(taken.home, taken.snapshot)] == ["Seven apples."]
    assert [row["answer"] for row in demonstrations_of_store(taken.home)] == ["Eight apples."]
    gone = replace(taken, home=taken.home / "elsewhere")
    assert len(demonstrations_of_store(gone.home, gone.snapshot)) == 1


@pytest.mark.parametrize(
    ("stage", "source"), [("dpo", "pairs"), ("sft", "demonstrations"), ("rloo", "suite")]
)
def test_a_snapshot_beside_another_source_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], stage: str, source: str
) -> None:
    assert main([stage, "--home", str(home), "--snapshot=s", f"--{source}=x"]) == 2
    assert f"--snapshot and --{source} both name what to learn from" in capsys.readouterr().err


def test_an_id_that_cannot_be_given_is_refused_before_training(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_home(home)
    for name, words in (("v1", "v1 exists already"), ("second", "'second' is no version id")):
        assert main(["kto", "--home", str(home), f"--output_version={name}"]) == 2
        assert words in capsys.readouterr().err

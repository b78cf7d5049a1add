"""`python -m feedback_store forget`: what it asks, deletes and says."""

import json
import sys
from pathlib import Path

import pytest
from helpers import warm_process
from helpers.import_cases import added
from helpers.import_samples import SAMPLES
from helpers.paths import ROOT
from helpers.store_fixtures import contents, rated_home

from feedback_store import FeedbackStore
from feedback_store.__main__ import main


@pytest.fixture
def home(tmp_path: Path, place: Path | str) -> Path:
    """See `rated_home`; on each database engine."""
    return rated_home(tmp_path / "home", place)


def test_forget_asks_first(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda question: "no")
    assert main(["forget", "ann", "--home", str(home)]) == 2
    assert "Nothing was deleted" in capsys.readouterr().err
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert main(["forget", "ann", "--home", str(home)]) == 0
    printed = capsys.readouterr().out
    assert "deleted: 1 conversation, 2 messages, 1 reply" in printed
    assert "Backups made before now still hold what was deleted" in printed
    assert "--keep 1" in printed
    with FeedbackStore.open_home(home) as store:
        assert store.conversations("ann") == []
        assert store.counts()["replies"] == 1


def test_forget_without_anyone_to_answer_deletes_nothing(home: Path) -> None:
    # Its standard input is empty.
    command = [sys.executable, "-m", "feedback_store", "forget", "ann", "--home", str(home)]
    done = warm_process.run(command, cwd=ROOT)
    assert done.returncode == 2
    assert "--yes" in done.stderr
    with FeedbackStore.open_home(home) as store:
        assert store.counts()["replies"] == 2


@pytest.mark.parametrize(
    ("unknown", "message"),
    [(["nobody"], "no rater 'nobody'"), (["--conversation", "x"], "no conversation 'x'")],
)
def test_forget_says_that_somebody_is_unknown_and_asks_nothing(
    home: Path,
    unknown: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("builtins.input", lambda question: pytest.fail(f"asked: {question}"))
    assert main(["forget", *unknown, "--home", str(home)]) == 2
    assert message in capsys.readouterr().err


def test_forget_names_what_was_trained_on_the_person(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    folder = home / "snapshots" / "first"
    assert main(["snapshot", "--home", str(home), "--folder", str(folder)]) == 0
    snapshot_id = capsys.readouterr().out.splitlines()[-1]
    with FeedbackStore.open_home(home) as store:
        store.record_use("v2", snapshot_id)
        (conversation,) = store.conversations("bob")
    assert main(["forget", "--conversation", conversation.id, "--yes", "--home", str(home)]) == 0
    out = capsys.readouterr().out
    assert "1 conversation, 2 messages" in out
    assert str(folder) in out
    assert "retrain these versions, they learned from somebody forgotten: v2" in out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["ann", "--conversation", "x"],
        ["--user", "ann"],
        ["ann", "--from", "trl"],
        ["ann", "--imported", "x"],
    ],
)
def test_forget_takes_one_person_or_one_conversation(home: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["forget", *arguments, "--yes", "--home", str(home)])
    assert exit_.value.code == 2


def test_forget_names_every_folder_of_a_snapshot(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    folders = [home / "snapshots" / name for name in ("first", "second")]
    for folder in folders:
        assert main(["snapshot", "--home", str(home), "--folder", str(folder)]) == 0
    assert len({json.loads((folder / "manifest.json").read_text())["id"] for folder in folders}) == 1
    assert main(["verify", "--home", str(home)]) == 0
    capsys.readouterr()
    assert main(["forget", "ann", "--yes", "--home", str(home)]) == 0
    printed = capsys.readouterr().out
    assert all(f"somebody forgotten: {folder}\n" in printed for folder in folders)


@pytest.mark.parametrize("by", ["rater", "conversation"])
def test_forget_removes_copies_from_the_home(home: Path, by: str, capsys: pytest.CaptureFixture[str]) -> None:
    with FeedbackStore.open_home(home) as store:
        (conversation,) = store.conversations("ann")
    work = home / "training" / "correct" / "0a"
    work.mkdir(parents=True)
    probes = home / "cycles" / "1" / "probes-v2.json"
    probes.parent.mkdir(parents=True)
    probes.write_text(json.dumps([{"asked": "What is Ann's street?", "correction": "Rose Lane 5"}]))
    subject = ["ann"] if by == "rater" else ["--conversation", conversation.id]
    assert main(["forget", *subject, "--yes", "--home", str(home)]) == 0
    printed = capsys.readouterr().out
    assert f"removed copies of what people wrote: {probes}\n" in printed
    assert f"removed copies of what people wrote: {work}\n" in printed
    assert json.loads(probes.read_text()) == [] and not work.exists()


def test_forget_without_a_home_says_that_its_files_were_not_reached(
    home: Path, place: Path | str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = place if isinstance(place, str) else f"sqlite:///{home / 'feedback.db'}"
    assert main(["forget", "ann", "--yes", "--store-url", url]) == 0
    assert "Only this database was reached" in capsys.readouterr().out


@pytest.mark.parametrize(("state", "named"), [({"number": 7}, True), ({"ended": "yes"}, False)])
def test_forget_names_a_cycle_that_would_go_on_with_a_snapshot_of_somebody_forgotten(
    home: Path, state: dict[str, object], named: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    cycle = home / "cycles" / "7"
    cycle.mkdir(parents=True)
    (cycle / "state.json").write_text(json.dumps(state))
    for name in ("snapshot", "own"):
        assert main(["snapshot", "--home", str(home), "--folder", str(cycle / name)]) == 0
    assert main(["forget", "ann", "--yes", "--home", str(home)]) == 0
    assert capsys.readouterr().out.count("cycle 7 has not ended") == named


def import_sample(home: Path, system: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Import the sample of a system, and return the id of the import."""
    (path,) = SAMPLES.glob(f"{system}.*")
    assert main(["import", "--from", system, str(path), "--home", str(home), "--quiet"]) == 0
    return capsys.readouterr().out.split()[-1]


def test_an_import_can_be_undone(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FeedbackStore.open_home(home) as store:
        before = contents(store)
    first = import_sample(home, "trl", capsys)
    second = import_sample(home, "feel", capsys)
    assert main(["forget", "--imported", "list", "--home", str(home)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == [first, second]
    assert listed[0].endswith("7 conversations  trl  trl.jsonl")
    assert main(["forget", "--imported", first, "--yes", "--home", str(home)]) == 0
    assert "deleted: 7 conversations" in capsys.readouterr().out
    with FeedbackStore.open_home(home) as store:
        assert added(store)["up"] == ["4", "De Noordzee."]
        assert store.verify() == []
    assert main(["forget", "--imported", first, "--yes", "--home", str(home)]) == 2
    assert f"no import '{first}'; the store has these:\n{second}" in capsys.readouterr().err
    assert main(["forget", "--imported", second, "--yes", "--home", str(home)]) == 0
    with FeedbackStore.open_home(home) as store:
        assert contents(store) == before


def test_an_import_that_added_nothing_is_none(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import_sample(home, "trl", capsys)
    assert import_sample(home, "trl", capsys) == "nothing"
    with FeedbackStore.open_home(home) as store:
        assert len(store.imports()) == 1


def test_undoing_an_import_names_what_was_trained_on_it(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyarrow")
    imported = import_sample(home, "trl", capsys)
    folder = home / "snapshots" / "first"
    assert main(["snapshot", "--home", str(home), "--folder", str(folder)]) == 0
    capsys.readouterr()
    assert main(["forget", "--imported", imported, "--yes", "--home", str(home)]) == 0
    assert (
        f"delete this snapshot, it still holds data of somebody forgotten: {folder}"
        in capsys.readouterr().out
    )


def test_a_person_of_another_system_is_found_by_their_id_there(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_sample(home, "open-webui", capsys)
    with FeedbackStore.open_home(home) as store:
        people = store.counts()["raters"]
    forget = ["forget", "--from", "open-webui", "--yes", "--home", str(home)]
    assert main([*forget, "--user", "user-ann"]) == 0
    assert "deleted: 1 conversation" in capsys.readouterr().out
    with FeedbackStore.open_home(home) as store:
        assert store.counts()["raters"] == people - 1
    assert main([*forget, "--user", "nobody"]) == 2
    assert "no person 'nobody' of open-webui" in capsys.readouterr().err

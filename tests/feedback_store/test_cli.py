"""`python -m feedback_store`: the output, files and errors of each command."""

import argparse
import json
import re
from pathlib import Path

import pytest
from helpers.import_samples import SAMPLES
from helpers.paths import ROOT
from helpers.store_fixtures import new_reply, rated_home, sql
from sqlalchemy import text

from feedback_store import FeedbackStore
from feedback_store.__main__ import _parser, main
from feedback_store.database.store_location import store_of
from feedback_store.importers import SYSTEMS


@pytest.fixture
def home(tmp_path: Path, place: Path | str) -> Path:
    """See `rated_home`; on each database engine."""
    return rated_home(tmp_path / "home", place)


def test_stats_prints_a_table_by_version(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--home", str(home)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["replies", "2"] in lines
    assert ["v1", "1", "1", "0", "0", "100.0", "%", "[20.7,", "100.0]"] in lines
    assert ["v2", "1", "0", "1", "0", "0.0", "%", "[0.0,", "79.3]"] in lines
    assert ["all", "2", "1", "1", "0", "50.0", "%", "[9.5,", "90.5]"] in lines
    assert ["1", "#", "wrong"] in lines


def test_stats_of_an_empty_store_are_zeros(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FeedbackStore.open(tmp_path / "feedback.db").close()
    assert main(["stats", "--home", str(tmp_path)]) == 0
    assert ["all", "0", "0", "0", "0"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_export_writes_trl_rows(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.jsonl"
    assert main(["export", "--home", str(home), "--out", str(out), "--format", "trl-kto"]) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [row["label"] for row in rows] == [True, False]
    assert rows[1]["prompt"] == [{"role": "user", "content": "二加二？"}]
    assert rows[1]["completion"][0]["content"].startswith("<think>")
    assert "2 rows (1 up, 1 down)" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_export_can_be_kept_to_one_version(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.jsonl"
    assert main(["export", "--home", str(home), "--out", str(out), "--version", "v2"]) == 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 1


def test_an_export_that_fails_leaves_the_file_of_before(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rows.jsonl"
    out.write_text("what was there before")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    assert main(["export", "--home", str(home), "--out", str(out)]) == 2
    assert "No space left" in capsys.readouterr().err
    assert out.read_text() == "what was there before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "rows.jsonl"]


def test_an_export_into_no_folder_says_so(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "--home", str(home), "--out", str(home / "nowhere" / "rows.jsonl")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_verify_says_clean_or_exits_with_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--home", str(home)]) == 0
    assert capsys.readouterr().out == "clean\n"
    with sql(store_of(home)) as connection:
        connection.execute(text("UPDATE ratings SET value = -value WHERE rater_id = 'ann'"))
    assert main(["verify", "--home", str(home)]) == 1
    out = capsys.readouterr().out
    assert "by ann is not what its history says" in out
    assert "problems: 1" in out


@pytest.mark.parametrize("command", [["stats"], ["verify"], ["forget", "ann", "--yes"]])
def test_a_missing_store_is_said_and_not_made(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "nowhere"
    assert main([*command, "--home", str(home)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: There is no feedback store at")
    assert printed.err.count("\n") == 1
    assert not home.exists()


def test_a_file_that_is_no_store_is_one_clear_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "feedback.db").write_text("not a database " * 100)
    assert main(["stats", "--home", str(tmp_path)]) == 2
    assert "is not a database" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["stats"], ["stats", "--home", "x", "--store-url", "y"], ["sing"]])
def test_a_wrong_command_line_exits_with_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2


def test_stats_show_corrections_and_comparisons(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FeedbackStore.open_home(home) as store:
        (reply, *_) = [rated for _, rated in store.ratings()]
        retry = store.add_reply(new_reply(reply.conversation_id, reply.parent_id, answer="5"))
        store.compare(reply.id, retry.id, "ann", "both_bad", blind=True, how="resample")
        store.correct(retry.id, "ann", "4")
    assert main(["stats", "--home", str(home)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["corrections", "1"] in lines
    assert ["comparisons", "left", "right", "both_good", "both_bad"] in lines
    assert ["0", "0", "0", "1"] in lines


@pytest.mark.parametrize(
    ("kind", "key"),
    [("unpaired", "label"), ("preference", "chosen"), ("demonstration", "completion"), ("prompt", "prompt")],
)
def test_export_writes_every_kind(home: Path, tmp_path: Path, kind: str, key: str) -> None:
    with FeedbackStore.open_home(home) as store:
        (reply, *_) = [rated for _, rated in store.ratings()]
        store.correct(reply.id, "ann", "It is 4.")
    out = tmp_path / "rows.jsonl"
    assert main(["export", "--home", str(home), "--out", str(out), "--kind", kind]) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert rows
    assert all(key in row for row in rows)


def test_export_follows_the_rules(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "rows.jsonl"
    assert main(["export", "--home", str(home), "--out", str(out), "--minimum-votes", "2"]) == 0
    assert out.read_text() == ""
    assert main(["export", "--home", str(home), "--out", str(out), "--majority", "2"]) == 2
    assert "majority is a share" in capsys.readouterr().err


def test_a_snapshot_is_taken_and_its_id_printed_last(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    folder = home / "snapshots" / "first"
    assert main(["snapshot", "--home", str(home), "--folder", str(folder), "--kind", "unpaired"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"2 unpaired rows in {folder}"
    assert json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["id"] == lines[-1]
    assert main(["snapshot", "--home", str(home), "--folder", str(home)]) == 2
    assert "already holds something else" in capsys.readouterr().err


def test_every_command_and_option_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    section = reference.split("## `python -m feedback_store`")[1].split("\n## ")[0]
    parser = _parser()
    (commands,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for name, command in commands.choices.items():
        assert f"`{name}" in section, name
        for action in command._actions:
            for option in action.option_strings:
                if option.startswith("--") and option != "--help":
                    assert re.search(rf"`{option}[` ]", section), option


def test_the_command_prints_a_report_and_makes_the_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    file = str(SAMPLES / "open-webui.json")
    assert main(["import", "--from", "open-webui", file, "--home", str(home)]) == 0
    printed = capsys.readouterr().out
    assert "rows kept             4  (0 of them were in the store already)" in printed
    assert "1  no snapshot of the chat (first: row 5)" in printed
    assert "added: 1 conversation," in printed
    assert main(["import", "--from", "open-webui", file, "--home", str(home), "--quiet"]) == 0
    assert "(4 of them were in the store already)" in capsys.readouterr().out
    assert main(["verify", "--home", str(home)]) == 0


def test_the_command_lists_the_systems_and_refuses_others(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["import", "--list"])
    assert done.value.code == 0
    printed = capsys.readouterr().out
    assert all(system in printed for system in SYSTEMS)
    with pytest.raises(SystemExit) as done:
        main(["import", "--from", "my-diary", "file", "--home", "x"])
    assert done.value.code == 2


def test_a_file_that_cannot_be_imported_exits_with_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file.json"
    path.write_text("[1")
    assert main(["import", "--from", "trl", str(path), "--home", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: The file ends before its array does")

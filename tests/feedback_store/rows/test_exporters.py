"""Export rows in TRL's formats to files and to the Hub, and load them back unchanged."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from helpers.import_samples import SAMPLES
from helpers.store_fixtures import new_reply, one_turn

from feedback_store import FeedbackStore
from feedback_store.__main__ import main
from feedback_store.database.store_location import remember_store
from feedback_store.errors import MissingDependency, PushFailed
from feedback_store.importers import import_file
from feedback_store.rows.exporters import FORMATS, push, rows, write


def fill(store: FeedbackStore) -> None:
    """Feedback that gives a row of every kind, in both thinking modes."""
    for number in range(3):
        up = one_turn(store, rater=f"rater {number}", text=f"What is {number}+2?", answer=f"{number + 2}")
        store.rate(up.id, "ann", 1)
        again = new_reply(up.conversation_id, up.parent_id, thought=None, answer="no idea")
        store.rate(store.add_reply(again).id, "ann", -1)
        right = new_reply(up.conversation_id, up.parent_id, thought="count", answer=f"it is {number + 2}")
        store.compare(up.id, store.add_reply(right).id, "bob", "right", blind=True, how="resample")
        store.correct(up.id, "carol", f"{number + 2}, of course")
        direct = new_reply(up.conversation_id, up.parent_id, thought=None, think=False, answer="?")
        store.rate(store.add_reply(direct).id, "bob", -1)
    more = store.add_message(up.conversation_id, up.id, "user", "Und 二加二?")
    store.rate(store.add_reply(new_reply(up.conversation_id, more.id, answer="4\n\n")).id, "ann", 1)


@pytest.fixture
def store(place: Path | str, home: Path) -> Iterator[FeedbackStore]:
    """The store of `home`, on each database engine."""
    if isinstance(place, str):
        remember_store(home, place)
    with FeedbackStore.open(place) as opened:
        fill(opened)
        yield opened


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("format", FORMATS)
def test_what_is_exported_comes_back_as_the_same_rows(
    store: FeedbackStore, tmp_path: Path, format: str, suffix: str
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / f"rows.{suffix}"
    before = list(rows(store, format))
    assert len(before) > 2
    assert write(file, format, iter(before)) == len(before)
    with FeedbackStore.open(tmp_path / "other.db") as other:
        report = import_file(other, "trl", file)
        assert report.skipped == {}
        assert list(rows(other, format)) == before
        assert other.verify() == []


@pytest.mark.parametrize("format", ["trl-prompt", "trl-kto", "trl-sft"])
def test_the_replies_before_a_prompt_do_not_come_back_as_asked(tmp_path: Path, format: str) -> None:
    asked = {"role": "user", "content": "And 3+3?"}
    context = [{"role": "user", "content": "2+2?"}, {"role": "assistant", "content": "4"}, asked]
    judged = {"completion": [{"role": "assistant", "content": "6"}]} if format != "trl-prompt" else {}
    row = {"prompt": context} | judged | ({"label": True} if format == "trl-kto" else {})
    file = tmp_path / "rows.jsonl"
    write(file, format, [row])
    with FeedbackStore.open(tmp_path / "feedback.db") as store:
        import_file(store, "trl", file)
        assert [exported["prompt"] for exported in rows(store, "trl-prompt")] == [context]
        assert [exported["prompt"] for exported in rows(store, format)] == [context]
        assert store.verify() == []


def test_demonstrations_with_a_thought_keep_it(tmp_path: Path) -> None:
    with FeedbackStore.open(tmp_path / "feedback.db") as store:
        import_file(store, "llama-factory", SAMPLES / "llama-factory.json")
        _, row, *_ = rows(store, "trl-sft")
    assert row["completion"][0]["content"] == "<think>\nA greeting.\n</think>\n\nGuten Morgen"
    assert row["chat_template_kwargs"] == {"enable_thinking": True}


@pytest.mark.parametrize("format", FORMATS)
def test_no_rows_are_a_dataset_with_its_columns(tmp_path: Path, format: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "rows.parquet"
    assert write(file, format, iter([])) == 0
    assert {"prompt", "chat_template_kwargs"} <= set(parquet.read_schema(file).names)


def test_parquet_without_pyarrow_names_the_command_that_installs_it(
    store: FeedbackStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingDependency, match="pip install pyarrow"):
        write(tmp_path / "rows.parquet", "trl-kto", rows(store, "trl-kto"))
    assert not (tmp_path / "rows.parquet").exists()


def test_an_export_cut_off_by_its_rows_leaves_the_file_of_before(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("before")

    def broken() -> Iterator[dict[str, Any]]:
        yield {"prompt": []}
        raise RuntimeError("the store went away")

    with pytest.raises(RuntimeError):
        write(file, "trl-prompt", broken())
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


class Hub:
    """A fake of the parts of huggingface_hub's HfApi that the exporter uses."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.made: dict[str, Any] = {}
        self.file = b""
        self.put: dict[str, Any] = {}

    def create_repo(self, repository: str, **options: Any) -> None:
        self.made = {"repository": repository, **options}

    def upload_file(self, *, path_or_fileobj: Path, **options: Any) -> Any:
        if self.error:
            raise self.error
        self.file, self.put = path_or_fileobj.read_bytes(), options
        return SimpleNamespace(repo_url="hub/ann/thumbs")


def test_a_push_makes_a_private_dataset_of_the_rows(
    store: FeedbackStore,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    hub = Hub()
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    assert main(["export", "--home", str(home), "--push", "ann/thumbs", "--format", "trl-preference"]) == 0
    assert hub.made == {
        "repository": "ann/thumbs",
        "repo_type": "dataset",
        "private": True,
        "exist_ok": True,
    }
    assert hub.put["path_in_repo"] == "data/trl-preference.parquet"
    (tmp_path / "pushed.parquet").write_bytes(hub.file)
    pushed = parquet.read_table(tmp_path / "pushed.parquet").to_pylist()
    assert pushed == list(rows(store, "trl-preference"))
    assert f"{len(pushed)} rows written to hub/ann/thumbs" in capsys.readouterr().out


def test_a_hub_that_refuses_is_one_clear_error(store: FeedbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    hub = Hub(OSError("no route to host"))
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    with pytest.raises(PushFailed, match="ann/thumbs: no route to host"):
        push("ann/thumbs", "trl-kto", rows(store, "trl-kto"))


@pytest.mark.parametrize("format", FORMATS)
def test_the_command_writes_every_format(
    store: FeedbackStore, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str
) -> None:
    out = tmp_path / "rows.jsonl"
    assert main(["export", "--home", str(home), "--out", str(out), "--format", format]) == 0
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert lines == list(rows(store, format))
    assert f"{len(lines)} rows" in capsys.readouterr().out

"""A backup made while people use the app restores a complete home, and old backups are removed."""

import threading
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
from helpers.filled_home import contents, filled_home, ratings
from helpers.store_fixtures import one_turn
from huggingface_hub.errors import RepositoryNotFoundError

from feedback_store import FeedbackStore
from feedback_store.__main__ import main
from feedback_store.backup import Schedule, back_up, manifest, restore
from feedback_store.backup.location import BackupLocation
from feedback_store.backup.restore_backup import backups
from feedback_store.database.store_location import remember_store
from feedback_store.errors import BackupFailed


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a rated reply, a version, the pointer to the released version, and the pseudonym secret."""
    return filled_home(tmp_path / "home")


@pytest.fixture(params=["folder", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty location for backups."""
    return str(tmp_path / "backups") if request.param == "folder" else f"memory://{uuid.uuid4().hex}/backups"


def test_a_restored_home_is_the_one_that_was_backed_up(home: Path, url: str, tmp_path: Path) -> None:
    back_up(home, url)
    new = tmp_path / "new"
    restored = restore(new, url)
    assert contents(new) == contents(home)
    assert ratings(new) == ratings(home) != []
    assert (new / "raters.secret").stat().st_mode & 0o777 == 0o600
    assert list(restored.passed_over) == []
    assert [path.name for path in new.iterdir() if path.name.startswith(".")] == []


def test_checkpoints_locks_database_urls_and_hidden_files_are_not_backed_up(
    home: Path, url: str, tmp_path: Path
) -> None:
    for name in (
        "training/step-1/weights",
        "cache/gguf/base.gguf",
        "cycles/lock",
        "versions/.writing-x/half",
        "store.url",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("x")
    (home / "cycles" / "run.log").write_text("kept")
    back_up(home, url)
    restore(tmp_path / "new", url)
    restored = contents(tmp_path / "new")
    assert "cycles/run.log" in restored
    assert not [
        name
        for name in restored
        if any(part in name for part in ("training", "cache", "lock", "writing", "url"))
    ]


def test_a_backup_says_that_the_feedback_lies_elsewhere(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    command = ["backup", str(tmp_path / "backups"), "--home", str(home), "--quiet"]
    assert main(command) == 0
    assert capsys.readouterr().err == ""
    remember_store(home, "postgresql://ann:secret@db.example/feedback")
    for _ in range(2):  # also where nothing has changed since
        assert main(command) == 0
        warned = capsys.readouterr().err
        assert "The feedback is not in this backup" in warned
        assert "db.example/feedback" in warned and "secret" not in warned
    assert Schedule(home, str(tmp_path / "backups"), minutes=1000).close()
    assert "The feedback is not in this backup" in caplog.text


def test_a_backup_during_concurrent_writes_holds_every_rating_acknowledged_before_it(
    home: Path, url: str, tmp_path: Path
) -> None:
    stop, rated, lock = threading.Event(), [], threading.Lock()

    def write(name: str) -> None:
        while not stop.is_set():
            reply = one_turn(store, name).id
            store.rate(reply, name, 1)
            with lock:
                rated.append(reply)

    with FeedbackStore.open(home / "feedback.db") as store:
        writers = [threading.Thread(target=write, args=(f"rater{number}",)) for number in range(8)]
        for writer in writers:
            writer.start()
        try:
            for number in range(3):
                while len(rated) < 20 * (number + 1):
                    stop.wait(0.01)
                with lock:
                    before = set(rated)
                saved = back_up(home, url)
                new = tmp_path / f"new{number}"
                restore(new, url, saved.backup.id)
                assert before <= {rating.reply_id for rating, _ in ratings(new)}
        finally:
            stop.set()
            for writer in writers:
                writer.join()


def test_content_that_is_stored_already_is_not_uploaded_again(home: Path, url: str) -> None:
    first = back_up(home, url)
    assert first.new and first.sent == first.backup.size
    again = back_up(home, url)
    assert (again.new, again.sent, again.backup.id) == (False, 0, first.backup.id)
    (home / "trial.json").write_text("{}")
    third = back_up(home, url)
    assert (third.new, third.sent) == (True, 2)


def test_the_last_backups_are_kept_and_what_only_older_ones_held_goes(home: Path, url: str) -> None:
    made_backups = []
    for number in range(5):
        (home / "trial.json").write_text(f"{number}")
        made_backups.append(back_up(home, url, keep=2).backup)
    assert [backup.id for backup in backups(url)] == [made_backups[3].id, made_backups[4].id]
    there = BackupLocation(url).sizes()
    needed = {content.place for backup in made_backups[3:] for content in backup.files.values()}
    assert {name for name in there if name.startswith("files/")} == needed


def test_a_failure_to_remove_old_backups_is_logged_and_keeps_the_new_backup(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = str(tmp_path / "backups")
    back_up(home, url, keep=1)
    (home / "trial.json").write_text("{}")

    def refused(self: Any, path: str) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("fsspec.implementations.local.LocalFileSystem.rm_file", refused)
        saved = back_up(home, url, keep=1)
    assert saved.new and saved.backup.id == backups(url)[-1].id
    assert "Old backups were not removed" in caplog.text
    (home / "trial.json").write_text("{} ")
    back_up(home, url, keep=1)
    assert len(backups(url)) == 1


def test_files_on_the_hub_are_removed_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfFileSystem

    removed: list[str] = []
    monkeypatch.setattr(HfFileSystem, "_rm", lambda self, path, **_: removed.append(path))
    monkeypatch.setattr("feedback_store.backup.hub.check", lambda url, create: None)
    monkeypatch.setattr(
        fsspec, "url_to_fs", lambda url: (HfFileSystem(token=False), url.removeprefix("hf://"))
    )
    BackupLocation("hf://buckets/ann/home").remove(["backups/a.json", "files/ab/abc"])
    assert removed == ["buckets/ann/home/backups/a.json", "buckets/ann/home/files/ab/abc"]


def test_a_clock_set_back_does_not_make_the_newest_backup_the_oldest(
    home: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = back_up(home, url).backup

    class Past(manifest.datetime):  # type: ignore[name-defined,misc]
        @classmethod
        def now(cls, zone: Any = None) -> Any:
            return manifest.datetime.fromtimestamp(0, zone)

    (home / "trial.json").write_text("{}")
    monkeypatch.setattr(manifest, "datetime", Past)
    assert back_up(home, url, keep=1).backup.id > first.id
    assert len(backups(url)) == 1


class Hub:
    """The part of huggingface_hub.HfApi that backups use. `private` None: the dataset does not exist."""

    def __init__(self, private: bool | None) -> None:
        self.private = private

    def repo_info(self, name: str, repo_type: str) -> Any:
        if self.private is None:
            response: Any = SimpleNamespace(headers={}, request=None, status_code=404)
            raise RepositoryNotFoundError("404", response=response)
        return SimpleNamespace(private=self.private)

    def create_repo(self, name: str, *, repo_type: str, private: bool, exist_ok: bool) -> None:
        self.private = private


def test_on_the_hub_a_public_dataset_is_refused_and_a_missing_one_made_private(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = fsspec.filesystem("memory")
    monkeypatch.setattr(fsspec, "url_to_fs", lambda url: (memory, f"/{uuid.uuid4().hex}"))
    hub = Hub(private=False)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    with pytest.raises(BackupFailed, match="is public"):
        back_up(home, "hf://datasets/ann/home")
    hub.private = None
    with pytest.raises(BackupFailed, match="HF_TOKEN"):
        restore(home.parent / "new", "hf://datasets/ann/home")
    assert back_up(home, "hf://datasets/ann/home").new
    assert hub.private is True
    with pytest.raises(BackupFailed, match="cannot hold backups"):
        back_up(home, "hf://ann/model")

"""A home is copied elsewhere while people write, and an empty one comes back with all that the last copy held."""

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fsspec
import pytest
from gradio_client import Client
from huggingface_hub.errors import RepositoryNotFoundError
from running_app import ROOT, running_app
from store_parts import one_turn

from feedback_store import FeedbackStore, MissingDependency, StoreDamaged
from feedback_store.__main__ import main
from feedback_store.backup import Schedule, back_up, manifest, restore, restore_if_empty
from feedback_store.backup.home import is_empty
from feedback_store.backup.place import Place
from feedback_store.backup.restoring import backups
from feedback_store.errors import BackupDamaged, BackupFailed, HomeNotEmpty, NoBackup


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a rated reply, a version, its pointer and a secret."""
    folder = tmp_path / "home"
    with FeedbackStore.open(folder / "feedback.db") as store:
        store.rate(one_turn(store).id, "ann", 1)
    (folder / "versions" / "v1").mkdir(parents=True)
    (folder / "versions" / "v1" / "adapter.safetensors").write_bytes(b"weights" * 1000)
    (folder / "versions" / "released.json").write_text('{"version": "v1"}')
    (folder / "raters.secret").write_bytes(b"secret")
    (folder / "raters.secret").chmod(0o600)
    return folder


@pytest.fixture(params=["folder", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for backups."""
    return str(tmp_path / "place") if request.param == "folder" else f"memory://{uuid.uuid4().hex}/place"


def contents(home: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and not path.name.startswith("feedback.db")
    }


def ratings(home: Path) -> list[Any]:
    with FeedbackStore.open(home / "feedback.db", create=False) as store:
        assert store.verify() == []
        return list(store.ratings())


def test_a_restored_home_is_the_one_that_was_backed_up(home: Path, url: str, tmp_path: Path) -> None:
    back_up(home, url)
    new = tmp_path / "new"
    restored = restore(new, url)
    assert contents(new) == contents(home)
    assert ratings(new) == ratings(home) != []
    assert (new / "raters.secret").stat().st_mode & 0o777 == 0o600
    assert list(restored.passed_over) == []
    assert [path.name for path in new.iterdir() if path.name.startswith(".")] == []


def test_checkpoints_locks_database_passwords_and_hidden_files_stay_out(
    home: Path, url: str, tmp_path: Path
) -> None:
    for name in ("training/step-1/weights", "cycles/lock", "versions/.writing-x/half", "store.url"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("x")
    (home / "cycles" / "run.log").write_text("kept")
    back_up(home, url)
    restore(tmp_path / "new", url)
    found = contents(tmp_path / "new")
    assert "cycles/run.log" in found
    assert not [
        name for name in found if any(part in name for part in ("training", "lock", "writing", "url"))
    ]


def test_a_backup_while_eight_people_write_is_a_sound_store_with_all_that_was_acknowledged_before(
    home: Path, url: str, tmp_path: Path
) -> None:
    stop, said, lock = threading.Event(), [], threading.Lock()

    def write(name: str) -> None:
        while not stop.is_set():
            reply = one_turn(store, name).id
            store.rate(reply, name, 1)
            with lock:
                said.append(reply)

    with FeedbackStore.open(home / "feedback.db") as store:
        writers = [threading.Thread(target=write, args=(f"rater{number}",)) for number in range(8)]
        for writer in writers:
            writer.start()
        try:
            for number in range(3):
                while len(said) < 20 * (number + 1):
                    stop.wait(0.01)
                with lock:
                    before = set(said)
                saved = back_up(home, url)
                new = tmp_path / f"new{number}"
                restore(new, url, saved.backup.id)
                assert before <= {rating.reply_id for rating, _ in ratings(new)}
        finally:
            stop.set()
            for writer in writers:
                writer.join()


def test_what_is_there_already_is_not_sent_again(home: Path, url: str) -> None:
    first = back_up(home, url)
    assert first.new and first.sent == first.backup.size
    again = back_up(home, url)
    assert (again.new, again.sent, again.backup.id) == (False, 0, first.backup.id)
    (home / "trial.json").write_text("{}")
    third = back_up(home, url)
    assert (third.new, third.sent) == (True, 2)


def test_the_last_backups_are_kept_and_what_only_older_ones_held_goes(home: Path, url: str) -> None:
    made = []
    for number in range(5):
        (home / "trial.json").write_text(f"{number}")
        made.append(back_up(home, url, keep=2).backup)
    assert [backup.id for backup in backups(url)] == [made[3].id, made[4].id]
    there = Place(url).sizes()
    needed = {content.place for backup in made[3:] for content in backup.files.values()}
    assert {name for name in there if name.startswith("files/")} == needed


def test_a_place_that_cannot_be_tidied_has_the_new_backup_and_says_so(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = str(tmp_path / "place")
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


def test_files_are_removed_by_what_the_hubs_file_system_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import HfFileSystem

    removed: list[str] = []
    monkeypatch.setattr(HfFileSystem, "_rm", lambda self, path, **_: removed.append(path))
    monkeypatch.setattr("feedback_store.backup.hub.check", lambda url, create: None)
    monkeypatch.setattr(
        fsspec, "url_to_fs", lambda url: (HfFileSystem(token=False), url.removeprefix("hf://"))
    )
    Place("hf://buckets/ann/home").remove(["backups/a.json", "files/ab/abc"])
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


KILLED = """
import os, signal, sys
from pathlib import Path
from feedback_store.backup import back_up, place
real, calls = place.Place.put, []
def dying(self, source, name, progress):
    calls.append(name)
    if len(calls) == int(sys.argv[3]):
        if sys.argv[4] == "half":  # as a place that shows a file before it is whole
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes()[:-1])
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, source, name, progress)
place.Place.put = dying
back_up(Path(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("half", ["half", "none"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_killed_backup_leaves_the_older_one_in_force_and_the_next_one_is_whole(
    home: Path, tmp_path: Path, call: int, half: str
) -> None:
    url = str(tmp_path / "place")
    older = back_up(home, url).backup
    before = ratings(home)
    with FeedbackStore.open(home / "feedback.db") as store:
        store.rate(one_turn(store, "bob").id, "bob", -1)
    (home / "trial.json").write_text("{}")
    done = subprocess.run([sys.executable, "-c", KILLED, str(home), url, str(call), half], cwd=ROOT)
    assert done.returncode == -9
    assert restore(tmp_path / "old", url).backup.id == older.id
    assert ratings(tmp_path / "old") == before
    back_up(home, url)
    restore(tmp_path / "new", url)
    assert len(ratings(tmp_path / "new")) == 2


def test_a_damaged_backup_is_passed_over_and_refused_by_name(home: Path, tmp_path: Path) -> None:
    place = tmp_path / "place"
    older = back_up(home, str(place)).backup
    (home / "trial.json").write_text("first")
    newer = back_up(home, str(place)).backup
    (place / newer.files["trial.json"].place).write_text("false")
    with pytest.raises(BackupDamaged, match=r"trial\.json"):
        restore(tmp_path / "new", str(place), newer.id)
    assert is_empty(tmp_path / "new")
    restored = restore(tmp_path / "new", str(place))
    assert restored.backup.id == older.id
    assert "trial.json" in restored.passed_over[0]
    (place / older.files["feedback.db"].place).unlink()
    with pytest.raises(BackupDamaged, match=r"has lost its feedback\.db"):
        restore(tmp_path / "other", str(place))


def test_a_manifest_that_leads_out_of_the_home_is_refused() -> None:
    content = {"sha256": "0" * 64, "size": 1, "mode": 0o600}
    for name in ("../evil", "/etc/evil", "a/../../evil", ".ssh/evil", "C:\\evil", ""):
        text = json.dumps(
            {"format": 1, "made": "2026-01-01T00:00:00+00:00", "files": {name: content}}
        ).encode()
        backup_id = f"20260101T000000000000Z-{manifest._proof(text)}"
        with pytest.raises(BackupDamaged):
            manifest.read(backup_id, text)


def test_a_restore_cut_off_while_files_are_moved_goes_on_at_the_next_start(
    home: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(home, url)
    new = tmp_path / "new"
    move, calls = shutil.os.replace, []  # type: ignore[attr-defined]

    def dying(source: Any, target: Any) -> None:
        calls.append(target)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("feedback_store.backup.restoring.os.replace", dying)
        with pytest.raises(BackupFailed, match="No space left"):
            restore(new, url)
    assert not (new / "feedback.db").exists()
    assert restore_if_empty(new, url) is None
    assert contents(new) == contents(home)
    assert ratings(new) == ratings(home)


def test_a_home_that_holds_something_is_never_written_over(home: Path, url: str) -> None:
    back_up(home, url)
    with pytest.raises(HomeNotEmpty):
        restore(home, url)
    assert restore_if_empty(home, url) is None


def test_a_place_without_backups_is_said_and_is_a_fresh_start_for_an_app(url: str, tmp_path: Path) -> None:
    with pytest.raises(NoBackup):
        restore(tmp_path / "new", url)
    assert restore_if_empty(tmp_path / "new", url) is None


def test_a_damaged_store_pushes_no_sound_backup_out(home: Path, url: str) -> None:
    sound = back_up(home, url, keep=1).backup
    with sqlite3.connect(home / "feedback.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with (home / "feedback.db").open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 16384)
    with pytest.raises(StoreDamaged, match="was not backed up"):
        back_up(home, url, keep=1)
    assert [backup.id for backup in backups(url)] == [sound.id]


def test_a_place_inside_the_home_an_empty_home_and_an_unknown_url_are_refused(
    home: Path, tmp_path: Path
) -> None:
    with pytest.raises(BackupFailed, match="inside the home"):
        back_up(home, str(home / "backups"))
    with pytest.raises(BackupFailed, match="nothing in"):
        back_up(tmp_path / "nowhere", str(tmp_path / "place"))
    with pytest.raises(BackupFailed, match="Protocol not known"):
        back_up(home, "nonsense://me:secret@host/x")


def test_a_missing_driver_names_the_command_that_installs_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "url_to_fs", missing)
    with pytest.raises(MissingDependency, match=r"pip install s3fs=="):
        back_up(home, "s3://bucket/home")


class Hub:
    """What is used of huggingface_hub's HfApi."""

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
    with pytest.raises(BackupFailed, match="no place for backups"):
        back_up(home, "hf://ann/model")


def test_a_schedule_makes_backups_and_one_more_when_it_is_closed(home: Path, url: str) -> None:
    schedule = Schedule(home, url, minutes=0.001)
    wait = threading.Event()
    while not backups(url):
        wait.wait(0.05)
    schedule2 = Schedule(home, url, minutes=1000)
    assert schedule.close()
    (home / "trial.json").write_text("the last words")
    assert schedule2.close()
    assert "trial.json" in backups(url)[-1].files


def test_a_scheduled_backup_that_fails_is_logged_and_ends_nothing(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    schedule = Schedule(home, str(home / "inside"), minutes=1000)
    assert not schedule.close()
    assert "No backup was made" in caplog.text


def test_the_commands_back_up_list_and_restore(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, new = str(tmp_path / "place"), tmp_path / "new"
    assert main(["backup", place, "--home", str(home)]) == 0
    backup_id = capsys.readouterr().out.splitlines()[-1]
    assert main(["backup", place, "--home", str(home)]) == 0
    assert "nothing has changed" in capsys.readouterr().out
    assert main(["restore", place, "--list"]) == 0
    assert capsys.readouterr().out.startswith(backup_id)
    assert main(["restore", place, "--home", str(new), "--backup", backup_id]) == 0
    assert main(["verify", "--home", str(new)]) == 0
    assert main(["restore", place, "--home", str(new)]) == 2
    assert "never written over" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["restore", place])
    assert "one of the arguments --home --list is required" in capsys.readouterr().err


def test_an_app_stopped_by_sigterm_comes_back_on_an_empty_home_with_conversations_and_ratings(
    tmp_path: Path,
) -> None:
    home, url = tmp_path / "home", f"file://{tmp_path / 'place'}"
    with running_app(home, "--backup-url", url, "--backup-every", "1000") as address:
        client = Client(address, verbose=False)
        said = list(client.submit("What is 2 + 3?", False, None, api_name="/chat"))[-1]
        client.predict(said["reply_id"], 1, ["clear"], "", api_name="/rate")
    before = ratings(home)
    shutil.rmtree(home)
    with running_app(home, "--backup-url", url, "--backup-every", "1000") as address:
        client = Client(address, verbose=False)
        more = list(client.submit("And 2 more?", False, said["conversation"], api_name="/chat"))[-1]
        assert more["conversation"] == said["conversation"]
    assert ratings(home) == before
    assert [rating.reply_id for rating, _ in before] == [said["reply_id"]]
    assert (home / "versions" / "released.json").exists()


def test_an_app_whose_backups_cannot_be_reached_does_not_start_on_an_empty_home(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    done = subprocess.run(
        [sys.executable, "app.py", "--home", str(tmp_path / "home"), "--backup-url", "nonsense://x"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "Protocol not known" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "feedback.db").exists()

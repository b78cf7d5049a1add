"""Interrupted, damaged and missing backups: the newest undamaged one is restored, and no home is overwritten."""

import json
import shutil
import sqlite3
import sys
import uuid
from pathlib import Path
from typing import Any

import fsspec
import pytest
from helpers import warm_process
from helpers.filled_home import contents, filled_home, ratings
from helpers.running_app import ROOT
from helpers.store_fixtures import one_turn

from feedback_store import FeedbackStore, MissingDependency, StoreDamaged
from feedback_store.backup import back_up, manifest, restore, restore_if_empty
from feedback_store.backup.home_files import is_empty
from feedback_store.backup.restore_backup import backups
from feedback_store.errors import BackupDamaged, BackupFailed, HomeNotEmpty, NoBackup


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a rated reply, a version, the pointer to the released version, and the pseudonym secret."""
    return filled_home(tmp_path / "home")


@pytest.fixture(params=["folder", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty location for backups."""
    return str(tmp_path / "backups") if request.param == "folder" else f"memory://{uuid.uuid4().hex}/backups"


KILLED = """
import os, signal, sys
from pathlib import Path
from feedback_store.backup import back_up, location
real, calls = location.BackupLocation.put, []
def killed(self, source, name, progress):
    calls.append(name)
    if len(calls) == int(sys.argv[3]):
        if sys.argv[4] == "half":  # like a file system that shows a file before it is complete
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes()[:-1])
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, source, name, progress)
location.BackupLocation.put = killed
back_up(Path(sys.argv[1]), sys.argv[2])
"""


@pytest.mark.parametrize("half", ["half", "none"])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_killed_backup_leaves_the_older_one_restorable_and_the_next_one_is_complete(
    home: Path, tmp_path: Path, call: int, half: str
) -> None:
    url = str(tmp_path / "backups")
    older = back_up(home, url).backup
    before = ratings(home)
    with FeedbackStore.open(home / "feedback.db") as store:
        store.rate(one_turn(store, "bob").id, "bob", -1)
    (home / "trial.json").write_text("{}")
    done = warm_process.run([sys.executable, "-c", KILLED, str(home), url, str(call), half], cwd=ROOT)
    assert done.returncode == -9
    assert restore(tmp_path / "old", url).backup.id == older.id
    assert ratings(tmp_path / "old") == before
    back_up(home, url)
    restore(tmp_path / "new", url)
    assert len(ratings(tmp_path / "new")) == 2


def test_a_damaged_backup_is_skipped_by_default_and_refused_when_named(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    older = back_up(home, str(folder)).backup
    (home / "trial.json").write_text("first")
    newer = back_up(home, str(folder)).backup
    (folder / newer.files["trial.json"].place).write_text("false")
    with pytest.raises(BackupDamaged, match=r"trial\.json"):
        restore(tmp_path / "new", str(folder), newer.id)
    assert is_empty(tmp_path / "new")
    restored = restore(tmp_path / "new", str(folder))
    assert restored.backup.id == older.id
    assert "trial.json" in restored.passed_over[0]
    (folder / older.files["feedback.db"].place).unlink()
    with pytest.raises(BackupDamaged, match=r"feedback\.db of backup .* is missing"):
        restore(tmp_path / "other", str(folder))


def test_a_manifest_with_a_path_outside_the_home_is_refused() -> None:
    content = {"sha256": "0" * 64, "size": 1, "mode": 0o600}
    for name in ("../evil", "/etc/evil", "a/../../evil", ".ssh/evil", "C:\\evil", ""):
        text = json.dumps(
            {"format": 1, "made": "2026-01-01T00:00:00+00:00", "files": {name: content}}
        ).encode()
        backup_id = f"20260101T000000000000Z-{manifest._text_hash(text)}"
        with pytest.raises(BackupDamaged):
            manifest.read(backup_id, text)


def test_a_restore_interrupted_while_moving_files_continues_at_the_next_start(
    home: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(home, url)
    new = tmp_path / "new"
    move, calls = shutil.os.replace, []  # type: ignore[attr-defined]

    def killed(source: Any, target: Any) -> None:
        calls.append(target)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("feedback_store.backup.restore_backup.os.replace", killed)
        with pytest.raises(BackupFailed, match="No space left"):
            restore(new, url)
    assert not (new / "feedback.db").exists()
    assert restore_if_empty(new, url) is None
    assert contents(new) == contents(home)
    assert ratings(new) == ratings(home)


def test_a_restore_never_overwrites_a_home_that_is_not_empty(home: Path, url: str) -> None:
    back_up(home, url)
    with pytest.raises(HomeNotEmpty):
        restore(home, url)
    assert restore_if_empty(home, url) is None


def test_a_location_without_backups_is_an_error_for_restore_and_a_fresh_start_for_an_app(
    url: str, tmp_path: Path
) -> None:
    with pytest.raises(NoBackup):
        restore(tmp_path / "new", url)
    assert restore_if_empty(tmp_path / "new", url) is None


def test_a_damaged_store_does_not_replace_an_undamaged_backup(home: Path, url: str) -> None:
    undamaged = back_up(home, url, keep=1).backup
    with sqlite3.connect(home / "feedback.db") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with (home / "feedback.db").open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 16384)
    with pytest.raises(StoreDamaged, match="was not backed up"):
        back_up(home, url, keep=1)
    assert [backup.id for backup in backups(url)] == [undamaged.id]


def test_a_folder_inside_the_home_an_empty_home_and_an_unknown_protocol_are_refused(
    home: Path, tmp_path: Path
) -> None:
    with pytest.raises(BackupFailed, match="inside the home"):
        back_up(home, str(home / "backups"))
    with pytest.raises(BackupFailed, match="contains nothing"):
        back_up(tmp_path / "nowhere", str(tmp_path / "backups"))
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

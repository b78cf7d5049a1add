"""Backups by schedule, by the commands, and by a running app that is stopped."""

import shutil
import threading
import uuid
from pathlib import Path

import pytest
from gradio_client import Client
from helpers import warm_process
from helpers.filled_home import filled_home, ratings
from helpers.running_app import ROOT, command, running_app
from helpers.store_fixtures import one_turn

from assistant.auth.pseudonyms import SHARED_RATER
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore
from feedback_store.__main__ import main
from feedback_store.backup import Schedule, back_up, restore
from feedback_store.backup.restore_backup import backups


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a rated reply, a version, the pointer to the released version, and the pseudonym secret."""
    return filled_home(tmp_path / "home")


@pytest.fixture(params=["folder", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty location for backups."""
    return str(tmp_path / "backups") if request.param == "folder" else f"memory://{uuid.uuid4().hex}/backups"


def test_a_schedule_makes_backups_and_one_more_when_it_is_closed(home: Path, url: str) -> None:
    schedule = Schedule(home, url, minutes=0.001)
    wait = threading.Event()
    while not backups(url):
        wait.wait(0.05)
    last_schedule = Schedule(home, url, minutes=1000)
    assert schedule.close()
    (home / "trial.json").write_text("the last words")
    assert last_schedule.close()
    assert "trial.json" in backups(url)[-1].files


def test_a_failed_scheduled_backup_is_logged_and_raises_nothing(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    schedule = Schedule(home, str(home / "inside"), minutes=1000)
    assert not schedule.close()
    assert "No backup was made" in caplog.text


def test_the_commands_back_up_list_and_restore(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, new = str(tmp_path / "backups"), tmp_path / "new"
    assert main(["backup", url, "--home", str(home)]) == 0
    backup_id = capsys.readouterr().out.splitlines()[-1]
    assert main(["backup", url, "--home", str(home)]) == 0
    assert "nothing has changed" in capsys.readouterr().out
    assert main(["restore", url, "--list"]) == 0
    assert capsys.readouterr().out.startswith(backup_id)
    assert main(["restore", url, "--home", str(new), "--backup", backup_id]) == 0
    assert main(["verify", "--home", str(new)]) == 0
    assert main(["restore", url, "--home", str(new)]) == 2
    assert "never written over" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["restore", url])
    assert "one of the arguments --home --list is required" in capsys.readouterr().err


def test_an_app_on_an_empty_home_restores_the_backup_and_makes_another_when_stopped_by_sigterm(
    tmp_path: Path,
) -> None:
    home, url = tmp_path / "home", f"file://{tmp_path / 'backups'}"
    version_to_serve(home, "starter")
    with FeedbackStore.open_home(home) as store:
        reply = one_turn(store, SHARED_RATER)
        store.rate(reply.id, SHARED_RATER, 1, ["clear"])
    back_up(home, url)
    shutil.rmtree(home)
    with running_app(home, "--backup-url", url, "--backup-every", "1000") as address:
        client = Client(address, verbose=False)
        reply_event = list(client.submit("And 2 more?", False, reply.conversation_id, api_name="/chat"))[-1]
        assert reply_event["conversation"] == reply.conversation_id
        client.predict(reply_event["reply_id"], -1, ["wrong"], "", api_name="/rate")
    before = ratings(home)
    assert [(rated.id, rating.value) for rating, rated in before] == [
        (reply.id, 1),
        (reply_event["reply_id"], -1),
    ]
    shutil.rmtree(home)
    restore(home, url)
    assert ratings(home) == before
    assert Versions(home).released() == "v1"


def test_an_app_with_unreachable_backups_does_not_start_on_an_empty_home(tmp_path: Path) -> None:
    done = warm_process.run(command("--home", str(tmp_path / "home"), "--backup-url", "nonsense://x"), ROOT)
    assert done.returncode == 1
    assert "Protocol not known" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "feedback.db").exists()

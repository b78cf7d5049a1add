"""Starting the app: each failure is one message, and leaves nothing half written."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil
import pytest
from helpers import warm_process
from helpers.running_app import ROOT, command, free_port

from assistant.bases.base import STARTER_FOLDER
from assistant.errors import ModelError, SettingsError, VersionError
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.settings import Settings, default_home, from_command_line


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    return warm_process.run(command(*arguments), env={**os.environ, "HF_HUB_OFFLINE": "1"}, timeout=120)


def test_a_port_in_use_is_named(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = start("--home", str(home), "--port", str(port))
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = start("--home", str(tmp_path / "file" / "home"), "--port", str(free_port()))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_version_is_named(home: Path) -> None:
    version = version_to_serve(home, "starter")
    (version.folder / "adapter_model.safetensors").write_bytes(b"damaged")
    done = start("--home", str(home), "--port", str(free_port()))
    assert done.returncode == 1
    assert "Version v1" in done.stderr
    assert "is damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_names_every_flag() -> None:
    done = start("--help")
    assert done.returncode == 0
    for flag in ("--model", "--home", "--host", "--port"):
        assert flag in done.stdout


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--port", "seven"], ["--no-such-flag", "1"]])
def test_invalid_flags_are_refused(arguments: list[str]) -> None:
    done = start(*arguments)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr


def test_a_model_folder_without_weights_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no \.safetensors weights"):
        version_to_serve(home, str(tmp_path))
    assert Versions(home).ids() == []


def test_a_model_that_is_not_there_is_refused_without_the_hub(home: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        version_to_serve(home, "nobody/no-such-model")
    assert Versions(home).ids() == []


def test_a_local_model_is_served_bare_as_the_first_version(home: Path) -> None:
    version = version_to_serve(home, str(STARTER_FOLDER / "base"))
    assert (version.id, version.manifest.adapter, version.manifest.stage) == ("v1", False, "import")
    assert version_to_serve(home, str(STARTER_FOLDER / "base")).id == "v1"


def test_a_home_serves_one_model(home: Path) -> None:
    version_to_serve(home, "starter")
    with pytest.raises(VersionError, match=r"serves v1 on starter.*--home"):
        version_to_serve(home, str(STARTER_FOLDER / "base"))


def test_settings_come_from_flags_then_environment_then_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("THUMBTUNE_PORT=1111\nTHUMBTUNE_HOST=0.0.0.0\nTHUMBTUNE_TEMPERATURE=0.1\n")
    monkeypatch.setenv("THUMBTUNE_PORT", "2222")
    monkeypatch.setenv("THUMBTUNE_HOST", "127.0.0.2")
    settings = from_command_line(["--port", "3333"])
    assert (settings.port, settings.host, settings.temperature) == (3333, "127.0.0.2", 0.1)


def test_sites_that_may_use_the_app_are_named_without_a_path() -> None:
    assert Settings().origins == []
    listed = from_command_line(["--cors-origins", "https://chat.example, app://obsidian.md"])
    assert listed.origins == ["https://chat.example", "app://obsidian.md"]
    for wrong in ("chat.example", "https://chat.example/page", "https://"):
        with pytest.raises(SettingsError, match="without a path"):
            from_command_line(["--cors-origins", wrong])


def test_the_path_under_which_a_proxy_offers_the_app_is_a_path() -> None:
    assert from_command_line(["--root-path", "/chat/"]).root_path == "/chat"
    for wrong in ("chat", "https://a.example/chat", "/a b", "//a"):
        with pytest.raises(SettingsError, match="root_path"):
            from_command_line(["--root-path", wrong])


def test_on_spaces_with_storage_the_home_is_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "someone/thumbtune")
    monkeypatch.setattr(os, "access", lambda path, mode: str(path) == "/data")
    assert default_home() == Path("/data")
    assert Settings().host == "0.0.0.0"
    assert not Settings().lost_at_restart
    mounted = SimpleNamespace(mountpoint="/data", fstype="fuse.hf-mount")
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [mounted])
    assert default_home() != Path("/data")  # a mounted bucket: it has no locks
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert default_home() != Path("/data")


def test_a_space_whose_disk_does_not_last_says_so_unless_something_else_holds_the_feedback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not Settings(home=tmp_path).lost_at_restart
    monkeypatch.setenv("SPACE_ID", "someone/thumbtune")
    assert Settings(home=tmp_path).lost_at_restart
    assert not Settings(home=tmp_path, backup_url="hf://buckets/a/b").lost_at_restart
    assert not Settings(home=tmp_path, store_url="postgresql://db/t").lost_at_restart


@pytest.mark.slow
def test_serving_imports_no_training_library() -> None:
    code = (
        "import sys, assistant.chat.chat, assistant.page, assistant.serving.transformers_engine\n"
        "print([name for name in ('trl', 'datasets', 'alignment') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_have_a_default_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert Settings().home == default_home()


def test_an_app_that_stops_tells_who_waits_and_keeps_what_was_written(home: Path, tmp_path: Path) -> None:
    port = free_port()
    arguments = ("--home", str(home), "--port", str(port), "--model", "starter")
    asked = {
        "model": "thumbtune",
        "messages": [{"role": "user", "content": "What is 12 + 7?"}],
        "max_tokens": 900,
        "ignore_eos": True,
        "stream": True,
    }
    with (tmp_path / "app.log").open("w+") as log:
        app = warm_process.start(
            command(*arguments), stdout=log, stderr=log, env={**os.environ, "HF_HUB_OFFLINE": "1"}
        )
        try:
            deadline = time.monotonic() + 120
            while "Open http" not in (tmp_path / "app.log").read_text():
                assert time.monotonic() < deadline
                time.sleep(0.1)
            with httpx.stream(
                "POST", f"http://127.0.0.1:{port}/v1/chat/completions", json=asked, timeout=60
            ) as reply:
                lines = reply.iter_lines()
                while '"content": "' not in next(lines):
                    pass
                app.terminate()
                rest = "".join(lines)
            assert "This server is stopping" in rest
            assert app.wait() == 0
        finally:
            app.kill()
    assert "Traceback" not in (tmp_path / "app.log").read_text()
    with closing(sqlite3.connect(home / "feedback.db")) as store:
        ((reason, tokens),) = store.execute("SELECT finish_reason, completion_ids FROM replies").fetchall()
    assert reason == "error"
    assert json.loads(tokens)

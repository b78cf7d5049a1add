"""Bases: which one a name means, and its revision."""

import json
import re
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from assistant.bases.base import STARTER_FOLDER, Base, folder_hash
from assistant.bases.base_source import checked_source, identify_base
from assistant.errors import ModelError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A model of the Hub whose configuration is in this machine's cache."""
    repository = tmp_path / "hub" / "models--somebody--tiny"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps({"model_type": "llama"}))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return "somebody/tiny"


def test_the_revision_of_a_hub_model_is_its_commit(cached: str, home: Path) -> None:
    base = identify_base(cached, home)
    assert base == Base(cached, COMMIT)
    assert checked_source(base, home) == (cached, {"revision": COMMIT})


def test_the_revision_of_a_folder_is_the_hash_of_its_weights(home: Path) -> None:
    folder = STARTER_FOLDER / "base"
    base = identify_base(str(folder), home)
    assert base == Base(str(folder.resolve()), folder_hash(folder))
    assert checked_source(base, home) == (str(folder), {})
    assert identify_base("starter", home) == Base("starter", folder_hash(folder))


def test_a_folder_with_other_weights_than_recorded_is_refused(home: Path) -> None:
    with pytest.raises(ModelError, match=r"its weights differ.*Restore them"):
        checked_source(Base("starter", "0" * 64), home)


def test_a_model_that_is_neither_here_nor_on_the_hub_is_refused(home: Path) -> None:
    with pytest.raises(ModelError, match=r"'nobody/no-such-model' cannot be loaded.*--model"):
        identify_base("nobody/no-such-model", home)


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./nope", "../nope", "~/nope", "no/such/repository", "spaced name"]
)
def test_a_name_that_no_model_of_the_hub_can_have_is_a_folder_that_is_missing(home: Path, name: str) -> None:
    with pytest.raises(ModelError, match=rf"There is no folder {re.escape(name)}\. Give --model"):
        identify_base(name, home)


def test_a_name_that_means_something_else_is_told_so(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no model")
    with pytest.raises(ModelError, match=r"notes.txt is neither a folder nor a .gguf file"):
        identify_base(str(file), home)
    with pytest.raises(ModelError, match=r"is a page of the Hub. Give --model Qwen/Qwen3-0\.6B\."):
        identify_base("https://huggingface.co/Qwen/Qwen3-0.6B/tree/main", home)


def test_a_folder_outside_the_home_is_meant_from_the_current_folder(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    home.mkdir(exist_ok=True)
    with pytest.raises(ModelError, match=r"The folder \.\./model holds no .safetensors weights"):
        identify_base("../model", home)


@pytest.mark.parametrize(
    ("offline", "why"), [(True, "HF_HUB_OFFLINE keeps it from the Hub"), (False, "the Hub cannot be reached")]
)
@pytest.mark.parametrize("name", ["nobody/no-such-model", "nobody/no-such-model:tiny.gguf"])
def test_who_cannot_reach_the_hub_is_told_why(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, offline: bool, why: str
) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise LocalEntryNotFoundError("Please check your connection.")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    with pytest.raises(ModelError, match=f"not in this machine's cache, and {why}"):
        identify_base(name, home)


def test_a_model_of_the_hub_is_identified_without_a_model_library(cached: str, home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import huggingface_hub.constants as constants; "
        "from assistant.bases.base_source import identify_base; "
        "constants.HF_HUB_CACHE = sys.argv[1]; print(identify_base(sys.argv[2], Path(sys.argv[3])).revision); "
        "print(*sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    )
    cache = huggingface_hub.constants.HF_HUB_CACHE
    done = subprocess.run(
        [sys.executable, "-c", code, cache, cached, str(home)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [COMMIT]

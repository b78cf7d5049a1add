"""Pretraining: the base that comes out, and text it cannot learn from."""

from pathlib import Path

import pytest
import torch
from helpers.tiny_home import tiny_home

from alignment.__main__ import main
from assistant.bases.base import folder_hash
from assistant.registry.versions import Versions
from assistant.serving.loading import load_for_serving


def run(home: Path, *arguments: str) -> int:
    return main(["pretrain", "--home", str(home), *arguments])


def left_over(home: Path) -> list[str]:
    return [path.name for path in (home / "versions").glob(".writing-*")]


def test_pretraining_writes_a_new_base_and_leaves_the_old_one_unchanged(home: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 200, encoding="utf-8")
    before = folder_hash(tiny_home(home) / "tiny")
    assert run(home, "--text", str(text), "--block_length", "64", "--learning_rate", "1e-3") == 0
    version = Versions(home).open("v2")
    assert (version.manifest.adapter, version.manifest.base.name) == (False, "versions/v2/base")
    served = load_for_serving(version, home)
    started = load_for_serving(Versions(home).open("v1"), home)
    ids = torch.tensor([served.tokenizer("The quick brown fox jumps over the lazy dog. " * 3).input_ids])
    with torch.no_grad():
        assert served.model(ids, labels=ids).loss < started.model(ids, labels=ids).loss
    assert folder_hash(home / "tiny") == before
    assert left_over(home) == []


def test_text_that_is_missing_or_too_short_is_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--block_length=64", "--text")
    assert run(tiny_home(home), *flags, str(tmp_path / "nowhere")) == 2
    assert "no file or folder" in capsys.readouterr().err
    (tmp_path / "short.txt").write_text("too short")
    assert run(home, *flags, str(tmp_path / "short.txt")) == 2
    assert "fewer than one block" in capsys.readouterr().err
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    assert run(home, *flags, str(tmp_path / "latin.txt")) == 2
    assert "not UTF-8" in capsys.readouterr().err
    assert left_over(home) == []

"""SFT: what moves, what is written, and demonstrations or flags it refuses."""

import json
from pathlib import Path

import pytest
import torch
from helpers.tiny_home import tiny_home
from safetensors.torch import load_file

from alignment.__main__ import main
from assistant.registry.versions import Versions
from feedback_store.hashing import sha256_file

ROWS = [
    {
        "messages": [{"role": "user", "content": f"What is {n} + 2?"}],
        "think": n % 2 == 0,
        "thought": f"{n}+2={n + 2}" if n % 2 == 0 else "",
        "answer": f"{n}+2={n + 2}",
    }
    for n in (0, *range(2, 9))  # rows that are not held out
]


def run(home: Path, *arguments: str) -> int:
    return main(["sft", "--home", str(home), *arguments])


def adapter(home: Path, version: str) -> dict[str, torch.Tensor]:
    return load_file(Versions(home).open(version).folder / "adapter_model.safetensors")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def test_only_the_adapter_moves(home: Path, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = tiny_home(home) / "tiny" / "model.safetensors"
    before = sha256_file(base)
    assert run(home, "--demonstrations", str(rows), "--batch_size", "4", "--epochs", "2") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "v2"
    assert sha256_file(base) == before
    first, second = adapter(home, "v1"), adapter(home, "v2")
    assert first.keys() == second.keys()
    assert all(not torch.equal(first[name], second[name]) for name in first)
    assert all(torch.isfinite(tensor).all() for tensor in second.values())
    manifest = Versions(home).open("v2").manifest
    assert (manifest.parent, manifest.stage, manifest.seed) == ("v1", "sft", 1)
    assert manifest.data["demonstrations"] == 8
    assert manifest.recipe["epochs"] == 2
    assert manifest.libraries["trl"]
    assert manifest.metrics["loss"] > 0


def test_an_unknown_flag_and_an_unknown_parent_are_refused(
    home: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_home(home)
    assert run(home, "--demonstrations", str(rows), "--learning_rat", "1") == 2
    assert "learning_rat" in capsys.readouterr().err
    assert run(home, "--demonstrations", str(rows), "--parent", "v9") == 2
    assert "no version 'v9'" in capsys.readouterr().err
    assert Versions(home).ids() == ["v1"]


@pytest.mark.parametrize("line", ["not json", '{"messages": []}', "[]"])
def test_a_bad_line_of_demonstrations_is_named(
    home: Path, rows: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    rows.write_text(rows.read_text() + line + "\n")
    assert run(home, "--demonstrations", str(rows)) == 2
    assert f"{rows}, line 9" in capsys.readouterr().err

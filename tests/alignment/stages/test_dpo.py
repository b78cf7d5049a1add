"""DPO: what it learns, what its reference is, and that a killed run is continued to the same weights."""

import json
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import warm_process
from helpers.pair_rows import numbers, row, write
from helpers.paths import ROOT
from helpers.tiny_home import tiny_home
from safetensors.torch import load_file
from transformers import AutoTokenizer

from alignment.__main__ import main
from alignment.data.token_pairs import read_pairs
from alignment.stages import dpo
from alignment.training import held_out_curves
from assistant.bases.base import STARTER_FOLDER
from assistant.registry.versions import Versions
from assistant.serving import prompt
from assistant.serving.loading import load_for_serving, load_for_training

KILLED = """
import os, signal, sys
from alignment.__main__ import main
from alignment.training.checkpoints import StopOnBadLoss

def kill(self, args, state, control, **_):
    if state.global_step == 1:
        os.kill(os.getpid(), signal.SIGKILL)

StopOnBadLoss.on_step_begin = kill
sys.exit(main(sys.argv[1:]))
"""
"""A stage that is killed at the beginning of its second update, once its first checkpoint is written."""


def run(home: Path, *arguments: str) -> int:
    return main(["dpo", "--home", str(home), *arguments])


def adapter(home: Path, version: str) -> dict[str, torch.Tensor]:
    return load_file(Versions(home).open(version).folder / "adapter_model.safetensors")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(
        tmp_path / "pairs.jsonl",
        [row(n) for n in numbers(False, 16) + numbers(True, held_out_curves.ENOUGH_TO_STOP)],
    )


def preference(version: Any, home: Path, number: int) -> float:
    """Log-probability of the preferred answer minus that of the other, in nats."""
    loaded = load_for_serving(version, home)
    prompt_ids = prompt.render(loaded.tokenizer, row(number)["messages"], think=False)
    scores = []
    for answer in (f"{number + 2} apples", f"{number + 2}"):
        ids = prompt.completion(loaded.tokenizer, "", answer, think=False)
        with torch.no_grad():
            logits = loaded.model(torch.tensor([prompt_ids + ids])).logits[0, len(prompt_ids) - 1 : -1]
        scores.append(float(logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None]).sum()))
    return scores[0] - scores[1]


def test_the_preferred_answer_becomes_likelier_and_only_the_adapter_moves(
    home: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--min_steps=8", "--epochs=1", "--evaluations=2", "--learning_rate=1e-2"]
    assert run(tiny_home(home), "--pairs", str(file), *settings) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "model: LoRA of v1; loss: DPO (sigmoid), beta 0.1; optimiser: AdamW"
    assert lines[1].startswith("rows: 16 pairs; 20 held out, 0 too long")
    assert lines[-1] == "v2"
    versions = Versions(home)
    child = versions.open("v2")
    unseen = numbers(True, 1)[0]
    assert preference(child, home, unseen) > preference(versions.open("v1"), home, unseen)
    first, second = adapter(home, "v1"), adapter(home, "v2")
    assert first.keys() == second.keys()
    assert all(not torch.equal(first[name], second[name]) for name in first)
    assert all(torch.isfinite(tensor).all() for tensor in second.values())
    manifest = child.manifest
    assert (manifest.parent, manifest.stage, manifest.base) == (
        "v1",
        "dpo",
        versions.open("v1").manifest.base,
    )
    assert manifest.data | {"hash": ""} == {
        "hash": "", "pairs": 16, "held_out": 20, "too_long": 0, "tied": 0, "repeated": 0
    }  # fmt: skip
    # The parent is its own reference, so its loss is ln 2.
    assert manifest.metrics["held_out_loss_before"] == pytest.approx(0.6931, abs=1e-3)
    assert manifest.metrics["held_out_loss"] < manifest.metrics["held_out_loss_before"]
    history = json.loads((child.folder / "curves.json").read_text())
    assert [entry["step"] for entry in history if "eval_loss" in entry] == [0, 4, 8]
    assert not list((home / "training" / "dpo").iterdir())


def test_the_reference_is_the_parent_in_a_first_and_a_second_round(
    home: Path, tmp_path: Path, tokenizer: Any
) -> None:
    tiny_home(home)
    training = read_pairs(write(tmp_path / "pairs.jsonl", [row(n) for n in range(4)]), tokenizer)
    recipe = dpo.DPORecipe(learning_rate=1e-2, min_steps=2, epochs=1, batch_size=4)
    versions = Versions(home)
    ids = torch.arange(10, 30)[None]
    write(tmp_path / "pairs.jsonl", [row(n) for n in numbers(False, 4)])
    flags = ["--min_steps=2", "--epochs=1", "--learning_rate=1e-2"]
    assert run(home, "--pairs", str(tmp_path / "pairs.jsonl"), *flags) == 0
    for parent in (versions.open("v1"), versions.open("v2")):
        model = load_for_training(parent, home).model
        dpo.train(model, tokenizer, training, recipe, tmp_path / parent.id)
        served = load_for_serving(parent, home).model
        with torch.no_grad():
            trained = model.eval()(ids).logits
            model.set_adapter("ref")
            assert torch.allclose(model(ids).logits, served(ids).logits, atol=1e-4)
            assert not torch.allclose(trained, served(ids).logits, atol=1e-4)


def test_a_run_that_was_killed_goes_on_to_the_very_weights_of_one_that_was_not(
    home: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--pairs", str(file), "--min_steps=3", "--epochs=1", "--evaluations=3", "--batch_size=8"]
    other = tiny_home(tmp_path / "other")
    tiny_home(home)
    assert main(["dpo", "--home", str(other), *settings]) == 0

    command = [sys.executable, "-c", KILLED, "dpo", "--home", str(home), *settings]
    done = warm_process.run(command, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert list(home.glob("training/dpo/*/checkpoint-1/trainer_state.json"))
    assert Versions(home).ids() == ["v1"]

    capsys.readouterr()
    assert run(home, *settings) == 0
    assert "going on from step" in capsys.readouterr().out
    expected, resumed = adapter(other, "v2"), adapter(home, "v2")
    assert all(torch.equal(expected[name], resumed[name]) for name in expected)
    curve = [[e for e in _curve(where) if "eval_loss" in e] for where in (other, home)]
    assert [e["eval_loss"] for e in curve[0]] == [e["eval_loss"] for e in curve[1]]


def test_the_first_pairs_train_a_base_without_an_adapter(home: Path, file: Path) -> None:
    tiny_home(home, adapter=False)
    assert run(home, f"--pairs={file}", "--epochs=1", "--min_steps=2", "--learning_rate=1e-2") == 0
    assert any(weight.any() for name, weight in adapter(home, "v2").items() if "lora_B" in name)


def _curve(home: Path) -> list[dict[str, Any]]:
    curves = Versions(home).open("v2").folder / "curves.json"
    history: list[dict[str, Any]] = json.loads(curves.read_text())
    return history


@pytest.mark.parametrize(
    "line", ["not json", "[]", '{"messages": []}', '{"chosen": [{"role": "user"}], "rejected": []}']
)
def test_a_bad_line_of_pairs_is_named_and_nothing_is_written(
    home: Path, file: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    file.write_text(file.read_text() + line + "\n")
    assert run(tiny_home(home), "--pairs", str(file)) == 2
    assert f"{file}, line 37" in capsys.readouterr().err
    assert Versions(home).ids() == ["v1"]


def test_a_dry_run_shows_an_estimate_and_writes_nothing(
    home: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny_home(home), "--pairs", str(file), "--dry_run") == 0
    shown = capsys.readouterr().out
    assert "rows: 32; tokens: " in shown
    assert "updates: 24 of 32 rows" in shown
    assert re.search(r"expected: about \d+", shown)
    assert re.search(r"memory: about \d+\.\d GiB at most", shown)
    assert shown.count("---") == 3
    assert shown.count(" apples<|im_end|>⟧") == 3
    question = row(numbers(False, 1)[0])["messages"][0]["content"]
    assert question in shown.split("---")[1].partition("⟦")[0]
    assert Versions(home).ids() == ["v1"]
    assert not (home / "training").exists()

"""DPO: what is read, what moves, what the reference is, and that a killed run goes on to the same weights."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.pair_rows import numbers, row, write
from helpers.paths import ROOT
from helpers.tiny_home import tiny_home
from safetensors.torch import load_file
from transformers import AutoTokenizer

from alignment.__main__ import main
from alignment.data import token_pairs
from alignment.data.splits import half_of
from alignment.errors import DataError
from alignment.stages import dpo
from alignment.training import held_out_curves
from alignment.training.flags import RunOptions, StageLocation
from alignment.training.output_version import work_folder
from alignment.training.parent_version import open_parent
from assistant.registry.versions import STARTER_FOLDER, Versions
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
"""A stage that is killed once its first checkpoint is written, at the beginning of its second update."""


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
    """How much likelier the preferred answer is than the other, in nats."""
    loaded = load_for_serving(version, home)
    asked = prompt.render(loaded.tokenizer, row(number)["messages"], think=False)
    scores = []
    for said in (f"{number + 2} apples", f"{number + 2}"):
        ids = prompt.completion(loaded.tokenizer, "", said, think=False)
        with torch.no_grad():
            logits = loaded.model(torch.tensor([asked + ids])).logits[0, len(asked) - 1 : -1]
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


def test_the_reference_is_the_parent_and_of_a_second_round_the_child(
    home: Path, tmp_path: Path, tokenizer: Any
) -> None:
    tiny_home(home)
    found = token_pairs.read_pairs(write(tmp_path / "pairs.jsonl", [row(n) for n in range(4)]), tokenizer)
    recipe = dpo.DPORecipe(learning_rate=1e-2, min_steps=2, epochs=1, batch_size=4)
    versions = Versions(home)
    ids = torch.arange(10, 30)[None]
    write(tmp_path / "pairs.jsonl", [row(n) for n in numbers(False, 4)])
    flags = ["--min_steps=2", "--epochs=1", "--learning_rate=1e-2"]
    assert run(home, "--pairs", str(tmp_path / "pairs.jsonl"), *flags) == 0
    for parent in (versions.open("v1"), versions.open("v2")):
        model = load_for_training(parent, home).model
        dpo.train(model, tokenizer, found, recipe, tmp_path / parent.id)
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
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
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


def _curve(home: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((Versions(home).open("v2").folder / "curves.json").read_text())
    return found


def test_another_recipe_data_or_parent_never_continues_a_foreign_checkpoint(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alignment.training.flags.find_spec", lambda name: "installed")
    opened = open_parent(StageLocation(home=tiny_home(home)))
    place, recipe = StageLocation(home=home), dpo.DPORecipe()

    def folder(recipe: dpo.DPORecipe = recipe, data: str = "one", run: RunOptions | None = None) -> Path:
        return work_folder(opened, place, "dpo", recipe, run or RunOptions(), data)

    assert folder() == folder()
    assert folder() == folder(run=RunOptions(report_to="tensorboard"))
    others = [
        folder(recipe=dpo.DPORecipe(**{**asdict(recipe), "seed": 2})),
        folder(data="two"),
        folder(run=RunOptions(patience=1)),
    ]
    assert len({folder(), *others}) == 4


def test_both_forms_of_a_file_give_the_same_pair(tmp_path: Path, tokenizer: Any) -> None:
    ours = row(3)
    conversational = {
        "prompt": ours["messages"],
        "chosen": [{"role": "assistant", "content": "5 apples"}],
        "rejected": [{"role": "assistant", "content": "5"}],
    }
    implicit = {
        "chosen": [*ours["messages"], *conversational["chosen"]],
        "rejected": [*ours["messages"], *conversational["rejected"]],
    }
    one, two, three = token_pairs.read_pairs(
        write(tmp_path / "p.jsonl", [ours, conversational, implicit]), tokenizer
    )
    assert one == two == three
    assert tokenizer.decode(one.chosen_ids) == "5 apples<|im_end|>"


def test_a_thought_in_trls_form_is_kept_and_asked_for(tmp_path: Path, tokenizer: Any) -> None:
    said = {"role": "assistant", "content": "<think>\n1+1=2\n</think>\n\n2"}
    line = {
        "prompt": [{"role": "user", "content": "1+1?"}],
        "chosen": [said],
        "rejected": [{**said, "content": "<think>\n1+1=3\n</think>\n\n3"}],
    }
    (pair,) = token_pairs.read_pairs(write(tmp_path / "p.jsonl", [line]), tokenizer)
    assert pair.prompt_ids == prompt.render(tokenizer, line["prompt"], think=True)
    assert tokenizer.decode(pair.chosen_ids) == "<think>\n1+1=2\n</think>\n\n2<|im_end|>"


def test_served_tokens_are_trained_on_as_they_were_drawn(tokenizer: Any) -> None:
    class Rollout:
        reply_id, thought, answer = "r1", None, "5 apples"

        def __init__(self, completion_ids: list[int] | None) -> None:
            self.completion_ids = completion_ids

    class Preference:
        messages, think, prompt_ids = row(3)["messages"], False, [1, 2, 3]
        chosen, rejected = Rollout([7, 8]), Rollout(None)

    (pair,) = token_pairs.pairs_of_store([Preference()], tokenizer)
    assert (pair.prompt_ids, pair.chosen_ids) == ([1, 2, 3], [7, 8])
    assert pair.rejected_ids == prompt.completion(tokenizer, "", "5 apples", think=False)


def made(number: int, chosen: list[int], rejected: list[int]) -> token_pairs.TokenPair:
    return token_pairs.TokenPair(row(number)["messages"], [1, 2], chosen, rejected)


def test_ties_repetitions_and_rows_longer_than_the_window_are_counted_and_never_cut() -> None:
    inside, also = numbers(False, 2)
    found = token_pairs.sort_pairs(
        [
            made(inside, [3], [4]),
            made(inside, [3], [4]),
            made(inside, [3], [3]),
            made(inside, [3], []),
            made(also, [3] * 9, [4]),
            made(numbers(True, 1)[0], [3], [5]),
        ],
        window=10,
    )
    assert [pair.chosen_ids for pair in found.training] == [[3]]
    assert (len(found.held_out), found.too_long, found.tied, found.repeated) == (1, 1, 2, 1)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], "There are no preferences yet"),
        ([made(0, [3], [3])] * 3, "None of the 3 preferences.*3 are tied"),
        ([made(0, [3] * 20, [4])], "1 are longer than the context window of 10"),
        ([made(numbers(True, 1)[0], [3], [4])], "1 are held out"),
    ],
)
def test_pairs_that_cannot_teach_end_with_advice(given: list[token_pairs.TokenPair], why: str) -> None:
    with pytest.raises(DataError, match=why):
        token_pairs.sort_pairs(given, window=10)


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


def test_a_dry_run_shows_what_would_be_done_and_does_none_of_it(
    home: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tiny_home(home), "--pairs", str(file), "--dry_run") == 0
    shown = capsys.readouterr().out
    assert "rows: 32; tokens: " in shown
    assert "updates: 24 of 32 rows" in shown
    assert re.search(r"expected: about \d+", shown)
    assert re.search(r"memory: \d+ MiB", shown)
    assert shown.count("---") == 3
    assert shown.count(" apples<|im_end|>⟧") == 3
    asked = row(numbers(False, 1)[0])["messages"][0]["content"]
    assert asked in shown.split("---")[1].partition("⟦")[0]
    assert Versions(home).ids() == ["v1"]
    assert not (home / "training").exists()


def test_a_held_out_loss_that_rises_stops_training_and_the_best_is_kept() -> None:
    class State:
        log_history: list[dict[str, Any]] = []  # noqa: RUF012

    class Control:
        should_training_stop = False

    def stops(losses: list[float], rows: int = held_out_curves.ENOUGH_TO_STOP, patience: int = 2) -> bool:
        State.log_history = [{"eval_loss": loss, "step": step} for step, loss in enumerate(losses)]
        control = Control()
        held_out_curves.StopWhenHeldOutRises(RunOptions(patience=patience), rows).on_evaluate(
            None, State, control
        )
        return control.should_training_stop

    assert not stops([0.7, 0.6, 0.65])
    assert stops([0.7, 0.6, 0.65, 0.61])
    assert not stops([0.7, 0.6, 0.65, 0.5])
    assert not stops([0.7, 0.6, 0.65, 0.61], rows=held_out_curves.ENOUGH_TO_STOP - 1)
    assert not stops([0.7, 0.6, 0.65, 0.61], patience=0)
    assert held_out_curves.held_out_metrics(State.log_history) == {
        "held_out_loss_before": 0.7,
        "held_out_loss": 0.6,
        "best_step": 1.0,
    }


def test_halves_share_no_prompt_and_are_about_even() -> None:
    letters = [half_of(row(number)["messages"]) for number in range(400)]
    assert letters == [half_of(row(number)["messages"]) for number in range(400)]
    assert 150 < letters.count("a") < 250
    shouted = [{"role": "user", "content": row(7)["messages"][0]["content"].upper().replace("?", " ?!")}]
    assert half_of(shouted) == letters[7]

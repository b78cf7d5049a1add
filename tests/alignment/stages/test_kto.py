"""KTO: what it learns, what its reference is, and feedback it cannot learn from."""

import re
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from datasets import Dataset
from helpers.feedback import apples, rate_replies
from helpers.tiny_home import tiny_home
from safetensors.torch import load_file
from trl import KTOConfig, KTOTrainer

from alignment.__main__ import main
from alignment.data.thumb_rows import sort_thumbs
from alignment.stages import kto
from alignment.training import parent_version
from alignment.training.flags import StageLocation
from alignment.training.parent_version import open_parent
from alignment.training.trl_compat import TokenKTOTrainer
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.serving import prompt
from assistant.serving.loading import load_for_serving, load_for_training
from feedback_store import FeedbackStore
from feedback_store import rows as feedback


def adapter(home: Path, version: str) -> dict[str, torch.Tensor]:
    return load_file(Versions(home).open(version).folder / "adapter_model.safetensors")


def run(home: Path, *arguments: str) -> int:
    return main(["kto", "--home", str(home), *arguments])


def left_over(home: Path) -> list[str]:
    return [path.name for path in (home / "versions").glob(".writing-*")]


def logps(home: Path, version: str, question: str, answer: str) -> float:
    """Log-probability of an answer."""
    loaded = load_for_serving(Versions(home).open(version), home)
    start = prompt.render(loaded.tokenizer, [{"role": "user", "content": question}], think=False)
    end = prompt.completion(loaded.tokenizer, "", answer, think=False)
    ids = torch.tensor([start + end])
    with torch.no_grad():
        scores = torch.log_softmax(loaded.model(ids).logits[0, len(start) - 1 : -1], dim=-1)
    return float(scores.gather(1, torch.tensor(end)[:, None]).sum())


def test_kto_makes_liked_answers_likelier_than_disliked_ones(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rate_replies(tiny_home(home), apples(40))
    settings = ["--epochs=2", "--min_steps=12", "--evaluations=2", "--learning_rate=1e-2"]
    assert run(home, *settings) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "v2"
    question = "Tom has 90 apples and buys 2 more. How many apples has he?"
    before, after = (
        logps(home, version, question, "92 apples") - logps(home, version, question, "92")
        for version in ("v1", "v2")
    )
    assert after > before
    first, second = adapter(home, "v1"), adapter(home, "v2")
    assert first.keys() == second.keys()
    assert any(not torch.equal(first[name], second[name]) for name in first)
    manifest = Versions(home).open("v2").manifest
    assert manifest.stage == "kto"
    assert manifest.metrics["held_out_loss"] < manifest.metrics["held_out_loss_before"]
    assert manifest.data["thumbs_up"] + manifest.data["thumbs_down"] + manifest.data["held_out"] == 40
    assert Versions(home).released() == "v1"


def test_kto_trains_on_the_token_ids_that_were_served(home: Path) -> None:
    trainer = object.__new__(TokenKTOTrainer)
    columns = trainer._prepare_dataset(
        Dataset.from_dict(
            {"prompt_ids": [[1], [2], [3]], "completion_ids": [[10], [20], [30]], "label": [1, 0, 1]}
        ),
        None,
        KTOConfig(
            str(home), per_device_train_batch_size=2, use_cpu=True, bf16=False, activation_checkpointing=False
        ),
        "train",
    )
    assert columns["prompt_ids"][:] == [[1], [2], [3]]
    assert columns["completion_ids"][:] == [[10], [20], [30]]
    # In a batch of two, each prompt is paired with the other one's completion; a row alone takes its forerunner's.
    assert columns["KL_completion_ids"][:] == [[20], [10], [20]]


@pytest.mark.parametrize(("beta", "rows"), [(1.0, 16), (2.0, 16), (0.5, 8), (0.1, 4), (0.01, 4)])
def test_the_less_the_baseline_weighs_the_fewer_rows_are_read_for_it(beta: float, rows: int) -> None:
    assert kto.baseline_rows(16, beta) == rows


def test_no_more_rows_than_asked_for_are_read_for_the_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = object.__new__(TokenKTOTrainer)
    trainer.baseline_rows, trainer.tokens_at_once, trainer.calculate_KL = 2, 8, True
    monkeypatch.setattr(TokenKTOTrainer, "accelerator", Accelerator(cpu=True), raising=False)
    read: list[list[int]] = []

    def logps(self: object, model: object, part: dict[str, torch.Tensor]) -> tuple[torch.Tensor, None]:
        read.append(part["input_ids"][:, 0].tolist())
        return part["input_ids"].sum(dim=1).float(), None

    monkeypatch.setattr(KTOTrainer, "compute_ref_log_probs", logps)
    own, neighbours = torch.tensor([[1], [2], [3]]), torch.tensor([[11], [12], [13]])
    batch = {"input_ids": own, "KL_input_ids": neighbours}
    masks = {f"{name}_mask": torch.ones_like(own) for name in ("attention", "completion")}
    batch |= masks | {f"KL_{name}": mask for name, mask in masks.items()}
    ours, theirs = trainer.compute_ref_log_probs(None, batch)
    assert ours.tolist() == [1, 2, 3]
    assert theirs[:2].tolist() == [11, 12]
    assert sorted(row for rows in read for row in rows) == [1, 2, 3, 11, 12]
    assert trainer.calculate_KL


def test_the_reference_is_the_parent(home: Path, tmp_path: Path) -> None:
    version_to_serve(home, "starter")
    rate_replies(home, apples(8))
    version = Versions(home).open("v1")
    loaded = load_for_training(version, home)
    with FeedbackStore.open(home / "feedback.db") as store:
        training = sort_thumbs(feedback.unpaired_rows(store), loaded.window).training
    recipe = kto.KTORecipe(learning_rate=1e-3, beta=0.1, epochs=2, min_steps=2)
    kto.train(loaded.model, loaded.tokenizer, training, recipe, tmp_path)
    parent = load_for_serving(version, home).model
    loaded.model.set_adapter("ref")
    ids = torch.arange(10, 30)[None]
    with torch.no_grad():
        assert torch.allclose(loaded.model.eval()(ids).logits, parent(ids).logits, atol=1e-4)


def test_the_reference_of_a_first_adapter_is_the_base(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (kto, parent_version):  # logits are read in float32
        monkeypatch.setattr(module, "fast_bfloat16", lambda: False)
    rate_replies(tiny_home(home, adapter=False), apples(8))
    parent = open_parent(StageLocation(home))
    ids = torch.arange(10, 30)[None]
    with torch.no_grad():
        base_logits = parent.loaded.model.eval()(ids).logits
    recipe = kto.KTORecipe(learning_rate=1e-2, beta=0.1, epochs=1, min_steps=2, lora_r=4, lora_alpha=8)
    model, reference = kto.load_model(parent, recipe)
    training = kto.load_data(parent, StageLocation(home), recipe).training
    kto.train(model, parent.loaded.tokenizer, training, recipe, tmp_path, reference=reference)
    model.eval()
    with torch.no_grad():
        assert not torch.equal(model(ids).logits, base_logits)
        model.set_adapter("ref")
        assert torch.equal(model(ids).logits, base_logits)


def test_the_first_thumbs_train_a_base_without_an_adapter(home: Path) -> None:
    rate_replies(tiny_home(home, adapter=False), apples(8))
    assert run(home, "--epochs=1", "--min_steps=2", "--learning_rate=1e-2") == 0
    assert Versions(home).open("v2").manifest.adapter
    assert any(weight.any() for name, weight in adapter(home, "v2").items() if "lora_B" in name)


@pytest.mark.parametrize(("up", "down"), [(1, 1), (3, 1), (1, 3), (90, 10)])
def test_both_labels_weigh_the_same_in_all(up: int, down: int) -> None:
    desirable, undesirable = kto.label_weights(up, down)
    assert desirable * up == pytest.approx(undesirable * down)
    assert min(desirable, undesirable) == 1.0


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        ([], "There are no ratings yet"),
        ([("a?", "b", 0)], "There are no ratings yet"),
        ([("what?", "b", 1), ("why?", "d", 1)], r"All 2 rated replies have thumbs up.*give thumbs down"),
        ([("what?", "b", -1)], r"All 1 rated replies have thumbs down.*give thumbs up"),
    ],
)
def test_feedback_that_cannot_be_learned_from_is_refused_with_advice(
    home: Path, capsys: pytest.CaptureFixture[str], replies: list[tuple[str, str, int]], message: str
) -> None:
    rate_replies(tiny_home(home), replies)
    assert run(home) == 2
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert "Traceback" not in error
    assert Versions(home).ids() == ["v1"]
    assert left_over(home) == []


def test_kto_makes_no_store_where_there_is_none(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(home) == 2
    assert "kto: " in capsys.readouterr().err
    assert not (home / "feedback.db").exists()

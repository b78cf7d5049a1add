"""The stages as an engineer runs them: what moves, what does not, what is written, and what stops them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.feedback import apples, rate_replies
from helpers.tiny_home import tiny_home
from safetensors.torch import load_file
from transformers import AutoTokenizer

from alignment.__main__ import main
from alignment.data.demonstration_rows import tokenize_demonstrations
from alignment.data.raw_text import Blocks, join_documents
from alignment.data.thumb_rows import sort_thumbs
from alignment.errors import DataError
from alignment.stages import kto
from alignment.training.parent_version import with_new_adapter
from alignment.training.trl_compat import TokenKTOTrainer
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import STARTER_FOLDER, Versions, folder_hash
from assistant.serving.loading import load_base, load_for_serving, load_for_training
from feedback_store.hashing import sha256_file

ROWS = [
    {
        "messages": [{"role": "user", "content": f"What is {n} + 2?"}],
        "think": n % 2 == 0,
        "thought": f"{n}+2={n + 2}" if n % 2 == 0 else "",
        "answer": f"{n}+2={n + 2}",
    }
    for n in (0, *range(2, 9))  # none of which is held out
]


def run(home: Path, *arguments: str) -> int:
    return main([arguments[0], "--home", str(home), *arguments[1:]])


def adapter(home: Path, version: str) -> dict[str, torch.Tensor]:
    return load_file(Versions(home).open(version).folder / "adapter_model.safetensors")


def left_over(home: Path) -> list[str]:
    return [path.name for path in (home / "versions").glob(".writing-*")]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


def test_only_the_completion_is_supervised(tokenizer: Any) -> None:
    dataset, too_long = tokenize_demonstrations(ROWS[:1], tokenizer, max_length=200)
    row: Any = dataset[0]
    supervised = [token for token in row["labels"] if token != -100]
    assert tokenizer.decode(supervised) == "<think>\n0+2=2\n</think>\n\n0+2=2<|im_end|>"
    prompt_length = row["labels"].count(-100)
    assert row["labels"][:prompt_length] == [-100] * prompt_length
    assert row["input_ids"][prompt_length:] == supervised
    assert tokenizer.decode(row["input_ids"][:prompt_length]).endswith("<|im_start|>assistant\n")
    assert too_long == 0


def test_of_a_corrected_answer_the_unknown_thought_is_not_supervised(tokenizer: Any) -> None:
    corrected = {**ROWS[0], "thought": "", "answer_only": True}
    row: Any = tokenize_demonstrations([corrected], tokenizer, max_length=200)[0][0]
    assert tokenizer.decode([token for token in row["labels"] if token != -100]) == "0+2=2<|im_end|>"
    assert tokenizer.decode(row["input_ids"]).endswith("<think>\n\n</think>\n\n0+2=2<|im_end|>")


def test_a_row_that_is_too_long_is_left_out_whole_and_counted(tokenizer: Any) -> None:
    dataset, too_long = tokenize_demonstrations(ROWS, tokenizer, max_length=5)
    assert (len(dataset), too_long) == (0, len(ROWS))


def version_base() -> Any:
    from assistant.registry.versions import Base

    return Base("starter", folder_hash(STARTER_FOLDER / "base"))


def test_packed_text_is_cut_into_whole_blocks(tokenizer: Any) -> None:
    ids = join_documents(["one", "two"], tokenizer, end=0)
    assert (ids == 0).sum() == 2
    blocks = Blocks(join_documents(["word " * 100] * 3, tokenizer, end=0), length=16)
    assert len(blocks) == len(blocks.ids)
    assert blocks[0]["input_ids"].shape == (16,)
    assert torch.equal(blocks[0]["labels"], blocks[0]["input_ids"])


def test_sft_moves_the_adapter_and_nothing_else(
    home: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = tiny_home(home) / "tiny" / "model.safetensors"
    before = sha256_file(base)
    assert run(home, "sft", "--demonstrations", str(rows), "--batch_size", "4", "--epochs", "2") == 0
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


def test_a_version_folder_is_a_plain_peft_folder(home: Path) -> None:
    from peft import PeftModel

    version = version_to_serve(home, None)
    base = load_base(version.manifest.base, home, torch.float32).model
    plain = PeftModel.from_pretrained(base, str(version.folder)).eval()
    served = load_for_serving(version, home).model
    ids = torch.arange(10, 30)[None]
    with torch.no_grad():
        assert torch.allclose(plain(ids).logits, served(ids).logits, atol=1e-4)


def test_pretraining_makes_a_base_that_can_be_served_and_leaves_the_old_one(
    home: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 200, encoding="utf-8")
    before = folder_hash(tiny_home(home) / "tiny")
    assert run(home, "pretrain", "--text", str(text), "--block_length", "64", "--learning_rate", "1e-3") == 0
    version = Versions(home).open("v2")
    assert (version.manifest.adapter, version.manifest.base.name) == (False, "versions/v2/base")
    served = load_for_serving(version, home)
    started = load_for_serving(Versions(home).open("v1"), home)
    ids = torch.tensor([served.tokenizer("The quick brown fox jumps over the lazy dog. " * 3).input_ids])
    with torch.no_grad():
        assert served.model(ids, labels=ids).loss < started.model(ids, labels=ids).loss
    assert folder_hash(home / "tiny") == before
    assert left_over(home) == []


def logps(home: Path, version: str, asked: str, said: str) -> float:
    from assistant.serving import prompt

    loaded = load_for_serving(Versions(home).open(version), home)
    start = prompt.render(loaded.tokenizer, [{"role": "user", "content": asked}], think=False)
    end = prompt.completion(loaded.tokenizer, "", said, think=False)
    ids = torch.tensor([start + end])
    with torch.no_grad():
        scores = torch.log_softmax(loaded.model(ids).logits[0, len(start) - 1 : -1], dim=-1)
    return float(scores.gather(1, torch.tensor(end)[:, None]).sum())


def test_kto_makes_liked_answers_likelier_than_disliked_ones(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rate_replies(tiny_home(home), apples(40))
    settings = ["--epochs=2", "--min_steps=12", "--evaluations=2", "--learning_rate=1e-2"]
    assert run(home, "kto", *settings) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "v2"
    asked = "Tom has 90 apples and buys 2 more. How many apples has he?"
    before, after = (
        logps(home, version, asked, "92 apples") - logps(home, version, asked, "92")
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


def test_kto_reads_the_very_tokens_that_were_served(home: Path) -> None:
    from trl import KTOConfig

    trainer = object.__new__(TokenKTOTrainer)
    from datasets import Dataset

    made = trainer._prepare_dataset(
        Dataset.from_dict(
            {"prompt_ids": [[1], [2], [3]], "completion_ids": [[10], [20], [30]], "label": [1, 0, 1]}
        ),
        None,
        KTOConfig(
            str(home), per_device_train_batch_size=2, use_cpu=True, bf16=False, activation_checkpointing=False
        ),
        "train",
    )
    assert made["prompt_ids"][:] == [[1], [2], [3]]
    assert made["completion_ids"][:] == [[10], [20], [30]]
    # Within a batch of two each prompt is paired with the other's completion; the odd one is left with its own.
    assert made["KL_completion_ids"][:] == [[20], [10], [30]]


def test_the_reference_is_the_parents_adapter(home: Path, tmp_path: Path) -> None:
    version_to_serve(home, None)
    rate_replies(home, apples(8))
    version = Versions(home).open("v1")
    loaded = load_for_training(version, home)
    from feedback_store import FeedbackStore
    from feedback_store import rows as training_rows

    with FeedbackStore.open(home / "feedback.db") as store:
        training = sort_thumbs(training_rows.from_store(store), loaded.window).training
    recipe = kto.KTORecipe(learning_rate=1e-3, epochs=2, min_steps=2)
    kto.train(loaded.model, loaded.tokenizer, training, recipe, tmp_path)
    parent = load_for_serving(version, home).model
    loaded.model.set_adapter("ref")
    ids = torch.arange(10, 30)[None]
    with torch.no_grad():
        assert torch.allclose(loaded.model.eval()(ids).logits, parent(ids).logits, atol=1e-4)


@pytest.mark.parametrize(("up", "down"), [(1, 1), (3, 1), (1, 3), (90, 10)])
def test_the_rarer_vote_weighs_as_much_as_the_commoner(up: int, down: int) -> None:
    desirable, undesirable = kto.label_weights(up, down)
    assert desirable * up == pytest.approx(undesirable * down)
    assert min(desirable, undesirable) == 1.0


@pytest.mark.parametrize(
    ("replies", "why"),
    [
        ([], "There are no ratings yet"),
        ([("a?", "b", 0)], "There are no ratings yet"),
        ([("what?", "b", 1), ("why?", "d", 1)], r"All 2 rated replies have thumbs up.*give thumbs down"),
        ([("what?", "b", -1)], r"All 1 rated replies have thumbs down.*give thumbs up"),
    ],
)
def test_feedback_that_cannot_teach_ends_with_advice_and_writes_nothing(
    home: Path, capsys: pytest.CaptureFixture[str], replies: list[tuple[str, str, int]], why: str
) -> None:
    rate_replies(tiny_home(home), replies)
    assert run(home, "kto") == 2
    error = capsys.readouterr().err
    import re

    assert re.search(why, error)
    assert "Traceback" not in error
    assert Versions(home).ids() == ["v1"]
    assert left_over(home) == []


def test_without_a_store_kto_says_so_and_makes_none(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(home, "kto") == 2
    assert "kto: " in capsys.readouterr().err
    assert not (home / "feedback.db").exists()


def test_an_unknown_flag_and_an_unknown_parent_are_refused(
    home: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_home(home)
    assert run(home, "sft", "--demonstrations", str(rows), "--learning_rat", "1") == 2
    assert "learning_rat" in capsys.readouterr().err
    assert run(home, "sft", "--demonstrations", str(rows), "--parent", "v9") == 2
    assert "no version 'v9'" in capsys.readouterr().err
    assert Versions(home).ids() == ["v1"]


@pytest.mark.parametrize("line", ["not json", '{"messages": []}', "[]"])
def test_a_bad_line_of_demonstrations_is_named(
    home: Path, rows: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    rows.write_text(rows.read_text() + line + "\n")
    assert run(home, "sft", "--demonstrations", str(rows)) == 2
    assert f"{rows}, line 9" in capsys.readouterr().err


def test_text_that_is_missing_or_too_short_is_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ("pretrain", "--block_length=64", "--text")
    assert run(tiny_home(home), *short, str(tmp_path / "nowhere")) == 2
    assert "no file or folder" in capsys.readouterr().err
    (tmp_path / "short.txt").write_text("too short")
    assert run(home, *short, str(tmp_path / "short.txt")) == 2
    assert "fewer than one block" in capsys.readouterr().err
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    assert run(home, *short, str(tmp_path / "latin.txt")) == 2
    assert "not UTF-8" in capsys.readouterr().err
    assert left_over(home) == []


def test_a_loss_that_is_no_number_ends_training_without_a_version() -> None:
    from alignment.errors import TrainingError
    from alignment.training.checkpoints import StopOnBadLoss

    class State:
        global_step = 7

    callback = StopOnBadLoss()
    callback.on_log(None, State(), None, {"loss": 1.0})
    with pytest.raises(TrainingError, match="step 7"):
        callback.on_log(None, State(), None, {"loss": float("nan")})


def test_release_rollback_and_versions_from_the_command_line(
    home: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tiny_home(home), "sft", "--demonstrations", str(rows))
    assert run(home, "release", "v2", "--why", "it answers better") == 0
    assert Versions(home).released() == "v2"
    capsys.readouterr()
    assert run(home, "versions") == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == ["v1", "v2"]
    assert listed[1].endswith("released")
    assert run(home, "rollback") == 0
    assert Versions(home).released() == "v1"
    assert run(home, "release", "v9") == 2
    assert Versions(home).released() == "v1"


def test_rows_that_are_empty_failed_or_too_long_are_left_out(home: Path) -> None:
    from feedback_store.rows import UnpairedRow

    messages = ROWS[0]["messages"]

    def row(completion: list[int], reason: str, label: bool) -> UnpairedRow:
        return UnpairedRow("id", messages, False, None, "", [1, 2], completion, label, 1, "v1", reason)

    sorted_rows = sort_thumbs(
        [
            row([3], "end", True),
            row([3], "length", False),
            row([], "stopped", True),
            row([3] * 50, "end", True),
        ],
        20,
    )
    assert [one.finish_reason for one in sorted_rows.training] == ["end", "length"]
    assert sorted_rows.too_long == 1
    with pytest.raises(DataError, match="None of the 1 rated replies"):
        sort_thumbs([row([], "error", True)], 20)


def test_a_first_adapter_is_the_same_for_the_same_seed(home: Path) -> None:
    def first_weights(seed: int) -> dict[str, torch.Tensor]:
        base = load_base(version_base(), home, torch.float32).model
        model = with_new_adapter(base, rank=32, alpha=64, seed=seed)
        return {name: value for name, value in model.named_parameters() if "lora_A" in name}

    one, again, other = first_weights(1), first_weights(1), first_weights(2)
    assert one
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert all(not torch.equal(one[name], other[name]) for name in one)

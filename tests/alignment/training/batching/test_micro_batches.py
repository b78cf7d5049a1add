"""Micro-batches: how rows are split, and that the split of a batch decides nothing."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from helpers.feedback import apples, rate_replies
from helpers.pair_rows import numbers, row, write
from helpers.tiny_home import tiny_home

from alignment.data.token_pairs import read_pairs
from alignment.stages import dpo, kto, reward, sft
from alignment.training import parent_version, processes
from alignment.training.batching.micro_batches import split_further, split_rows, take_rows, without_padding
from alignment.training.flags import StageLocation
from alignment.training.memory import MemoryPlan
from alignment.training.parent_version import OpenedParent, open_parent


def test_rows_of_like_length_share_a_micro_batch_of_limited_tokens() -> None:
    groups = split_rows([5, 60, 7, 100, 6], tokens_at_once=110)
    assert groups == [[3], [1], [2, 4, 0]]


def test_a_row_longer_than_the_limit_goes_alone() -> None:
    assert split_rows([300, 10], tokens_at_once=100) == [[0], [1]]


def test_groups_are_split_further_until_there_are_enough() -> None:
    assert split_further([[4, 3, 2, 1], [0]], 3) == [[4, 3], [2, 1], [0]]
    assert split_further([[0], [1]], 5) == [[0], [1]]


def test_rows_are_taken_from_each_block_of_a_tensor() -> None:
    batch = {"ids": torch.tensor([1, 2, 3, 11, 12, 13]), "label": torch.tensor([7, 8, 9]), "count": 3}
    taken = take_rows(batch, [2, 0], count=3)
    assert taken["ids"].tolist() == [3, 1, 13, 11]
    assert taken["label"].tolist() == [9, 7]
    assert taken["count"] == 3


def test_columns_that_are_padding_in_all_rows_are_cut() -> None:
    mask = torch.zeros(2, 128, dtype=torch.int64)
    mask[0, :33], mask[1, :2] = 1, 1
    batch = {"mask": mask, "ids": torch.arange(256).view(2, 128)}
    # A few columns are left, so that widths are multiples of 32.
    assert without_padding(batch, "mask", ("mask", "ids"))["ids"].tolist() == [
        [*range(64)],
        [*range(128, 192)],
    ]


def _kto(parent: OpenedParent, folder: Path) -> tuple[Any, dict[str, float]]:
    recipe = kto.KTORecipe(learning_rate=1e-2, beta=0.1, batch_size=8, epochs=1, min_steps=2)
    data = kto.load_data(parent, StageLocation(parent.versions.home), recipe)
    model, reference = kto.load_model(parent, recipe)
    tokenizer = parent.loaded.tokenizer
    return model, kto.train(
        model, tokenizer, data.training, recipe, folder, data.held_out, reference=reference
    )


def _dpo(parent: OpenedParent, folder: Path) -> tuple[Any, dict[str, float]]:
    recipe = dpo.DPORecipe(learning_rate=1e-2, batch_size=8, epochs=1, min_steps=2)
    pairs = read_pairs(_pair_file(folder), parent.loaded.tokenizer)
    model, reference = dpo.load_model(parent, recipe)
    tokenizer = parent.loaded.tokenizer
    return model, dpo.train(model, tokenizer, pairs[:10], recipe, folder, pairs[10:], reference=reference)


def _reward(parent: OpenedParent, folder: Path) -> tuple[Any, dict[str, float]]:
    recipe = reward.RewardRecipe(learning_rate=1e-2, batch_size=8, epochs=1, min_steps=2)
    location = StageLocation(parent.versions.home)
    data = reward.load_data(parent, location, recipe)
    file = dataclasses.replace(recipe, pairs=_pair_file(folder))
    pairs = reward.load_data(parent, location, file)
    model = reward.load_model(parent, recipe)
    training, held_out = [*data.training, *pairs.training], [*data.held_out, *pairs.held_out]
    return model, reward.train(model, training, recipe, folder, held_out)


def _sft(parent: OpenedParent, folder: Path) -> tuple[Any, dict[str, float]]:
    recipe = sft.SFTRecipe(learning_rate=1e-2, batch_size=8, epochs=1, min_steps=2)
    pairs = read_pairs(_pair_file(folder), parent.loaded.tokenizer)
    rows = Dataset.from_list(
        [
            {
                "input_ids": [*pair.prompt_ids, *pair.chosen_ids],
                "labels": [*[-100] * len(pair.prompt_ids), *pair.chosen_ids],
            }
            for pair in pairs
        ]
    )
    model = sft.load_model(parent, recipe)
    training, held_out = rows.select(range(10)), rows.select(range(10, 16))
    return model, sft.train(model, parent.loaded.tokenizer, training, recipe, folder, held_out)


def _pair_file(folder: Path) -> Path:
    return write(folder / "pairs.jsonl", [row(n) for n in numbers(False, 16)])


@pytest.mark.parametrize("stage", [_kto, _dpo, _reward, _sft])
def test_an_update_does_not_depend_on_how_its_batch_is_split(
    stage: Callable[[OpenedParent, Path], tuple[Any, dict[str, float]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # In float32, so that what differs is the order of sums alone.
    for module in (kto, dpo, reward, sft, parent_version, processes):
        monkeypatch.setattr(module, "fast_bfloat16", lambda: False)
    results = []
    for tokens, checkpointing in ((1, True), (100_000, False)):
        plan = MemoryPlan(tokens, checkpointing, 0)
        for module in (kto, dpo, reward, sft):
            monkeypatch.setattr(module, "plan_for", lambda *_, plan=plan, **__: plan)
        home = tiny_home(tmp_path / str(tokens))
        rate_replies(home, [*apples(12), ("And?", "Once upon a time there were many apples in a tree.", 1)])
        parent = open_parent(StageLocation(home))
        model, metrics = stage(parent, home)
        trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        results.append((trained, metrics))
    (expected, expected_metrics), (trained, metrics) = results
    assert metrics["held_out_loss"] == pytest.approx(expected_metrics["held_out_loss"], rel=1e-4)
    for name, weight in expected.items():
        assert torch.allclose(trained[name], weight, atol=2e-4), name

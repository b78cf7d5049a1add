"""Batches: padding on either side, and packed rows that are learned as if each were alone."""

import json
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from helpers.tiny_home import tiny_home

from alignment.__main__ import main
from alignment.data.batches import PackCollator, pack_rows, pad_left, pad_right
from assistant.registry.versions import Versions
from assistant.serving.loading import load_for_training

ROWS = [([5, 6, 7, 8], 2), ([9, 10, 11], 1), ([12, 13], 1), ([14, 15, 16, 17, 18], 3)]
"""Token ids, and how many of them belong to the prompt."""


def test_rows_are_padded_on_either_side() -> None:
    ids, mask = pad_right([[5, 6], [7]], 0)
    assert (ids.tolist(), mask.tolist()) == ([[5, 6], [7, 0]], [[1, 1], [1, 0]])
    ids, mask = pad_left([[5, 6], [7]], 0)
    assert (ids.tolist(), mask.tolist()) == ([[5, 6], [0, 7]], [[1, 1], [0, 1]])


def test_rows_in_a_pack_have_the_loss_that_they_have_alone(home: Path) -> None:
    model = load_for_training(Versions(tiny_home(home)).open("v1"), home).model.eval()
    columns = {
        "input_ids": [ids for ids, _ in ROWS],
        "labels": [[-100] * prompt + ids[prompt:] for ids, prompt in ROWS],
    }
    packs = pack_rows(Dataset.from_dict(columns), 9)
    assert sorted(len(pack["input_ids"]) for pack in packs) == [5, 9]
    batch = PackCollator(pad=0)(list(packs))
    with torch.no_grad():
        together = model(**batch, use_cache=False).loss
        alone = [
            model(torch.tensor([ids]), labels=torch.tensor([labels]), use_cache=False).loss
            for ids, labels in zip(columns["input_ids"], columns["labels"], strict=True)
        ]
    supervised = [len(ids) - prompt for ids, prompt in ROWS]
    expected = sum(loss * count for loss, count in zip(alone, supervised, strict=True)) / sum(supervised)
    assert float(together) == pytest.approx(float(expected), abs=1e-5)


def test_a_packed_run_counts_rows_and_not_packs(home: Path, tmp_path: Path) -> None:
    rows = [
        {
            "messages": [{"role": "user", "content": f"What is {number} + 2?"}],
            "think": False,
            "thought": "",
            "answer": f"{number + 2}",
        }
        for number in range(20)
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    flags = ["--home", str(tiny_home(home)), "--demonstrations", str(file), "--batch_size=2", "--packing"]
    assert main(["sft", *flags]) == 0
    manifest = Versions(home).open("v2").manifest
    assert manifest.data["demonstrations"] + manifest.data["held_out"] == 20
    assert manifest.metrics["rows"] < 5

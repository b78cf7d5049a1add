"""Two processes joined by gloo learn what one does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from feedback import apples, rate_replies
from safetensors.torch import load_file
from test_dpo import numbers, row, write

import alignment
from assistant.first import version_to_serve
from assistant.versions import Versions

ROOT = Path(alignment.__file__).parent.parent


def settings(stage: str, folder: Path) -> list[str]:
    # Rows fill whole batches: what is left over is shared out in another way than one process does.
    if stage == "sft":
        rows = [
            {"messages": row(n)["messages"], "think": False, "thought": "", "answer": f"{n + 2} apples"}
            for n in numbers(False, 16)
        ]
        return ["--demonstrations", str(write(folder / "rows.jsonl", rows)), "--batch_size=8"]
    updates = ["--min_steps=3", "--epochs=1", "--batch_size=8", "--evaluations=1"]
    if stage == "kto":
        return updates
    return ["--pairs", str(write(folder / "pairs.jsonl", [row(n) for n in numbers(False, 16)])), *updates]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sft", "dpo", "kto", "reward"])
def test_two_processes_reach_the_weights_of_one(tmp_path: Path, stage: str) -> None:
    found = []
    given = settings(stage, tmp_path)
    for number in (1, 2):
        home = tmp_path / f"home{number}"
        version_to_serve(home, None)
        if stage == "kto":
            rate_replies(home, apples(18))  # two of which are held out
        command = [sys.executable, "-m", "alignment", stage, "--home", str(home), *given]
        if number == 2:
            launch = [sys.executable, "-m", "accelerate.commands.launch"]
            command = [*launch, "--config_file", "alignment/configs/cpu.yaml", *command[1:]]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        # One process of the two speaks.
        assert done.stdout.count("model: ") == 1
        assert done.stdout.splitlines()[-1] == "v2"
        folder = Versions(home).open("v2").folder
        history = json.loads((folder / "curves.json").read_text())
        found.append(
            ([e["loss"] for e in history if "loss" in e], load_file(folder / "adapter_model.safetensors"))
        )
    (losses, one), (others, two) = found
    assert losses == pytest.approx(others, rel=0.02, abs=0.01)
    parent = load_file(Versions(tmp_path / "home1").open("v1").folder / "adapter_model.safetensors")
    moved = torch.cat([(one[name] - parent[name].float()).flatten() for name in parent])
    also = torch.cat([(two[name] - parent[name].float()).flatten() for name in parent])
    # Sums in another order: Adam's first steps make tiny gradients' signs count, so the whole way is compared.
    assert float(torch.cosine_similarity(moved, also, dim=0)) > 0.98

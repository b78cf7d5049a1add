"""Two processes, connected by gloo, learn what a single process does."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate import DeepSpeedPlugin, FullyShardedDataParallelPlugin
from accelerate.commands.config.config_args import load_config_from_file
from helpers import warm_process
from helpers.feedback import apples, rate_replies
from helpers.pair_rows import numbers, row, write
from helpers.paths import ROOT
from helpers.running_app import free_port
from helpers.tiny_ppo import quick, tiny_model
from peft import get_peft_model_state_dict
from safetensors.torch import load_file

from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions

REACHES_TESTS = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}


def settings(stage: str, folder: Path) -> list[str]:
    # Rows fill whole batches, because two processes divide an incomplete one in another way.
    if stage == "sft":
        rows = [
            {"messages": row(n)["messages"], "think": False, "thought": "", "answer": f"{n + 2} apples"}
            for n in numbers(False, 16)
        ]
        return ["--demonstrations", str(write(folder / "rows.jsonl", rows)), "--batch_size=8"]
    updates = ["--min_steps=3", "--epochs=1", "--batch_size=8", "--evaluations=1"]
    if stage == "kto":
        return updates
    if stage == "ppo":
        return quick(folder, "--batch_size", "8", "--reward_functions", "helpers.tiny_ppo:evens")[3:]
    return ["--pairs", str(write(folder / "pairs.jsonl", [row(n) for n in numbers(False, 16)])), *updates]


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["sft", "dpo", "kto", "reward", "ppo"])
def test_two_processes_reach_the_weights_of_a_single_one(tmp_path: Path, stage: str) -> None:
    results = []
    curve = "score" if stage == "ppo" else "loss"
    flags = settings(stage, tmp_path)
    for number in (1, 2):
        home = tmp_path / f"home{number}"
        version_to_serve(home, "starter")
        if stage == "kto":
            rate_replies(home, apples(17))  # a single one is held out
        command = [sys.executable, "-m", "alignment", stage, "--home", str(home), *flags]
        if number == 2:
            launch = [sys.executable, "-m", "accelerate.commands.launch"]
            command = [*launch, "--config_file", "alignment/configs/cpu.yaml", *command[1:]]
        done = subprocess.run(
            command, cwd=ROOT, env=REACHES_TESTS, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        # Only one of the two processes prints.
        assert done.stdout.count("model: ") == 1
        assert ("processes: 2" in done.stdout) == (number == 2)
        assert done.stdout.splitlines()[-1] == "v2"
        folder = Versions(home).open("v2").folder
        history = json.loads((folder / "curves.json").read_text())
        results.append(
            ([e[curve] for e in history if curve in e], load_file(folder / "adapter_model.safetensors"))
        )
    (losses, single), (losses_of_two, double) = results
    assert losses == pytest.approx(losses_of_two, rel=0.02, abs=0.01)
    parent = load_file(Versions(tmp_path / "home1").open("v1").folder / "adapter_model.safetensors")
    moved = torch.cat([(single[name] - parent[name].float()).flatten() for name in parent])
    moved_by_two = torch.cat([(double[name] - parent[name].float()).flatten() for name in parent])
    # Sums are added in another order, and Adam's first steps follow even the signs of tiny gradients. So the whole
    # distance is compared, not each weight.
    assert float(torch.cosine_similarity(moved, moved_by_two, dim=0)) > 0.98


def test_weights_that_fsdp_divides_are_saved_whole(tmp_path: Path) -> None:
    command = [sys.executable, "tests/helpers/fsdp_on_cpu.py", str(tmp_path)]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    log = tmp_path / "output.log"
    with log.open("w") as output:
        processes = [
            warm_process.start(
                command,
                ROOT,
                REACHES_TESTS | group | {"RANK": rank, "LOCAL_RANK": rank},
                output,
                subprocess.STDOUT,
            )
            for rank in "01"
        ]
        assert [process.wait() for process in processes] == [0, 0], log.read_text()
    torch.manual_seed(0)
    expected = get_peft_model_state_dict(tiny_model())
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert saved.keys() == expected.keys()
    assert all(torch.equal(saved[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("cpu", "MULTI_GPU"), ("ddp", "MULTI_GPU"), ("fsdp", "FSDP"), ("deepspeed", "DEEPSPEED")],
)
def test_accelerate_reads_the_configurations(name: str, kind: str) -> None:
    # It refuses unknown keys.
    config = load_config_from_file(str(ROOT / "alignment" / "configs" / f"{name}.yaml"))
    assert (config.distributed_type, config.num_processes, config.use_cpu) == (kind, 2, name == "cpu")
    if name == "fsdp":
        names = {field.name for field in dataclasses.fields(FullyShardedDataParallelPlugin)}
        assert {key.removeprefix("fsdp_") for key in config.fsdp_config} <= names | {
            "version",
            "offload_params",
        }
    if name == "deepspeed":
        names = {field.name for field in dataclasses.fields(DeepSpeedPlugin)}
        assert set(config.deepspeed_config) <= names

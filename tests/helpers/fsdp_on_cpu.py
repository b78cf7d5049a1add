"""Divides a tiny model with an adapter between two processes by FSDP, and saves the whole adapter.

Started by `tests/alignment/training/test_processes.py`. accelerate uses FSDP on GPUs only, so torch divides the
model here.
"""

import sys
from pathlib import Path

import torch
from helpers.tiny_ppo import tiny_model
from torch.distributed import get_rank, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from alignment.training.output_version import save_adapter
from alignment.training.processes import exit_together, whole_state_dict
from assistant.bases.base import Base


def divide_and_save(folder: Path) -> None:
    """A function, so that no object of the process group is left when it returns."""
    torch.manual_seed(0)
    model = tiny_model()
    fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
    assert all(isinstance(weight, DTensor) for weight in model.parameters())
    state = whole_state_dict(model)
    assert state is not None
    if get_rank() == 0:
        save_adapter(model, Base("tiny", ""), folder, state)


init_process_group("gloo")
divide_and_save(Path(sys.argv[1]))
exit_together()

"""Shares a tiny adapter's model out by FSDP between two processes, and saves it whole again.

Started by `tests/test_processes.py`. accelerate turns FSDP on for GPUs alone, so the sharding is asked of torch itself.
"""

import sys
from pathlib import Path

import torch
from ppo_parts import tiny_model
from torch.distributed import destroy_process_group, init_process_group
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from alignment.weights import gathered, save_adapter
from assistant.versions import Base

init_process_group("gloo")
torch.manual_seed(0)
model = tiny_model()
fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
assert all(isinstance(weight, DTensor) for weight in model.parameters())
state = gathered(model)
assert state is not None
if torch.distributed.get_rank() == 0:
    save_adapter(model, Base("tiny", ""), Path(sys.argv[1]), state)
destroy_process_group()

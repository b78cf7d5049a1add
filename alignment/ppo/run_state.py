"""The state of an unfinished PPO run between two updates, as one safetensors file."""

import json
import os
from pathlib import Path

import torch
from accelerate import PartialState
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from alignment.ppo.trainer import PPO

STATE = "state.safetensors"


def save(ppo: PPO, folder: Path) -> None:
    """Write the state atomically: after a kill the file is the previous one or this one. One process writes."""
    if not PartialState().is_main_process:
        return
    tensors = {f"policy/{name}": weight.detach() for name, weight in ppo.policy.items()}
    tensors |= {f"value/{name}": weight for name, weight in ppo.shared.value_head.state_dict().items()}
    tensors |= {f"best/{name}": weight for name, weight in ppo.best.items()}
    for number, moments in ppo.optimizer.state_dict()["state"].items():
        tensors |= {f"adam/{number}/{name}": moment for name, moment in moments.items()}
    scalars = {
        "done": ppo.done,
        "kl_coef": ppo.coefficient.value,
        "history": ppo.history,
        "before": ppo.before,
        "scales": [[source.shift, source.scale] for source in ppo.all_sources()],
    }
    temporary = folder / f".{STATE}"
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(tensors, temporary, metadata={"told": json.dumps(scalars)})
    os.replace(temporary, folder / STATE)


def load(ppo: PPO, folder: Path) -> bool:
    """Continue from the state in `folder`; False if there is none."""
    if not (folder / STATE).exists():
        return False
    with safe_open(folder / STATE, framework="pt", device=str(ppo.device)) as file:
        scalars = json.loads(file.metadata()["told"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    with torch.no_grad():
        for name, weight in ppo.policy.items():
            weight.copy_(tensors[f"policy/{name}"])
    ppo.shared.value_head.load_state_dict(_with_prefix("value/", tensors))
    ppo.best = _with_prefix("best/", tensors)
    moments: dict[int, dict[str, Tensor]] = {}
    for key, moment in _with_prefix("adam/", tensors).items():
        number, name = key.split("/")
        # Adam counts its steps on the CPU.
        moments.setdefault(int(number), {})[name] = moment.cpu() if name == "step" else moment
    ppo.optimizer.load_state_dict({**ppo.optimizer.state_dict(), "state": moments})
    ppo.done, ppo.history, ppo.before = scalars["done"], scalars["history"], scalars["before"]
    ppo.coefficient.value = scalars["kl_coef"]
    for source, (shift, scale) in zip(ppo.all_sources(), scalars["scales"], strict=True):
        source.shift, source.scale = shift, scale
    return True


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}

"""What a run of PPO carries from one update to the next, as one safetensors file."""

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
    """Write the state as one file, atomically: a kill leaves the one before or this one. One process writes."""
    if not PartialState().is_main_process:
        return
    tensors = {f"policy/{name}": weight.detach() for name, weight in ppo.policy.items()}
    tensors |= {f"value/{name}": weight for name, weight in ppo.shared.value_head.state_dict().items()}
    tensors |= {f"best/{name}": weight for name, weight in ppo.best.items()}
    for number, moments in ppo.optimizer.state_dict()["state"].items():
        tensors |= {f"adam/{number}/{name}": moment for name, moment in moments.items()}
    told = {
        "done": ppo.done,
        "kl_coef": ppo.coefficient.value,
        "history": ppo.history,
        "before": ppo.before,
        "scales": [[source.shift, source.scale] for source in ppo.all_sources()],
    }
    aside = folder / f".{STATE}"
    save_file(
        {name: one.contiguous() for name, one in tensors.items()}, aside, metadata={"told": json.dumps(told)}
    )
    os.replace(aside, folder / STATE)


def load(ppo: PPO, folder: Path) -> bool:
    """Go on from the state in `folder`, if there is one."""
    if not (folder / STATE).exists():
        return False
    with safe_open(folder / STATE, framework="pt", device=str(ppo.device)) as file:
        told = json.loads(file.metadata()["told"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    with torch.no_grad():
        for name, weight in ppo.policy.items():
            weight.copy_(tensors[f"policy/{name}"])
    ppo.shared.value_head.load_state_dict(_under("value/", tensors))
    ppo.best = _under("best/", tensors)
    moments: dict[int, dict[str, Tensor]] = {}
    for key, moment in _under("adam/", tensors).items():
        number, name = key.split("/")
        # Adam counts its steps on the CPU.
        moments.setdefault(int(number), {})[name] = moment.cpu() if name == "step" else moment
    ppo.optimizer.load_state_dict({**ppo.optimizer.state_dict(), "state": moments})
    ppo.done, ppo.history, ppo.before = told["done"], told["history"], told["before"]
    ppo.coefficient.value = told["kl_coef"]
    for source, (shift, scale) in zip(ppo.all_sources(), told["scales"], strict=True):
        source.shift, source.scale = shift, scale
    return True


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}

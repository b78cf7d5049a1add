"""Processes and devices that train. Work is divided among processes so that their number changes no result.

`accelerate launch` starts the processes. Every one holds the same weights and sees the whole batch; each computes its
share of the rows, and all sums are the same everywhere. In a single process these functions change nothing.
"""

import math
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor, distribute_tensor

from alignment.training.torch_compat import cpu_multiplies_bfloat16

Item = TypeVar("Item")
StateDict = dict[str, Tensor]


def on_cpu() -> bool:
    """Whether training runs on the CPU."""
    return not torch.cuda.is_available()


def fast_bfloat16() -> bool:
    """Whether the device that trains multiplies bfloat16 in hardware.

    A CPU that cannot (one with AVX2 alone) does so number by number, many times slower than in float32.
    """
    if on_cpu():
        return cpu_multiplies_bfloat16()
    return torch.cuda.is_bf16_supported(including_emulation=False)


def autocast(device: torch.device) -> torch.autocast:
    """The precision of training: products are in bfloat16 where `device` multiplies it in hardware."""
    return torch.autocast(device.type, torch.bfloat16, enabled=fast_bfloat16())


def say(*lines: str) -> None:
    """Print `lines`, in one process of several."""
    if PartialState().is_main_process:
        for line in lines:
            print(line, flush=True)


def is_single_process() -> bool:
    """Whether this is the only process: then the reference reads each row once, before training, not once an epoch.

    Several processes would exchange what it computed by a file beside the rows, and TRL has none for rows from memory.
    """
    return bool(PartialState().num_processes == 1)


def rows_per_process(batch_size: int) -> int:
    """Rows of a batch that each process takes. Recipes give the number of rows that one update sees in all."""
    return max(1, math.ceil(batch_size / PartialState().num_processes))


def own_share(items: Sequence[Item]) -> list[Item]:
    """The items that this process computes: every n-th, beginning at its own number."""
    state = PartialState()
    return list(items[state.process_index :: state.num_processes])


def gather_shares(own: Sequence[Item]) -> list[Item]:
    """The results of all processes for their shares, in the order of the whole."""
    processes = PartialState().num_processes
    if processes == 1:
        return list(own)
    shares: list[Any] = [None] * processes
    distributed.all_gather_object(shares, list(own))
    longest = max(map(len, shares))
    return [share[index] for index in range(longest) for share in shares if index < len(share)]


def from_main_process(make: Callable[[], Item]) -> Item:
    """What `make` returns in the main process, in every process; it is called there alone."""
    state = PartialState()
    made: list[Any] = [make() if state.is_main_process else None]
    if state.num_processes > 1:
        distributed.broadcast_object_list(made)
    result: Item = made[0]
    return result


def sum_over_processes(tensors: Iterable[Tensor]) -> None:
    """Sum each tensor over all processes, in place. They are sent as one message, because each message costs time."""
    if PartialState().num_processes == 1:
        return
    tensors = list(tensors)
    flat = torch.cat([tensor.detach().float().flatten() for tensor in tensors])
    distributed.all_reduce(flat)
    with torch.no_grad():
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.view_as(tensor))


def whole_tensor(tensor: Tensor) -> Tensor:
    """The tensor itself, or, if FSDP has divided it among processes, the whole of it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def set_whole(tensor: Tensor, values: Tensor) -> None:
    """Fill a tensor, or each process's part of it if FSDP has divided it, with `values`, which are whole."""
    if isinstance(tensor, DTensor):
        values = distribute_tensor(values, tensor.device_mesh, tensor.placements)
    tensor.copy_(values)


def whole_state_dict(model: Any) -> StateDict | None:
    """All weights, whole and on the CPU, if FSDP has divided them among processes; None if it has not.

    Every process must call this, since each holds a part.
    """
    state = model.state_dict()
    if not any(isinstance(weight, DTensor) for weight in state.values()):
        return None
    return {name: whole_tensor(weight).cpu() for name, weight in state.items()}


def exit_together() -> None:
    """Wait for the other processes and end this one, its work done and saved. A single process goes on.

    The process exits at once, without destroying the process group: now and then gloo's threads abort a process that
    destroys the group or ends as usual, and the launcher then reports the whole run as failed.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)

"""Work shared among processes that `accelerate launch` started, in such a way that their number changes no result.

Every process holds the same weights and the whole batch; each does its rows, and the sums are the same everywhere.
In one process all of this does nothing.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from torch import Tensor, distributed

Item = TypeVar("Item")


def share(items: Sequence[Item]) -> list[Item]:
    """Those that this process does: every n-th, from its own number on."""
    everyone = PartialState()
    return list(items[everyone.process_index :: everyone.num_processes])


def together(own: Sequence[Item]) -> list[Item]:
    """What all processes made of their shares, in the order of the whole."""
    everyone = PartialState()
    if everyone.num_processes == 1:
        return list(own)
    parts: list[Any] = [None] * everyone.num_processes
    distributed.all_gather_object(parts, list(own))
    found: list[Item] = []
    for place in range(max(map(len, parts))):
        found.extend(part[place] for part in parts if place < len(part))
    return found


def end_together() -> None:
    """Wait for the others and end this process, its work done and saved; where there is one process, nothing.

    It ends at once, without tearing the group down: now and then gloo's threads abort a process that does, or that ends
    as usual, and the launcher calls the whole run a failure.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def add_up(tensors: Iterable[Tensor]) -> None:
    """Sum each tensor over all processes, in place: as one message, because each has its price."""
    if PartialState().num_processes == 1:
        return
    of_all = list(tensors)
    flat = torch.cat([one.detach().float().flatten() for one in of_all])
    distributed.all_reduce(flat)
    with torch.no_grad():
        for one, summed in zip(of_all, flat.split([one.numel() for one in of_all]), strict=True):
            one.copy_(summed.view_as(one))

"""What two versions in service have in common is in memory once."""

from typing import Any

import torch


def share_weights(model: Any, other: Any) -> int:
    """Let `model` use `other`'s memory for every weight that is the same in both; how many bytes that saves.

    With an adapter merged, that is what the adapter leaves alone (embeddings, norms); with the adapter beside a
    quantized base, it is the whole base. Neither model may be trained after this.
    """
    theirs, saved = _weights(other), 0
    for name, weight in _weights(model).items():
        same = theirs.get(name)
        if same is None or _kind(same) != _kind(weight) or same.data_ptr() == weight.data_ptr():
            continue
        if torch.equal(same, weight):
            weight.data = same.data
            if getattr(weight, "CB", None) is not None:
                # In 8 bits bitsandbytes holds the same bytes a second time, under this name.
                weight.CB = weight.data  # type: ignore[attr-defined]
            saved += weight.nbytes
    return saved


def _weights(model: Any) -> dict[str, torch.Tensor]:
    # PEFT moves a weight that has an adapter beside it.
    return {name.replace(".base_layer.", "."): weight for name, weight in model.named_parameters()}


def _kind(weight: torch.Tensor) -> tuple[torch.Size, torch.dtype, torch.device]:
    return weight.shape, weight.dtype, weight.device

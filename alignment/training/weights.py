"""A trained model's weights: kept precise while a trainer is made, gathered where processes share them, saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from assistant.registry.versions import Base

State = dict[str, torch.Tensor]


@contextmanager
def in_float32(model: Any) -> Iterator[None]:
    """Keep TRL from rounding the adapter on a quantized base to bfloat16 while its trainer is made.

    bfloat16 has eight bits: a step of less than a 500th of a weight is lost, and most steps here are smaller. The
    parent would be rounded too, so that the child does not begin where it stopped.
    """
    adapter = {name: weight.data for name, weight in model.named_parameters() if weight.requires_grad}
    yield
    for name, weight in model.named_parameters():
        if name in adapter and weight.dtype != adapter[name].dtype:
            weight.data = adapter[name]


def gathered(model: Any) -> State | None:
    """All weights whole and on the CPU where FSDP has shared them out among processes; None where it has not.

    Every process must call it, since each holds a part.
    """
    state = model.state_dict()
    if not any(isinstance(one, DTensor) for one in state.values()):
        return None
    return {name: whole(one).cpu() for name, one in state.items()}


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor itself, or the whole of which this process holds a part."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def save_adapter(model: Any, base: Base, folder: Path, state: State | None = None) -> None:
    """Write the "default" adapter as a plain PEFT folder that names its base, not a path of this machine.

    `state`: all weights as `gathered` gives them, where that is not None.
    """
    model.peft_config["default"].base_model_name_or_path = base.name
    # Embeddings are never trained here; "auto" would look for the base's configuration on the Hub to find that out.
    model.save_pretrained(
        str(folder), state_dict=state, selected_adapters=["default"], save_embedding_layers=False
    )
    # PEFT adds a model-card template with nothing filled in; our manifest is the card.
    (folder / "README.md").unlink(missing_ok=True)


def save_base(model: Any, tokenizer: Any, folder: Path, state: State | None = None) -> None:
    """Write all weights in float32, with the tokenizer, as a plain model folder. `state`: see `save_adapter`."""
    if state is None:
        model.to(torch.float32).save_pretrained(str(folder))
    else:
        model.save_pretrained(str(folder), state_dict={name: one.float() for name, one in state.items()})
    tokenizer.save_pretrained(str(folder))

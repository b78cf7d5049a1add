"""Everything that uses internals of PEFT: where it puts weights, and what it asks for when it saves.

`tests/assistant/serving/test_peft_compat.py` fails with the installed version if one of them goes away.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from assistant.errors import VersionError
from assistant.registry.versions import Version
from assistant.serving.adapter_check import adapter_settings, check_adapter

MERGE_ON_ONE_CORE = 50_000_000
"""Parameters below which one core merges an adapter sooner than several."""


def apply_adapter(model: Any, version: Version, trainable: bool) -> Any:
    """The base with the version's adapter beside it; `model` itself is changed.

    Raises VersionError, naming the tensor, if the adapter does not fit the base or holds values that are not finite.
    """
    from peft import PeftConfig, get_peft_model

    adapter_settings(version)
    try:
        config = PeftConfig.from_pretrained(str(version.folder))
        config.inference_mode = not trainable
        # It becomes the folder or id that the base was loaded from; that it differs is no cause for a warning.
        config.base_model_name_or_path = None
        with_adapter = get_peft_model(model, config)
        check_adapter(version, tensor_shapes(with_adapter))
        with_adapter.load_adapter(str(version.folder), "default", is_trainable=trainable)
    except (RuntimeError, ValueError, TypeError, KeyError, OSError) as error:
        raise VersionError(
            f"The adapter of {version.id} does not fit the base {version.manifest.base.name}: {error}. "
            "Release a version made on this base."
        ) from error
    return with_adapter


def tensor_shapes(with_adapter: Any, adapter: str = "default") -> dict[str, tuple[int, ...]]:
    """Name and shape of each tensor that the file of this adapter holds."""
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(with_adapter, adapter_name=adapter, save_embedding_layers=False)
    return {name: tuple(weight.shape) for name, weight in state.items()}


def merge_adapter(with_adapter: Any) -> Any:
    """The base with the adapter's changes added to its weights."""
    cores = torch.get_num_threads()
    if with_adapter.num_parameters() < MERGE_ON_ONE_CORE:
        # Beside a running batch, cores that wait for each other at every small product take many times as long.
        torch.set_num_threads(1)
    try:
        return with_adapter.merge_and_unload()
    finally:
        torch.set_num_threads(cores)


@contextmanager
def temporarily_merged(model: Any, adapter: str) -> Iterator[None]:
    """Within this context, a LoRA adapter of a PEFT model is added to the base's weights: a token costs no more then.

    Afterwards the base's weights are those from before, not computed back: adding and subtracting a thousand times
    would move them. An adapter that cannot be added exactly (on quantized or rounded weights, DoRA, another kind than
    LoRA) is left beside them.
    """
    from peft.tuners.lora import LoraLayer

    layers = [
        module for module in model.modules() if isinstance(module, LoraLayer) and adapter in module.lora_A
    ]
    mergeable = all(
        type(layer.get_base_layer()) is torch.nn.Linear
        and layer.get_base_layer().weight.dtype == torch.float32
        and not layer.use_dora.get(adapter, False)
        for layer in layers
    )
    if not mergeable or not layers:
        yield
        return
    originals = [layer.get_base_layer().weight.data for layer in layers]
    try:
        with torch.no_grad():
            for layer, weight in zip(layers, originals, strict=True):
                layer.get_base_layer().weight.data = weight + layer.get_delta_weight(adapter).to(weight.dtype)
        with model.disable_adapter():
            yield
    finally:
        for layer, weight in zip(layers, originals, strict=True):
            layer.get_base_layer().weight.data = weight


def name_base(model: Any, name: str | None = None, adapter: str = "default") -> None:
    """Record the base's name in the adapter's configuration; by default the folder or id that it was loaded from.

    PEFT asks for the base's configuration under this name at each checkpoint; "starter" would be asked of the Hub.
    """
    model.peft_config[adapter].base_model_name_or_path = name or model.config.name_or_path


def weights_by_name(model: Any) -> dict[str, torch.Tensor]:
    """Parameters by the names that they have in the base alone: PEFT renames a weight that has an adapter beside it."""
    return {name.replace(".base_layer.", "."): weight for name, weight in model.named_parameters()}


def quiet_peft() -> None:
    """Turn off a warning: PEFT 0.21 reads an attribute that transformers 5.23 renamed."""
    warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)

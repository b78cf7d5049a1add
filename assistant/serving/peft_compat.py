"""Everything that uses internals of PEFT: where it puts weights, and what it asks for when it saves.

`tests/assistant/serving/test_peft_compat.py` fails with the installed version if one of them goes away.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from assistant.errors import VersionError
from assistant.registry.versions import Version

MERGE_ON_ONE_CORE = 50_000_000
"""Parameters below which one core merges an adapter sooner than several."""


def apply_adapter(model: Any, version: Version, trainable: bool) -> Any:
    """The base with the version's adapter beside it. Raises VersionError if the adapter does not fit the base."""
    from peft import PeftModel

    _check_shapes(model, version)
    try:
        return PeftModel.from_pretrained(model, str(version.folder), is_trainable=trainable)
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise VersionError(
            f"The adapter of {version.id} does not fit the base {version.manifest.base.name}: {error}. "
            "Release a version made on this base."
        ) from error


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
    would move them. An adapter that cannot be added exactly (on quantized weights, DoRA, another kind than LoRA) is
    left beside them.
    """
    from peft.tuners.lora import LoraLayer

    layers = [
        module for module in model.modules() if isinstance(module, LoraLayer) and adapter in module.lora_A
    ]
    mergeable = all(
        type(layer.get_base_layer()) is torch.nn.Linear and not layer.use_dora.get(adapter, False)
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


def _check_shapes(model: Any, version: Version) -> None:
    """Raises VersionError unless every weight of the adapter has the shape of the layer that it changes."""
    from safetensors import safe_open

    try:
        config = json.loads((version.folder / "adapter_config.json").read_text(encoding="utf-8"))
        rank_patterns = bool(config.get("rank_pattern"))
        with safe_open(version.folder / "adapter_model.safetensors", framework="pt") as weights:
            shapes = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except (OSError, ValueError) as error:
        raise VersionError(
            f"The adapter of {version.id} cannot be read: {error}. Release another."
        ) from error
    layers = dict(model.named_modules())
    for name, shape in shapes.items():
        path, _, part = name.removeprefix("base_model.model.").partition(".lora_")
        if part not in ("A.weight", "B.weight"):
            continue
        layer = layers.get(path)
        inputs, outputs = getattr(layer, "in_features", None), getattr(layer, "out_features", None)
        expected, axis = (inputs, 1) if part == "A.weight" else (outputs, 0)
        rank_fits = rank_patterns or shape[1 - axis] == config.get("r")
        if layer is None or (expected is not None and shape[axis] != expected) or not rank_fits:
            raise VersionError(
                f"The adapter of {version.id} does not fit the base {version.manifest.base.name}: "
                f"it was made for another model (its {path} is {shape}). Release a version made on this base."
            )

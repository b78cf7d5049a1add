"""A version whose weights differ, for tests that must distinguish versions or refuse damaged ones."""

from __future__ import annotations

from collections.abc import Callable

import torch
from safetensors.torch import load_file, save_file

from assistant.registry.versions import Manifest, Version, Versions, now

Weights = dict[str, torch.Tensor]


def changed(version: Version, versions: Versions, factor: float, stage: str = "sft") -> Version:
    """A child of `version`, its adapter's effect multiplied by `factor`."""

    def scale(weights: Weights) -> Weights:
        return {name: weight * (factor if "lora_B" in name else 1) for name, weight in weights.items()}

    return with_weights(version, versions, scale, stage)


def with_weights(
    version: Version, versions: Versions, change: Callable[[Weights], Weights], stage: str = "sft"
) -> Version:
    """A child of `version` whose adapter holds what `change` makes of the parent's tensors."""
    manifest = version.manifest
    child = Manifest(versions.next_id(), manifest.base, version.id, stage, now())
    with versions.staging() as folder:
        for name in manifest.files:
            (folder / name).write_bytes((version.folder / name).read_bytes())
        weights = change(load_file(folder / "adapter_model.safetensors"))
        save_file(weights, folder / "adapter_model.safetensors")
        return versions.add(child, folder)


def renamed(weights: Weights) -> Weights:
    """Every tensor under a name that PEFT does not know: it would leave them all out."""
    return {name.replace("base_model.model.", "model."): weight for name, weight in weights.items()}


def lacking(weights: Weights) -> Weights:
    """All but the first tensor."""
    return {name: weights[name] for name in sorted(weights)[1:]}


def reshaped(weights: Weights) -> Weights:
    """The first tensor with a row too many."""
    first = min(weights)
    return {**weights, first: torch.cat([weights[first], weights[first][:1]])}


def not_a_number(weights: Weights) -> Weights:
    """NaN as the last value of the last tensor."""
    last = max(weights)
    weights[last].view(-1)[-1] = float("nan")
    return weights


def infinite(weights: Weights) -> Weights:
    """An infinite value in the last tensor, all of them in bfloat16."""
    weights[max(weights)].view(-1)[0] = float("-inf")
    return {name: weight.to(torch.bfloat16) for name, weight in weights.items()}


def in_integers(weights: Weights) -> Weights:
    """Integers instead of weights."""
    return {name: weight.to(torch.int32) for name, weight in weights.items()}


FIRST_TENSOR = "base_model.model.model.layers.0.mlp.down_proj.lora_A.weight"
"""What `min` finds in the adapters of the tests, whose layers are the usual ones."""

DAMAGES: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "renamed": (renamed, r"does not fit the base .*: it holds model\.model\.\S+ and \d+ others, which"),
    "lacking": (lacking, rf"does not fit the base .*: it lacks {FIRST_TENSOR}\. Release"),
    "reshaped": (reshaped, rf"does not fit the base .*: its {FIRST_TENSOR} is \d+×\d+, and the base needs"),
    "not a number": (not_a_number, r"is damaged: \S+v_proj\.lora_B\.weight holds NaN or infinite values"),
    "infinite": (infinite, r"is damaged: \S+v_proj\.lora_B\.weight holds NaN or infinite values"),
    "in integers": (in_integers, r"cannot be read\. .* as I32\. Only BF16, F16 and F32 are read"),
}
"""What may be wrong with an adapter whose file is the one that its manifest names, and how it is refused."""

"""The weights of a version as one model: those of its base, with its adapter added."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from alignment.errors import ExportError
from assistant.bases.safetensors_file import read_tensors
from assistant.errors import VersionError
from assistant.registry.versions import Version
from assistant.serving.adapter_check import plain_lora_settings, read_adapter

NumberType = Literal["f32", "f16", "bf16"]
"""How a weight is written: float32, float16, or bfloat16."""


def merged_weights(version: Version, base_folder: Path) -> Iterator[tuple[str, Any]]:
    """Name and float32 values of each weight, one in memory at a time; names are those of the base's files.

    A layer's weight becomes W + (alpha / rank) · B · A (Hu et al. 2021, eq. 3). Raises ExportError if the adapter
    changes more than products with weights of the base.
    """
    changes = _adapter_matrices(version) if version.manifest.adapter else {}
    factor, transposed = _scale(version) if changes else (0.0, False)
    for path in sorted(base_folder.glob("*.safetensors")):
        for tensor in read_tensors(path):
            values = tensor.as_float32()
            matrices = changes.pop(tensor.name.removesuffix(".weight"), None)
            if matrices is not None:
                change = factor * (matrices["lora_B"] @ matrices["lora_A"])
                values = values + (change.T if transposed else change)
            if not np.isfinite(values).all():
                raise ExportError(
                    f"{tensor.name} of {version.id} holds NaN or infinite values. Restore the base, or export another "
                    "version."
                )
            yield tensor.name, values
    if changes:
        raise ExportError(
            f"The adapter of {version.id} changes {min(changes)}, which is no weight of the base's files, so that it "
            "cannot be merged. Give --format peft."
        )


def number_type_of(base_folder: Path) -> NumberType:
    """The number type of the first matrix in a model folder."""
    types: dict[str, NumberType] = {"F32": "f32", "F16": "f16", "BF16": "bf16"}
    for path in sorted(base_folder.glob("*.safetensors")):
        for tensor in read_tensors(path):
            if tensor.values.ndim > 1:
                return types[tensor.dtype]
    return "f32"


def in_type(name: str, values: Any, kind: NumberType) -> Any:
    """Float32 values as `kind`, rounded to the nearest; bfloat16 as uint16. `name` is for the error.

    Raises ExportError if a value is too large for float16.
    """
    if kind == "f32":
        return values
    if kind == "bf16":
        bits = np.ascontiguousarray(values).view(np.uint32)
        # To nearest, ties to even: half of the last bit that stays, and that bit, are added before the rest is cut.
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float16)
    if not np.isfinite(rounded).all():
        raise ExportError(
            f"{name} has values beyond {np.finfo(np.float16).max:g}, the largest of float16. Give --dtype bf16 or f32."
        )
    return rounded


def _adapter_matrices(version: Version) -> dict[str, dict[str, Any]]:
    """By layer, the two matrices "lora_A" [rank, inputs] and "lora_B" [outputs, rank] in float32."""
    matrices: dict[str, dict[str, Any]] = {}
    for tensor in read_adapter(version):
        layer, _, side = tensor.name.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        matrices.setdefault(layer, {})[side] = tensor.as_float32()
    return matrices


def _scale(version: Version) -> tuple[float, bool]:
    """What B · A is multiplied by, and whether the base keeps its weights transposed."""
    try:
        settings: Mapping[str, Any] = plain_lora_settings(version)
    except VersionError as error:
        reason = str(error).split(". ")[0]
        raise ExportError(f"{reason}: it cannot be merged. Give --format peft.") from error
    # Rank-stabilised LoRA (Kalajdzievski 2023) divides by the root of the rank.
    rank = settings["r"] ** 0.5 if settings.get("use_rslora") else settings["r"]
    return settings["lora_alpha"] / rank, bool(settings.get("fan_in_fan_out"))

"""The check of an adapter's file, the same for every engine and for training: what it must hold, and that it does.

Every expected tensor is there and no other, each has its shape, and every value is a finite number. NumPy alone reads
the file, so that an engine without torch refuses an adapter in the same words. What is expected comes from the base:
PEFT knows it for a model in memory (`peft_compat.apply_adapter`), `lora_shapes` for a base of which only the
configuration is read.
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from assistant.bases.model_folder import LINEAR, linear_layers
from assistant.bases.safetensors_file import Tensor, read_tensors
from assistant.errors import ModelError, VersionError
from assistant.registry.versions import Version

Shape = tuple[int | None, ...]
"""A tensor's shape; None is any length."""

_KEY = re.compile(r"base_model\.model\.(.+)\.lora_[AB]\.weight")
# What changes more than the products of linear layers, or not by one factor for all of them.
_BEYOND_PLAIN = (
    *("use_dora", "use_qalora", "use_bdlora", "kasa_config", "velora_config", "monteclora_config", "arrow_config"),
    *("alora_invocation_tokens", "lora_bias", "rank_pattern", "alpha_pattern", "modules_to_save"),
    *("trainable_token_indices", "target_parameters", "layer_replication"),
)  # fmt: skip


def check_adapter(version: Version, expected: Mapping[str, Shape]) -> None:
    """Raises VersionError, naming the tensor, unless the version's file holds exactly `expected`, in finite numbers.

    `expected`: the shape of each tensor by its name in the file.
    """
    tensors = {tensor.name: tensor for tensor in read_adapter(version)}
    if not expected:
        raise _misfit(version, "it changes none of its layers")
    _refuse_names(version, "it holds {}, which the base does not have", tensors.keys() - expected.keys())
    _refuse_names(version, "it lacks {}", expected.keys() - tensors.keys())
    for name, shape in expected.items():
        actual = tensors[name].values.shape
        if len(actual) != len(shape) or any(
            length not in (None, other) for length, other in zip(shape, actual, strict=True)
        ):
            wanted = "×".join("any" if length is None else str(length) for length in shape)
            raise _misfit(version, f"its {name} is {'×'.join(map(str, actual))}, and the base needs {wanted}")
        if not tensors[name].is_finite():
            raise VersionError(
                f"The adapter of {version.id} is damaged: {name} holds NaN or infinite values. "
                "Train it again, or release another version."
            )


def check_plain_adapter(version: Version, base_config: Mapping[str, Any]) -> None:
    """`check_adapter` where only the base's configuration is known, for a server that applies plain LoRA.

    `base_config`: of the base. Layers whose size it does not tell must at least be targets of the adapter, with both
    of their matrices. Raises VersionError.
    """
    settings = plain_lora_settings(version)
    known = linear_layers(base_config)
    layers: dict[str, tuple[int | None, int | None]] = {**known}
    for tensor in read_adapter(version):
        key = _KEY.fullmatch(tensor.name)
        if key and not (known and key[1].endswith(LINEAR)) and _is_target(key[1], settings):
            layers.setdefault(key[1], (None, None))
    check_adapter(version, lora_shapes(settings, layers))


def read_adapter(version: Version) -> list[Tensor]:
    """The tensors of a version's adapter. Raises VersionError if its file cannot be read."""
    try:
        return list(read_tensors(version.folder / "adapter_model.safetensors"))
    except ModelError as error:
        raise VersionError(f"The adapter of {version.id} cannot be read. {error}") from error


def adapter_settings(version: Version) -> dict[str, Any]:
    """The version's `adapter_config.json`. Raises VersionError if it cannot be read, or scales by no finite number."""
    try:
        settings: dict[str, Any] = json.loads(
            (version.folder / "adapter_config.json").read_text(encoding="utf-8")
        )
        if not math.isfinite(settings.get("lora_alpha", 1)):
            raise ValueError(f"lora_alpha is {settings['lora_alpha']}")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise VersionError(
            f"The adapter of {version.id} cannot be read: its adapter_config.json is damaged ({error}). "
            "Restore it, or release another version."
        ) from error
    return settings


def plain_lora_settings(version: Version) -> dict[str, Any]:
    """`adapter_settings` of plain LoRA: `r`, `lora_alpha`, `target_modules`.

    Raises VersionError, naming the setting, if it is another kind of adapter.
    """
    settings = adapter_settings(version)
    beyond = [name for name in _BEYOND_PLAIN if settings.get(name)]
    if settings.get("peft_type") != "LORA":
        beyond.insert(0, f"peft_type {settings.get('peft_type')}")
    if settings.get("bias", "none") != "none":
        beyond.append("bias")
    if beyond:
        raise VersionError(
            f"The adapter of {version.id} is more than plain LoRA: it uses {', '.join(beyond)}. "
            "Give --engine transformers, or release another version."
        )
    rank = settings.get("r")
    if not isinstance(rank, int) or rank < 1 or not settings.get("target_modules"):
        raise VersionError(
            f"The adapter of {version.id} cannot be read: its adapter_config.json names no rank or no target_modules. "
            "Restore it, or release another version."
        )
    return settings


def lora_shapes(
    settings: Mapping[str, Any], layers: Mapping[str, tuple[int | None, int | None]]
) -> dict[str, Shape]:
    """The tensors of a plain LoRA adapter with these `settings`, by their names in its file.

    `layers`: (outputs, inputs) of each linear layer of the base.
    """
    rank: int = settings["r"]
    shapes: dict[str, Shape] = {}
    for layer, (outputs, inputs) in layers.items():
        if _is_target(layer, settings):
            shapes[f"base_model.model.{layer}.lora_A.weight"] = (rank, inputs)
            shapes[f"base_model.model.{layer}.lora_B.weight"] = (outputs, rank)
    return shapes


def _is_target(layer: str, settings: Mapping[str, Any]) -> bool:
    """Whether a plain LoRA adapter changes this layer of its base, by PEFT's rules."""
    number = re.search(r"\.(\d+)\.", layer)
    only = settings.get("layers_to_transform")
    if only is not None and (
        number is None or int(number[1]) not in ([only] if isinstance(only, int) else only)
    ):
        return False
    excluded = settings.get("exclude_modules")
    return _matches(layer, settings["target_modules"]) and not (excluded and _matches(layer, excluded))


def _matches(layer: str, pattern: str | list[str]) -> bool:
    if pattern == "all-linear":
        return True
    if isinstance(pattern, str):
        return re.fullmatch(pattern, layer) is not None
    return any(layer == name or layer.endswith(f".{name}") for name in pattern)


def _refuse_names(version: Version, what: str, names: Collection[str]) -> None:
    if names:
        others = f" and {len(names) - 1} others" if len(names) > 1 else ""
        raise _misfit(version, what.format(f"{min(names)}{others}"))


def _misfit(version: Version, what: str) -> VersionError:
    return VersionError(
        f"The adapter of {version.id} does not fit the base {version.manifest.base.name}: {what}. "
        "Release a version made on this base."
    )

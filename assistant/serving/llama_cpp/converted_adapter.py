"""Adapters as GGUF files, which llama.cpp reads."""

import hashlib
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

from assistant.bases.gguf_layout import architecture_of, rotated, tensor_names
from assistant.bases.model_folder import LINEAR, linear_layers, read_config
from assistant.errors import VersionError
from assistant.registry.versions import Version
from assistant.serving.adapter_check import check_adapter, lora_shapes, plain_lora_settings, read_adapter
from assistant.serving.llama_cpp.converted_file import FORMAT, finish, made_once
from feedback_store.hashing import sha256_file


def adapter_file(version: Version, base_folder: Path, cache: Path) -> Path:
    """A version's adapter as a GGUF file in `cache`, converted if it is not there yet.

    Raises VersionError, naming the tensor, if the adapter does not pass `check_adapter`, or is more than plain LoRA on
    linear layers.
    """
    adapter, settings = (version.folder / f"adapter_{name}" for name in ("model.safetensors", "config.json"))
    try:
        parts = [sha256_file(path) for path in (adapter, settings, base_folder / "config.json")]
    except OSError as error:
        raise VersionError(
            f"The adapter of {version.id} cannot be read ({error}). Restore it, or release another version."
        ) from error
    path = cache / f"adapter-{FORMAT}-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:32]}.gguf"
    return made_once(path, lambda new: write_adapter(version, base_folder, new))


def write_adapter(version: Version, base_folder: Path, path: Path) -> None:
    """Write a version's adapter to the GGUF file `path`, in float32. Raises VersionError as `adapter_file` does."""
    config = read_config(base_folder)
    settings = plain_lora_settings(version)
    targets = settings["target_modules"]
    others = [name for name in targets if not name.endswith(LINEAR)] if isinstance(targets, list) else []
    if others:
        raise VersionError(
            f"The adapter of {version.id} changes {', '.join(others)}, and llama.cpp's engine applies adapters to "
            f"{', '.join(LINEAR)} alone. Give --engine transformers."
        )
    check_adapter(version, lora_shapes(settings, linear_layers(config)))
    writer = GGUFWriter(str(path), architecture_of(config))
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    # llama.cpp multiplies by alpha / rank; rank-stabilised LoRA (Kalajdzievski, 2023) by alpha / √rank.
    factor = settings["r"] ** 0.5 if settings.get("use_rslora") else 1
    writer.add_float32("adapter.lora.alpha", settings["lora_alpha"] * factor)
    names = tensor_names(config)
    for tensor in read_adapter(version):
        layer, _, side = tensor.name.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        values = tensor.as_float32()
        if side == "lora_B":
            values = rotated(f"{layer}.weight", values, config)
        writer.add_tensor(f"{names[f'{layer}.weight']}.{side.lower()}", np.ascontiguousarray(values))
    finish(writer)

"""A version becomes a model and a tokenizer: the base, its LoRA adapter, a device and a dtype."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from assistant.errors import ModelError, VersionError
from assistant.registry.versions import STARTER, STARTER_FOLDER, Base, Version, folder_hash
from assistant.serving.quantization import Bits, keep_trainable, quantization

SMALL = 50_000_000
"""Parameters below which one core merges an adapter sooner than several."""


@dataclass(frozen=True)
class Loaded:
    """A model ready to serve or to train on."""

    model: Any
    """`transformers` causal LM, or a `PeftModel` around one."""
    tokenizer: Any
    window: int
    """Longest sequence in tokens, prompt and completion together."""


@dataclass(frozen=True)
class Placement:
    """Where a model runs and in how many bits. "auto" takes the fastest device, and the type that suits it."""

    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    dtype: Literal["auto", "bf16", "fp16", "fp32"] = "auto"
    quantize: Bits | None = None


def quiet_libraries() -> None:
    """Turn off notices and bars of the libraries that tell a person who serves or trains nothing."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    logging.getLogger("ContinuousBatchingLogger").setLevel(logging.ERROR)
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # PEFT 0.21 asks a name that transformers 5.23 renamed.
    warnings.filterwarnings("ignore", ".is_gradient_checkpointing. is deprecated", FutureWarning)


def best_device() -> str:
    """ "cuda", "mps" or "cpu": the fastest that is there."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def device_of(placement: Placement) -> str:
    """The device that is meant. Raises ModelError if this machine does not have it."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(placement.device, True):
        raise ModelError(f"This machine has no {placement.device}. Leave --device out, or give --device cpu.")
    return best_device() if placement.device == "auto" else placement.device


def dtype_for(device: str, dtype: str = "auto") -> Any:
    """The `torch.dtype` that is meant: by itself half as many bits on an accelerator as on a CPU.

    float32 on a CPU, because many have no fast bfloat16; bfloat16 on a GPU that can, which overflows least.
    """
    import torch

    if dtype == "auto":
        cuda = "bf16" if device == "cuda" and torch.cuda.is_bf16_supported() else "fp16"
        dtype = {"cuda": cuda, "mps": "fp16", "cpu": "fp32"}[device]
    return {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[dtype]


def load_for_serving(version: Version, home: Path, placement: Placement | None = None) -> Loaded:
    """The version where `placement` says, adapter merged into the base: no slower than the base alone.

    A quantized base keeps its adapter beside it: merged, it would be rounded too. A version that was trained on a
    quantized base is served on it, whatever is asked: added to the whole base, its adapter gives other logits (on the
    starter in 4 bits they are off by a fifth of their own spread). Raises ModelError if the base cannot be loaded, or
    not in the bits asked for, VersionError if the adapter was made for another.
    """
    placement = placement or Placement()
    device = device_of(placement)
    dtype = dtype_for(device, placement.dtype)
    base = quantized(version.manifest.base, placement.quantize)
    loaded = load_base(base, home, dtype, device=device)
    model = loaded.model
    if version.manifest.adapter:
        with_adapter = _with_adapter(model, version, trainable=False)
        model = with_adapter.get_base_model() if base.quantize else _merged(with_adapter)
    model.requires_grad_(False)
    # Quantized weights were put on their device as they were loaded.
    model = model if base.quantize else model.to(device)
    return Loaded(model.eval(), loaded.tokenizer, loaded.window)


def _merged(with_adapter: Any) -> Any:
    """The base with the adapter's changes added to its weights."""
    import torch

    cores = torch.get_num_threads()
    if with_adapter.num_parameters() < SMALL:
        # Beside a running batch, cores that wait for each other at every small product take many times as long.
        torch.set_num_threads(1)
    try:
        return with_adapter.merge_and_unload()
    finally:
        torch.set_num_threads(cores)


def quantized(base: Base, bits: Bits | None) -> Base:
    """The base in `bits`; one that has been rounded already stays as it is.

    Raises ModelError where it has been rounded in another way.
    """
    if bits and base.quantize not in (None, bits):
        raise ModelError(
            f"This version was trained on {base.name} in {base.quantize}, and its adapter is right on no other "
            f"rounding. Give --quantize {base.quantize} instead of {bits}, or leave it out."
        )
    return replace(base, quantize=bits) if bits else base


def load_for_training(version: Version, home: Path, base: Base | None = None, device: str = "cpu") -> Loaded:
    """The version in float32 on the CPU, its adapter (where it has one) trainable, the base frozen.

    `base`: in place of its own, as `quantized` gives it. Quantized weights lie on `device`; what they are multiplied
    with is float32 on a CPU and bfloat16 on a GPU.
    """
    import torch

    loaded = load_base(base or version.manifest.base, home, dtype=torch.float32, device=device)
    model = keep_trainable(loaded.model).requires_grad_(False)
    if version.manifest.adapter:
        model = _with_adapter(model, version, trainable=True)
        # PEFT asks here for the base's configuration at each checkpoint; "starter" would be asked of the Hub.
        model.peft_config["default"].base_model_name_or_path = loaded.model.config._name_or_path
    return Loaded(model, loaded.tokenizer, loaded.window)


def base_folder(name: str, home: Path) -> Path | None:
    """Where a base lies on this machine; None for a Hub id."""
    if name == STARTER:
        return STARTER_FOLDER / "base"
    return next((folder for folder in (home / name, Path(name).expanduser()) if folder.is_dir()), None)


def identify_base(name: str, home: Path) -> Base:
    """The base with its revision: a hash of local weights, or the Hub's commit.

    Raises ModelError if it cannot be found.
    """
    folder = base_folder(name, home)
    if folder is not None:
        revision = folder_hash(folder)
        if not revision:
            raise ModelError(
                f"The folder {folder} holds no .safetensors weights. Only safetensors models are loaded."
            )
        kept = name if name == STARTER or (home / name).is_dir() else str(folder.resolve())
        return Base(kept, revision)
    from transformers import AutoConfig

    with _explained(name):
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    return Base(name, getattr(config, "_commit_hash", None) or "")


def load_base(
    base: Base,
    home: Path,
    dtype: Any,
    device: str = "cpu",
) -> Loaded:
    """Base model and tokenizer; a quantized one on `device`, any other on the CPU.

    Raises ModelError if it cannot be loaded or is not the one recorded.
    """
    from transformers import AutoModelForCausalLM

    source, revision = source_of(base, home)
    squeezed = squeeze(base, dtype, device)
    with _explained(base.name):
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype, use_safetensors=True, trust_remote_code=False, **revision, **squeezed
        )
    return Loaded(model, load_tokenizer(base, home), window_of(model.config, base.name))


def squeeze(base: Base, dtype: Any, device: str, skip: list[str] | None = None) -> dict[str, Any]:
    """What `from_pretrained` takes to quantize as `base` says; nothing for a whole one. See `quantization`."""
    if not base.quantize:
        return {}
    import torch

    if dtype is torch.float32 and device.startswith("cuda"):
        dtype = dtype_for("cuda")
    return {
        "quantization_config": quantization(cast(Bits, base.quantize), dtype, skip),
        "device_map": {"": device},
    }


def load_tokenizer(base: Base, home: Path) -> Any:
    """The base's tokenizer, with a pad token if the model has any token for it. Raises ModelError."""
    from transformers import AutoTokenizer

    source, revision = source_of(base, home)
    with _explained(base.name):
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **revision)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def window_of(config: Any, name: str) -> int:
    """The longest sequence that the configuration allows. Raises ModelError if it does not say."""
    window = getattr(config.get_text_config(), "max_position_embeddings", None)
    if not window:
        raise ModelError(
            f"The configuration of {name!r} has no max_position_embeddings. Choose another model."
        )
    return int(window)


def source_of(base: Base, home: Path) -> tuple[str, dict[str, str]]:
    """What `from_pretrained` takes: a folder or Hub id, and the revision as a keyword.

    Raises ModelError if the folder is not the one that was recorded.
    """
    folder = base_folder(base.name, home)
    if folder is not None and base.revision and folder_hash(folder) != base.revision:
        raise ModelError(
            f"The base {base.name} in {folder} is not the one this version was made on: its weights differ. "
            "Restore them, or start a new home with --home."
        )
    source = str(folder) if folder is not None else base.name
    return source, {"revision": base.revision} if folder is None and base.revision else {}


def _with_adapter(model: Any, version: Version, trainable: bool) -> Any:
    from peft import PeftModel

    _check_fit(model, version)
    try:
        return PeftModel.from_pretrained(model, str(version.folder), is_trainable=trainable)
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise VersionError(
            f"The adapter of {version.id} does not fit the base {version.manifest.base.name}: {error}. "
            "Release a version made on this base."
        ) from error


def _check_fit(model: Any, version: Version) -> None:
    """Raises VersionError unless every weight of the adapter has the shape of the layer that it changes."""
    from safetensors import safe_open

    try:
        said = json.loads((version.folder / "adapter_config.json").read_text(encoding="utf-8"))
        rank_patterns = bool(said.get("rank_pattern"))
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
        wanted, axis = (inputs, 1) if part == "A.weight" else (outputs, 0)
        rank_fits = rank_patterns or shape[1 - axis] == said.get("r")
        if layer is None or (wanted is not None and shape[axis] != wanted) or not rank_fits:
            raise VersionError(
                f"The adapter of {version.id} does not fit the base {version.manifest.base.name}: "
                f"it was made for another model (its {path} is {shape}). Release a version made on this base."
            )


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"The model {name!r} cannot be loaded: {str(error).splitlines()[0]}. "
            "Give --model a folder with safetensors weights, or a Hub id that this machine can reach."
        ) from error

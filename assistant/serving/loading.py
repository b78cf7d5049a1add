"""A version becomes a model and a tokenizer: the base, its LoRA adapter, a device and a number type."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from assistant.bases.base import Base, Bits
from assistant.bases.base_source import checked_source, explain_loading, fetched_folder
from assistant.errors import ModelError
from assistant.registry.versions import Version
from assistant.serving.bitsandbytes_compat import keep_trainable, quantization, quiet_bitsandbytes
from assistant.serving.tokenizing.chat_template import check_template
from assistant.usable_cores import usable_cores


@dataclass(frozen=True)
class Loaded:
    """A model ready to serve or to train."""

    model: Any
    """A `transformers` causal language model, or a `PeftModel` around one."""
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
    """Turn off notices and progress bars of the model libraries that do not help a person who serves or trains."""
    from transformers.utils import logging as transformers_logging

    from assistant.serving.peft_compat import quiet_peft
    from assistant.serving.transformers_compat import quiet_batch_loop

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    quiet_batch_loop()
    quiet_bitsandbytes()
    quiet_peft()


def bound_threads() -> None:
    """Let PyTorch compute with no more threads than this process may use cores.

    In a container with a quota it starts as many as the machine has cores, and they wait for each other.
    """
    import torch

    if (cores := usable_cores()) < torch.get_num_threads():
        torch.set_num_threads(cores)


def best_device() -> str:
    """The fastest device of this machine: "cuda", "mps" or "cpu"."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def device_of(placement: Placement) -> str:
    """The device of a placement. Raises ModelError if this machine does not have it."""
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(placement.device, True):
        raise ModelError(f"This machine has no {placement.device}. Leave --device out, or give --device cpu.")
    return best_device() if placement.device == "auto" else placement.device


def dtype_for(device: str, dtype: str = "auto") -> Any:
    """The `torch.dtype` of a name; "auto" is 16 bits on an accelerator and 32 on a CPU.

    float32 on a CPU, because many have no fast bfloat16; bfloat16 on a GPU that supports it, because it overflows
    least.
    """
    import torch

    if dtype == "auto":
        cuda = "bf16" if device == "cuda" and torch.cuda.is_bf16_supported() else "fp16"
        dtype = {"cuda": cuda, "mps": "fp16", "cpu": "fp32"}[device]
    return {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[dtype]


def load_for_serving(version: Version, home: Path, placement: Placement | None = None) -> Loaded:
    """The version as `placement` says, its adapter merged into the base: no slower than the base alone.

    A quantized base keeps its adapter beside it: merged, it would be rounded too. A version that was trained on a
    quantized base is served on it, whatever is asked: added to the unquantized base, its adapter gives other logits
    (on the starter in 4 bits they are off by a fifth of their own spread). Raises ModelError if the base cannot be
    loaded, or not in these bits, VersionError if the adapter was made for another base.
    """
    from assistant.serving.peft_compat import apply_adapter, merge_adapter

    placement = placement or Placement()
    device = device_of(placement)
    dtype = dtype_for(device, placement.dtype)
    base = quantized(version.manifest.base, placement.quantize)
    loaded = load_base(base, home, dtype, device=device)
    model = loaded.model
    if version.manifest.adapter:
        with_adapter = apply_adapter(model, version, trainable=False)
        model = with_adapter.get_base_model() if base.quantize else merge_adapter(with_adapter)
    model.requires_grad_(False)
    # Quantized weights were put on their device as they were loaded.
    model = model if base.quantize else model.to(device)
    return Loaded(model.eval(), loaded.tokenizer, loaded.window)


def load_for_training(version: Version, home: Path, base: Base | None = None, device: str = "cpu") -> Loaded:
    """The version in float32 on the CPU, its adapter (if it has one) trainable, the base frozen.

    `base` replaces the version's own, as `quantized` gives it. Quantized weights lie on `device`; they are multiplied
    in float32 on a CPU and in bfloat16 on a GPU.
    """
    import torch

    from assistant.serving.peft_compat import apply_adapter, name_base

    loaded = load_base(base or version.manifest.base, home, dtype=torch.float32, device=device)
    model = keep_trainable(loaded.model).requires_grad_(False)
    if version.manifest.adapter:
        model = apply_adapter(model, version, trainable=True)
        name_base(model)
    return Loaded(model, loaded.tokenizer, loaded.window)


def quantized(base: Base, bits: Bits | None) -> Base:
    """The base in `bits`; None leaves it as it is. Raises ModelError if it is rounded in another way already."""
    if bits and base.quantize not in (None, bits):
        raise ModelError(
            f"This version was trained on {base.name} in {base.quantize}, and its adapter is right on no other "
            f"rounding. Give --quantize {base.quantize} instead of {bits}, or leave it out."
        )
    return replace(base, quantize=bits) if bits else base


def load_base(base: Base, home: Path, dtype: Any, device: str = "cpu") -> Loaded:
    """Base model and tokenizer; a quantized one on `device`, any other on the CPU.

    Raises ModelError if it cannot be loaded or is not the one recorded.
    """
    from transformers import AutoModelForCausalLM

    source, revision = checked_source(base, home)
    quantization_options = quantization_for(base, dtype, device)
    with explain_loading(base.name):
        model = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            **revision,
            **quantization_options,
        )
    tokenizer = load_tokenizer(base, home)
    check_template(tokenizer)
    return Loaded(model, tokenizer, window_of(model.config, base.name))


def quantization_for(base: Base, dtype: Any, device: str, skip: list[str] | None = None) -> dict[str, Any]:
    """Arguments of `from_pretrained` that quantize as `base` says; none if it is not quantized. See `quantization`."""
    if not base.quantize:
        return {}
    import torch

    if dtype is torch.float32 and device.startswith("cuda"):
        dtype = dtype_for("cuda")
    return {
        "quantization_config": quantization(base.quantize, dtype, skip),
        "device_map": {"": device},
    }


def load_tokenizer(base: Base, home: Path) -> Any:
    """The base's tokenizer; if it has no pad token, END pads. Raises ModelError if it cannot be loaded."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    folder = fetched_folder(base, home, weights=False)
    # `tokenizer.json` holds for everybody who serves or trains. AutoTokenizer would read it too, but put rules of its
    # own in the place of the file's for some families: of GPT-2's, how a text is split before it is tokenized.
    kind = PreTrainedTokenizerFast if (folder / "tokenizer.json").exists() else AutoTokenizer
    with explain_loading(base.name):
        tokenizer = kind.from_pretrained(folder, trust_remote_code=False)
    if isinstance(tokenizer.chat_template, dict):
        tokenizer.chat_template = tokenizer.chat_template.get("default")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def window_of(config: Any, name: str) -> int:
    """The longest sequence, in tokens, that a configuration allows. Raises ModelError if it does not say."""
    window = getattr(config.get_text_config(), "max_position_embeddings", None)
    if not window:
        raise ModelError(
            f"The configuration of {name!r} has no max_position_embeddings. Choose another model."
        )
    return int(window)


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Ids of every token that ends a reply: a model may have several (Llama 3, Gemma 3), or none."""
    configured = model.generation_config.eos_token_id
    ends = configured if isinstance(configured, list) else [configured]
    return sorted({end for end in [*ends, tokenizer.eos_token_id] if end is not None})

"""Bases and adapters as GGUF files, which llama.cpp reads: a cache in the home that may be deleted at any time.

The vocabulary of a converted base holds each token's number instead of its text: "17," for token 17. Prompts go in and
completions come out as token ids, so that the text is of no use here, and llama.cpp's own stream of texts then names
every token exactly, also those that are only part of a character. Such a file is of no use to other programs;
`python -m alignment export` writes files that are.
"""

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import (
    MODEL_ARCH,
    MODEL_ARCH_NAMES,
    GGMLQuantizationType,
    GGUFWriter,
    TokenType,
    get_tensor_name_map,
)

from assistant.bases.base import folder_hash
from assistant.bases.base_source import read_config
from assistant.bases.safetensors_file import Tensor, read_tensors
from assistant.errors import ModelError, VersionError
from assistant.registry.versions import Version
from assistant.serving.adapter_check import (
    LINEAR,
    check_adapter,
    head_sizes,
    linear_layers,
    lora_shapes,
    plain_lora_settings,
    read_adapter,
)
from feedback_store.hashing import sha256_file

FORMAT = 1
"""Raised when converted files change, so that files of an earlier release are not read."""
ARCHITECTURES = {
    "LlamaForCausalLM": MODEL_ARCH.LLAMA,
    "MistralForCausalLM": MODEL_ARCH.LLAMA,
    "Qwen2ForCausalLM": MODEL_ARCH.QWEN2,
    "Qwen3ForCausalLM": MODEL_ARCH.QWEN3,
}
"""Names of transformers' model classes, and llama.cpp's architecture for each."""
_converting = threading.Lock()


def why_not_converted(folder: Path) -> str | None:
    """Why the base in `folder` cannot be converted, in words that end a sentence; None if it can."""
    config = read_config(folder)
    name = (config.get("architectures") or ["?"])[0]
    if name not in ARCHITECTURES:
        return f"{name} is not among the architectures that are converted here"
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        return f"its rotary positions are scaled ({kind})"
    if config.get("use_sliding_window") or (config.get("attention_bias") and name == "LlamaForCausalLM"):
        return "its attention has a sliding window or a bias"
    if config.get("quantization_config"):
        return "its weights are quantized"
    if not list(folder.glob("*.safetensors")):
        return "its weights are not in safetensors"
    return None


@dataclass(frozen=True)
class Size:
    """How large a base is."""

    window: int
    """Longest sequence in tokens."""
    parameters: int
    cache_bytes_a_token: int
    """Bytes of one token's keys and values, in float16."""


def size_of(folder: Path) -> Size:
    """How large the base in `folder` is. Raises ModelError."""
    config = read_config(folder)
    _, key_value_heads, head = head_sizes(config)
    tensors = [tensor for file in folder.glob("*.safetensors") for tensor in read_tensors(file)]
    return Size(
        config["max_position_embeddings"],
        sum(tensor.values.size for tensor in tensors),
        config["num_hidden_layers"] * 2 * key_value_heads * head * 2,
    )


def base_file(folder: Path, revision: str, ends: list[int], cache: Path) -> Path:
    """The base of a model folder as a GGUF file in `cache`, converted if it is not there yet.

    The weights keep their number type: what is served equals what is trained. `revision`: of the weights, as the
    version records it; if it is empty they are hashed. `ends`: the tokens that end a reply. Raises ModelError if the
    base cannot be converted or written.
    """
    parts = [revision or folder_hash(folder), sha256_file(folder / "config.json"), str(ends[:1])]
    name = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:32]
    path = cache / f"base-{FORMAT}-{name}.gguf"
    return _made_once(path, lambda new: _write_base(folder, sorted(folder.glob("*.safetensors")), ends, new))


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
    return _made_once(path, lambda new: _write_adapter(version, base_folder, new))


def _made_once(path: Path, write: Any) -> Path:
    with _converting:
        if not path.exists():
            new = path.with_suffix(f".{os.getpid()}.new")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                write(new)
                new.replace(path)
            except OSError as error:
                raise ModelError(
                    f"The converted model {path} cannot be written ({error.strerror}). "
                    "Make room on the disk, or correct the folder's permissions."
                ) from error
            finally:
                new.unlink(missing_ok=True)
    return path


def _write_base(folder: Path, weights: list[Path], ends: list[int], path: Path) -> None:
    config = read_config(folder)
    architecture = ARCHITECTURES[config["architectures"][0]]
    heads, key_value_heads, head = head_sizes(config)
    writer = GGUFWriter(str(path), MODEL_ARCH_NAMES[architecture])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    rope = config.get("rope_parameters") or {}
    writer.add_rope_freq_base(rope.get("rope_theta", config.get("rope_theta", 10_000.0)))
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    _write_vocabulary(writer, config["vocab_size"], ends)
    names = get_tensor_name_map(architecture, config["num_hidden_layers"])
    for file in weights:
        for tensor in read_tensors(file):
            if tensor.name == "lm_head.weight" and config.get("tie_word_embeddings"):
                continue
            name = names.get_name(tensor.name, (".weight", ".bias"))
            if name is None:
                raise ModelError(f"{file.name} holds {tensor.name}, which llama.cpp does not know.")
            if not tensor.is_finite():
                # llama.cpp would write any token as the reply, and report no error.
                raise ModelError(
                    f"{tensor.name} of {file} holds NaN or infinite values. Download or restore the base."
                )
            values = _rotated(tensor.name, tensor.values, architecture, heads, key_value_heads)
            if values.ndim == 1:
                # llama.cpp wants norms and biases in float32.
                writer.add_tensor(name, Tensor(tensor.name, tensor.dtype, values).as_float32())
            elif tensor.dtype == "BF16":
                writer.add_tensor(
                    name, np.ascontiguousarray(values).view(np.uint8), raw_dtype=GGMLQuantizationType.BF16
                )
            else:
                writer.add_tensor(name, np.ascontiguousarray(values))
    _finish(writer)


def _write_vocabulary(writer: GGUFWriter, size: int, ends: list[int]) -> None:
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([f"{token}," for token in range(size)])
    writer.add_token_types([TokenType.NORMAL] * size)
    writer.add_token_merges(["1 2"])  # there must be some, and nothing is ever split into tokens by them
    if ends:
        writer.add_eos_token_id(ends[0])


def _write_adapter(version: Version, base_folder: Path, path: Path) -> None:
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
    architecture = ARCHITECTURES[config["architectures"][0]]
    heads, key_value_heads, _ = head_sizes(config)
    writer = GGUFWriter(str(path), MODEL_ARCH_NAMES[architecture])
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    # llama.cpp multiplies by alpha / rank; rank-stabilised LoRA (Kalajdzievski, 2023) by alpha / √rank.
    factor = settings["r"] ** 0.5 if settings.get("use_rslora") else 1
    writer.add_float32("adapter.lora.alpha", settings["lora_alpha"] * factor)
    names = get_tensor_name_map(architecture, config["num_hidden_layers"])
    for tensor in read_adapter(version):
        layer, _, side = tensor.name.removeprefix("base_model.model.").removesuffix(".weight").rpartition(".")
        values = tensor.as_float32()
        if side == "lora_B":
            values = _rotated(f"{layer}.weight", values, architecture, heads, key_value_heads)
        name = names.get_name(f"{layer}.weight", (".weight",))
        writer.add_tensor(f"{name}.{side.lower()}", np.ascontiguousarray(values))
    _finish(writer)


def _finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _rotated(name: str, values: Any, architecture: Any, heads: int, key_value_heads: int) -> Any:
    """The rows of a query or key projection in the order in which llama.cpp's `llama` architecture rotates them.

    transformers rotates the first half of a head with the second, llama.cpp neighbours
    (https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py, `LlamaModel.permute`).
    """
    if architecture != MODEL_ARCH.LLAMA or not name.endswith(("q_proj.weight", "k_proj.weight")):
        return values
    count = heads if name.endswith("q_proj.weight") else key_value_heads
    rows = values.shape[0]
    return (
        values.reshape(count, 2, rows // count // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
    )

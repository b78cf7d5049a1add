"""Bases as GGUF files that llama.cpp serves.

Prompts go in and completions come out as token ids. llama.cpp streams texts, so that the vocabulary of a converted base
gives each token a text of its own (`token_texts`), also those that are only part of a character. Such a file is of no
use to other programs; `python -m alignment export` writes files that are.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, TokenType

from assistant.bases.base import FileBits, folder_hash
from assistant.bases.gguf_base import served_values
from assistant.bases.gguf_file import GgufFile
from assistant.bases.gguf_layout import (
    ARCHITECTURES,
    added_tensors,
    architecture_of,
    is_tied,
    norm_weights,
    rotated,
    tensor_names,
)
from assistant.bases.model_folder import head_sizes, read_config
from assistant.bases.rotary_scaling import rotary_settings
from assistant.bases.safetensors_file import Tensor, read_tensors
from assistant.errors import ModelError
from assistant.serving.llama_cpp.converted_file import FORMAT, begin_model, finish, made_once
from assistant.serving.llama_cpp.token_texts import stored, token_texts
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer
from feedback_store.hashing import sha256_file

SERVED_AS_FILE = 1_000_000_000
"""Parameters from which a GGUF file's weights are served in the file's own bits.

A smaller model is served in float16, the numbers that it is trained from, unless `--quantize file` asks for the file's
bits: rounded, llama.cpp multiplies with activations of 8 bits, which a small model bears badly (docs/serving.md).
"""
_ROUNDED = {"q8_0": GGMLQuantizationType.Q8_0, "q4_1": GGMLQuantizationType.Q4_1}

Entry = tuple[str, Any, Any]
"""GGUF's name of a tensor, its values or bytes, and the type of the bytes; None for plain float16 and float32."""


def why_not_converted(config: dict[str, Any]) -> str | None:
    """Why a base with this configuration cannot be converted, in words that end a sentence; None if it can."""
    name = (config.get("architectures") or ["?"])[0]
    if name not in ARCHITECTURES:
        return f"{name} is not among the architectures that are converted here"
    kind = rotary_settings(config)["rope_type"]
    if kind not in (("default", "llama3") if architecture_of(config) == "llama" else ("default",)):
        return f"its rotary positions are scaled ({kind})"
    if config.get("use_sliding_window") or (config.get("attention_bias") and name != "Qwen2ForCausalLM"):
        return "its attention has a sliding window or a bias"
    if not _has_usual_layers(config):
        return f"its layers are not those that llama.cpp expects of {architecture_of(config)}"
    if config.get("quantization_config"):
        return "its weights are quantized"
    return None


def _has_usual_layers(config: dict[str, Any]) -> bool:
    """Whether a SmolLM3 or Gemma 3 has the layers, of the kinds and in the order, that llama.cpp has built in."""
    numbers = range(1, config["num_hidden_layers"] + 1)
    if architecture_of(config) == "smollm3":
        rotated_layers = [int(number % 4 != 0) for number in numbers]
        return bool((config.get("no_rope_layers") or rotated_layers) == rotated_layers)
    if architecture_of(config) != "gemma3":
        return True
    kinds = ["sliding_attention" if number % 6 else "full_attention" for number in numbers]
    local = (config.get("rope_parameters") or {}).get("sliding_attention", {})
    return (
        (config.get("layer_types") or kinds) == kinds
        and config.get("sliding_window_pattern", 6) == 6
        and local.get("rope_theta", config.get("rope_local_base_freq", 10_000)) == 10_000
        and config.get("query_pre_attn_scalar", 256) == head_sizes(config)[2]
        and config.get("hidden_activation", "gelu_pytorch_tanh") == "gelu_pytorch_tanh"
        and not config.get("use_bidirectional_attention")
        and not config.get("final_logit_softcapping")
        and not config.get("attn_logit_softcapping")
    )


def base_file(
    folder: Path,
    file: Path | None,
    revision: str,
    tokenizer: Tokenizer,
    ends: list[int],
    cache: Path,
    quantize: FileBits | None = None,
) -> Path:
    """The base of a model folder, with its weights in the GGUF file `file` or in the folder, in `cache` for llama.cpp.

    Safetensors keep their number type, so that what is served equals what is trained; for a GGUF file see
    `SERVED_AS_FILE`. `quantize` rounds them. `revision`: of the weights, as the version records it; if it is empty
    they are hashed. `ends`: the tokens that end a reply. Raises ModelError if the base cannot be converted or written.
    """
    config = read_config(folder)
    parts = [revision or folder_hash(folder), sha256_file(folder / "config.json"), str(ends[:1])]
    name = hashlib.sha256(" ".join(parts).encode()).hexdigest()[:32]
    path = cache / f"base-{FORMAT}-{name}{f'-{quantize}' if quantize else ''}.gguf"

    def write(new: Path) -> None:
        entries = (
            _of_folder(folder, config, quantize) if file is None else _of_gguf(GgufFile.read(file), quantize)
        )
        _write_base(config, entries, token_texts(tokenizer, config["vocab_size"]), ends, new)

    return made_once(path, write)


def _write_base(
    config: dict[str, Any],
    entries: Iterator[Entry],
    texts: list[tuple[str, bool]],
    ends: list[int],
    path: Path,
) -> None:
    writer = begin_model(path, config)
    writer.add_tokenizer_model("gpt2")
    # Of the kinds of vocabularies one whose texts llama.cpp leaves as they are: others lose spaces before punctuation.
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([stored(text) for text, _ in texts])
    writer.add_token_types([TokenType.CONTROL if named else TokenType.NORMAL for _, named in texts])
    writer.add_token_merges(["1 2"])  # there must be some, and nothing is ever split into tokens by them
    if ends:
        writer.add_eos_token_id(ends[0])
    for name, values, kind in entries:
        writer.add_tensor(name, np.ascontiguousarray(values), raw_dtype=kind)
    finish(writer)


def _of_folder(folder: Path, config: dict[str, Any], quantize: FileBits | None) -> Iterator[Entry]:
    names = tensor_names(config)
    for file in sorted(folder.glob("*.safetensors")):
        for tensor in read_tensors(file):
            if tensor.name == "lm_head.weight" and is_tied(config):
                continue
            if tensor.name not in names:
                raise ModelError(f"{file.name} holds {tensor.name}, which llama.cpp does not know.")
            if not tensor.is_finite():
                # llama.cpp would write any token as the reply, and report no error.
                raise ModelError(
                    f"{tensor.name} of {file} holds NaN or infinite values. Download or restore the base."
                )
            values = rotated(tensor.name, tensor.values, config)
            if values.ndim == 1 or quantize in _ROUNDED:
                # llama.cpp wants norms and biases in float32.
                values = Tensor(tensor.name, tensor.dtype, values).as_float32()
                if values.ndim == 1:
                    values = norm_weights(tensor.name, values, config)
                yield _rounded(names[tensor.name], values, quantize)
            elif tensor.dtype == "BF16":
                yield (
                    names[tensor.name],
                    np.ascontiguousarray(values).view(np.uint8),
                    GGMLQuantizationType.BF16,
                )
            else:
                yield names[tensor.name], values, None
    for name, values in added_tensors(config).items():
        yield name, values, None


def _of_gguf(model: GgufFile, quantize: FileBits | None) -> Iterator[Entry]:
    parameters = sum(int(np.prod(tensor.shape)) for tensor in model.tensors.values())
    as_file = quantize == "file" or (quantize is None and parameters > SERVED_AS_FILE)
    for tensor in model.tensors.values():
        if as_file:
            yield tensor.name, tensor.raw, tensor.kind
        elif quantize in _ROUNDED:
            yield _rounded(tensor.name, served_values(tensor).astype(np.float32), quantize)
        else:
            yield tensor.name, served_values(tensor), None


def _rounded(name: str, values: Any, quantize: FileBits | None) -> Entry:
    """The entry of float32 values, [rows, width] ones rounded as `quantize` says."""
    if values.ndim == 1 or quantize not in _ROUNDED:
        return name, values, None
    from gguf import GGML_QUANT_SIZES
    from gguf.quants import quantize as round_values

    # Embeddings of small models suffer most from rounding: they are large, looked up, and often the output layer too.
    kind = GGMLQuantizationType.Q8_0 if name in ("token_embd.weight", "output.weight") else _ROUNDED[quantize]
    if values.shape[1] % GGML_QUANT_SIZES[kind][0]:
        return name, values.astype(np.float16), None
    return name, round_values(values, kind), kind

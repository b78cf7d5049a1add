"""A base in a GGUF file as the model folder that it is trained from: configuration, tokenizer, dequantised weights.

The folder is a cache in the home that may be deleted at any time. Its weights are those that are served, number for
number: float16 where the file's are rounded to fewer bits, else the file's own.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from assistant.bases.gguf_file import FileTensor, GgufFile
from assistant.bases.gguf_layout import base_norm_weights, config_of, tensor_names, unrotated
from assistant.bases.gguf_tokenizer import named_token_ids, write_tokenizer
from assistant.bases.model_folder import linear_layers, read_config
from assistant.bases.rotary_scaling import FACTORS
from assistant.bases.safetensors_file import write_tensors
from assistant.errors import ModelError

_FORMAT = 1
"""Raised when unpacked folders change, so that folders of an earlier release are not read."""
TURN_ENDS = ("<end_of_turn>", "<|im_end|>", "<|eot_id|>")
"""How models spell the token that ends a turn of a conversation."""
_EXACT = ("F32", "BF16", "F64")
"""Number types whose values float32 holds, and float16 does not."""


def unpacked_folder(file: Path, revision: str, home: Path, weights: bool = True) -> Path:
    """The model folder of the GGUF file `file`, whose SHA-256 is `revision`; made in the home if it is not there yet.

    Without `weights` there may be only the configuration and the tokenizer in it. Raises ModelError if the file cannot
    be read, holds a model of another kind than is read here, or the home's disk is full.
    """
    folder = home / "cache" / "bases" / f"{revision[:32]}-{_FORMAT}"
    try:
        if not (folder / "config.json").exists():
            _make_whole(folder, lambda new: _write_description(GgufFile.read(file), new))
        target = folder / "model.safetensors"
        if weights and not target.exists():
            _make_whole(target, lambda new: _write_weights(GgufFile.read(file), read_config(folder), new))
    except OSError as error:
        raise ModelError(
            f"The model {file.name} cannot be unpacked to {folder} ({error.strerror}). "
            "Make room on the disk, or correct the folder's permissions."
        ) from error
    return folder


def served_values(tensor: FileTensor) -> Any:
    """A tensor as it is served and trained: float32 or float16. Raises ModelError if a value is not finite."""
    values = tensor.dequantized()
    if tensor.kind.name not in _EXACT and len(tensor.shape) > 1:
        with np.errstate(over="ignore"):
            values = values.astype(np.float16)
    if not np.isfinite(values).all():
        raise ModelError(f"{tensor.name} holds NaN or infinite values. Download the model file again.")
    return values


def _make_whole(target: Path, write: Any) -> None:
    """Write a file or folder aside and rename it; of two processes that do so at once, the first wins."""
    new = target.with_name(f".{target.name}.{os.getpid()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        write(new)
        if not target.exists():
            new.rename(target)
    finally:
        if new.is_dir():
            shutil.rmtree(new, ignore_errors=True)
        else:
            new.unlink(missing_ok=True)


def _write_description(model: GgufFile, folder: Path) -> None:
    folder.mkdir()
    tokens = model.metadata.get("tokenizer.ggml.tokens") or []
    ids = named_token_ids(model.metadata)
    ends = [ids.get("eos_token"), model.metadata.get("tokenizer.ggml.eot_token_id")]
    # Files name one END, often that of a text and not that of a turn; llama.cpp knows the latter by its spelling too.
    ends += [number for number, token in enumerate(tokens) if token in TURN_ENDS]
    listed = list(dict.fromkeys(end for end in ends if end is not None))
    factors = model.tensors[FACTORS].dequantized() if FACTORS in model.tensors else None
    config = config_of(model.metadata, set(model.tensors), len(tokens), factors) | {
        "bos_token_id": ids.get("bos_token"),
        "eos_token_id": listed,
        "pad_token_id": ids.get("pad_token"),
    }
    _check_shapes(model, config)
    write_tokenizer(model.metadata, folder)
    (folder / "config.json").write_text(json.dumps(config, indent=1), "utf-8")
    generation = {"eos_token_id": listed, "pad_token_id": ids.get("pad_token")}
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=1), "utf-8")


def _check_shapes(model: GgufFile, config: dict[str, Any]) -> None:
    """Raises ModelError unless each matrix of the configured model is there, in its shape."""
    names = tensor_names(config)
    embeddings = {"model.embed_tokens.weight": (config["vocab_size"], config["hidden_size"])}
    for layer, shape in (
        {f"{name}.weight": shape for name, shape in linear_layers(config).items()} | embeddings
    ).items():
        tensor = model.tensors.get(names[layer])
        if tensor is None or tensor.shape != shape:
            actual = "is missing" if tensor is None else f"is {'×'.join(map(str, tensor.shape))}"
            raise ModelError(
                f"The model file {model.path} is damaged: {names[layer]} {actual}, and must be {shape[0]}×{shape[1]}. "
                "Download it again."
            )


def _write_weights(model: GgufFile, config: dict[str, Any], path: Path) -> None:
    def tensors() -> Iterator[tuple[str, Any]]:
        for name, other in tensor_names(config).items():
            if other in model.tensors:
                values = unrotated(name, served_values(model.tensors[other]), config)
                yield name, base_norm_weights(name, values, config)

    write_tensors(path, tensors())

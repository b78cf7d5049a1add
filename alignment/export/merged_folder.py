"""A version as a model folder that transformers, vLLM and other programs load: its adapter merged into the base."""

import json
import shutil
from pathlib import Path

from alignment.export.merged_weights import NumberType, in_type, merged_weights
from assistant.bases.model_folder import read_config
from assistant.bases.safetensors_file import write_tensors
from assistant.registry.versions import Version

_TYPES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}
_DESCRIPTION = ("*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")
_OF_WEIGHTS = ("config.json", "model.safetensors.index.json", "made.json")


def write_merged(version: Version, base_folder: Path, folder: Path, dtype: NumberType) -> None:
    """Write weights, configuration and tokenizer to `folder`, which is there.

    `base_folder`: of the version's base. Raises ExportError, OSError.
    """
    for pattern in _DESCRIPTION:
        for path in base_folder.glob(pattern):
            if path.name not in _OF_WEIGHTS:
                shutil.copy(path, folder)
    templates = base_folder / "additional_chat_templates"
    if templates.is_dir():
        shutil.copytree(templates, folder / templates.name)
    config = {name: value for name, value in read_config(base_folder).items() if name != "torch_dtype"}
    config["dtype"] = _TYPES[dtype]
    (folder / "config.json").write_text(json.dumps(config, ensure_ascii=False, indent=2) + "\n", "utf-8")
    write_tensors(
        folder / "model.safetensors",
        ((name, in_type(name, values, dtype)) for name, values in merged_weights(version, base_folder)),
    )

"""A version becomes a model and a tokenizer: the base, its LoRA adapter, a device and a dtype."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.errors import ModelError, VersionError
from assistant.versions import STARTER, STARTER_FOLDER, Base, Version, folder_hash


@dataclass(frozen=True)
class Loaded:
    """A model ready to serve or to train on."""

    model: Any
    """`transformers` causal LM, or a `PeftModel` around one."""
    tokenizer: Any
    window: int
    """Longest sequence in tokens, prompt and completion together."""


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


def load_for_serving(version: Version, home: Path) -> Loaded:
    """The version on the best device, adapter merged into the base: no slower than the base alone.

    Raises ModelError if the base cannot be loaded, VersionError if the adapter was made for another.
    """
    import torch

    device = best_device()
    dtype = {"cuda": torch.bfloat16, "mps": torch.float16, "cpu": torch.float32}[device]
    loaded = load_base(version.manifest.base, home, dtype=dtype)
    model = loaded.model
    if version.manifest.adapter:
        model = _with_adapter(model, version, trainable=False).merge_and_unload()
    model.requires_grad_(False)
    return Loaded(model.to(device).eval(), loaded.tokenizer, loaded.window)


def load_for_training(version: Version, home: Path) -> Loaded:
    """The version in float32 on the CPU, its adapter (where it has one) trainable, the base frozen."""
    import torch

    loaded = load_base(version.manifest.base, home, dtype=torch.float32)
    model = loaded.model.requires_grad_(False)
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


def load_base(base: Base, home: Path, dtype: Any) -> Loaded:
    """Base model and tokenizer. Raises ModelError if it cannot be loaded or is not the one recorded."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = base_folder(base.name, home)
    if folder is not None and base.revision and folder_hash(folder) != base.revision:
        raise ModelError(
            f"The base {base.name} in {folder} is not the one this version was made on: its weights differ. "
            "Restore them, or start a new home with --home."
        )
    source = str(folder) if folder is not None else base.name
    revision = {"revision": base.revision} if folder is None and base.revision else {}
    with _explained(base.name):
        model = AutoModelForCausalLM.from_pretrained(
            source, dtype=dtype, use_safetensors=True, trust_remote_code=False, **revision
        )
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False, **revision)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Loaded(model, tokenizer, int(model.config.get_text_config().max_position_embeddings))


def _with_adapter(model: Any, version: Version, trainable: bool) -> Any:
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, str(version.folder), is_trainable=trainable)
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise VersionError(
            f"The adapter of {version.id} does not fit the base {version.manifest.base.name}: {error}. "
            "Release a version made on this base."
        ) from error


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The model {name!r} cannot be loaded: {str(error).splitlines()[0]}. "
            "Give --model a folder with safetensors weights, or a Hub id that this machine can reach."
        ) from error

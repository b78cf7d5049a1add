"""The bases that versions are made on: where one lies, and the revision that tells it from another of its name."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from assistant.bases.base import STARTER, STARTER_FOLDER, Base, folder_hash
from assistant.errors import ModelError


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
        recorded = name if name == STARTER or (home / name).is_dir() else str(folder.resolve())
        return Base(recorded, revision)
    from huggingface_hub import hf_hub_download

    with explain_loading(name):
        # In the Hub's cache the file lies in `snapshots/COMMIT`.
        return Base(name, Path(hf_hub_download(name, "config.json")).parent.name)


def checked_source(base: Base, home: Path) -> tuple[str, dict[str, str]]:
    """What `from_pretrained` takes: a folder or Hub id, and the revision as a keyword.

    Raises ModelError if the folder's weights are not those that were recorded.
    """
    folder = base_folder(base.name, home)
    if folder is None:
        return base.name, {"revision": base.revision} if base.revision else {}
    if base.revision and folder_hash(folder) != base.revision:
        raise ModelError(
            f"The base {base.name} in {folder} is not the one this version was made on: its weights differ. "
            "Restore them, or start a new home with --home."
        )
    return str(folder), {}


def fetched_folder(base: Base, home: Path, weights: bool = True) -> Path:
    """The folder of a base: a Hub model is fetched into the Hub's cache first. Raises ModelError.

    Without `weights` there may be only the configuration and the tokenizer in it.
    """
    source, revision = checked_source(base, home)
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.jinja", "*.model", *(["*.safetensors"] if weights else [])]
    with explain_loading(base.name):
        return Path(snapshot_download(source, revision=revision.get("revision"), allow_patterns=wanted))


def read_config(folder: Path) -> dict[str, Any]:
    """`config.json` of a model folder. Raises ModelError if it cannot be read."""
    return read_json(folder / "config.json")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a model folder. Raises ModelError if it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
    except (OSError, ValueError) as error:
        raise ModelError(f"The model's configuration {path} cannot be read: {error}.") from error
    return content


@contextmanager
def explain_loading(name: str) -> Iterator[None]:
    """Turn what a library raises while it loads the model `name` into a ModelError that says what to do."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"The model {name!r} cannot be loaded: {str(error).splitlines()[0]}. "
            "Give --model a folder with safetensors weights, or a Hub id that this machine can reach."
        ) from error

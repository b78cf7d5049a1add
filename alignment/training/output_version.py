"""The output of a stage: the folder of its unfinished run, and the version that is written at its end."""

import errno
import hashlib
import json
import os
import shutil
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import PeftModel

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from alignment.errors import LockError
from alignment.training.checkpoints import last_checkpoint
from alignment.training.flags import RunOptions, StageLocation
from alignment.training.held_out_curves import write_curves
from alignment.training.parent_version import OpenedParent
from alignment.training.processes import StateDict, say, whole_state_dict
from assistant.bases.base import Base, folder_hash
from assistant.errors import VersionError
from assistant.registry.versions import Manifest, now
from assistant.serving.peft_compat import name_base
from feedback_store import FeedbackStore
from feedback_store.database.store_location import has_store
from feedback_store.rows import snapshot

_LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "datasets")


def libraries() -> dict[str, str]:
    """Installed versions of the libraries that decide what training does, by name."""
    return {name: version(name) for name in _LIBRARIES}


def work_folder(
    parent: OpenedParent, location: StageLocation, stage: str, recipe: Any, run: RunOptions, data: str
) -> Path:
    """The folder of a stage's checkpoints until its version is written: HOME/training/STAGE/FINGERPRINT.

    The fingerprint covers everything that decides the weights, so that the same command continues after a crash, and no
    other run ever continues its checkpoints. `data` is the hash of all rows that decide them: those that are learned
    from, held-out ones that choose the weights to keep, and replies that become anchors. Raises LockError if the same
    command is running in another process.
    """
    manifest = parent.version.manifest
    fingerprinted = {
        "stage": stage,
        "recipe": asdict(recipe),
        "run": {**asdict(run), "report_to": None, "memory": None},
        "data": data,
        "parent": [manifest.id, manifest.files, asdict(manifest.base)],
        "libraries": libraries(),
        "processes": PartialState().num_processes,
    }
    text = json.dumps(fingerprinted, sort_keys=True, default=str)
    folder = location.home / "training" / stage / hashlib.sha256(text.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    if PartialState().is_main_process:
        _keep_others_out(folder)
    if (checkpoint := last_checkpoint(folder)) is not None:
        say(f"going on from step {checkpoint.rpartition('-')[2]} of an unfinished run in {folder}")
    return folder


def _keep_others_out(folder: Path) -> None:
    """Lock a work folder until this process ends. Raises LockError if another process has locked it."""
    if fcntl is None:
        return
    # Left open: closing it would end the lock, and the process's end closes it.
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise LockError(
                f"The same command is running already, in another process: both would write to {folder}. Wait until it "
                "has ended, or end it and give the command again: it goes on from the last checkpoint."
            ) from error


def write_version(
    parent: OpenedParent,
    location: StageLocation,
    model: Any,
    *,
    stage: str,
    recipe: Any,
    data: dict[str, Any],
    metrics: dict[str, Any],
    work: Path,
) -> str:
    """Write the trained `model` as a child of the parent, and remove the `work` folder. Returns the child's id.

    Of a PEFT model the adapter "default" is saved; any other model becomes a base of its own. The curves of the run are
    kept beside the weights. Every process must call this; one of them writes.
    """
    processes, state = PartialState(), whole_state_dict(model)
    version_id = location.output_version or parent.versions.next_id()
    if processes.is_main_process:
        adapter = isinstance(model, PeftModel)
        base = parent.base
        with parent.versions.staging() as folder:
            if adapter:
                save_adapter(model, base, folder, state)
            else:
                save_base(model, parent.loaded.tokenizer, folder / "base", state)
                base = Base(f"versions/{version_id}/base", folder_hash(folder / "base"))
            if (work / "trainer_state.json").exists():  # not of what is fitted without updates
                write_curves(work / "trainer_state.json", folder)
            if location.snapshot is not None:
                data = {**data, "snapshot": snapshot.load(location.snapshot).id}
            manifest = Manifest(
                id=version_id,
                base=base,
                parent=parent.version.id,
                stage=stage,
                created=now(),
                adapter=adapter,
                recipe=asdict(recipe),
                seed=recipe.seed,
                data=data,
                libraries=libraries(),
                metrics=metrics,
            )
            version_id = _add(parent, location, manifest, folder, recipe)
        shutil.rmtree(work, ignore_errors=True)
    processes.wait_for_everyone()
    return version_id


def _add(parent: OpenedParent, location: StageLocation, manifest: Manifest, folder: Path, recipe: Any) -> str:
    """Add the version in `folder`; its id.

    If another run took the id meanwhile it gets the next free one, unless the id was asked for: then raises
    VersionError.
    """
    versions = parent.versions
    while True:
        if manifest.id not in versions.ids():
            record_use(location, manifest.id, parent.version.id, recipe)
        try:
            return versions.add(manifest, folder).id
        except VersionError:
            if location.output_version is not None or manifest.id not in versions.ids():
                raise
        free, base = versions.next_id(), manifest.base
        if base.name == f"versions/{manifest.id}/base":
            base = replace(base, name=f"versions/{free}/base")
        manifest = replace(manifest, id=free, base=base)


def record_use(location: StageLocation, version: str, parent: str, recipe: Any) -> None:
    """Record in the home's store that `version` learned from the snapshot of `location`, and what its teachers did.

    Its teachers are its parent and the reward models that the recipe names. A snapshot of another store is passed over.
    """
    if not has_store(location.home):
        return
    teachers = {parent, getattr(recipe, "reward", None), getattr(recipe, "watch_reward", None)}
    with FeedbackStore.open_home(location.home, create=False) as store:
        known = store.snapshots()
        learned = {record.id for record in known if teachers & set(record.versions)}
        if location.snapshot is not None:
            learned.add(snapshot.load(location.snapshot).id)
        for name in sorted(learned & {record.id for record in known}):
            store.record_use(version, name, parent)


def save_adapter(model: Any, base: Base, folder: Path, state: StateDict | None = None) -> None:
    """Write the adapter "default" as a plain PEFT folder that names `base`, not a path of this machine.

    `state`: the model's weights as `whole_state_dict` returns them.
    """
    name_base(model, base.name)
    # Embeddings are never trained here; to find that out, "auto" would ask the Hub for the base's configuration.
    model.save_pretrained(
        str(folder), state_dict=state, selected_adapters=["default"], save_embedding_layers=False
    )
    # PEFT adds a model card with nothing filled in; the manifest says what is known.
    (folder / "README.md").unlink(missing_ok=True)


def save_base(model: Any, tokenizer: Any, folder: Path, state: StateDict | None = None) -> None:
    """Write all weights in float32, with the tokenizer, as a plain model folder. `state`: see `save_adapter`."""
    if state is None:
        model.to(torch.float32).save_pretrained(str(folder))
    else:
        weights = {name: weight.float() for name, weight in state.items()}
        model.save_pretrained(str(folder), state_dict=weights)
    tokenizer.save_pretrained(str(folder))

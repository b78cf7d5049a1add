"""What all stages share: the flags, opening the parent, writing the child. Functions, no framework."""

import copy
import hashlib
import json
import math
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import psutil
import torch
from accelerate import PartialState
from peft import PeftModel

from alignment.errors import DataError, TrainingError
from alignment.training import held_out_curves
from alignment.training.checkpoints import last_checkpoint
from alignment.training.held_out_curves import Run
from alignment.training.weights import State, gathered, save_adapter, save_base
from assistant.registry.first_version import add_first_version
from assistant.registry.versions import STARTER, Base, Manifest, Version, Versions, folder_hash, now
from assistant.serving import loading as models
from assistant.serving.loading import Loaded
from assistant.serving.quantization import Bits
from assistant.settings import default_home
from feedback_store import FeedbackStore
from feedback_store.rows import snapshot
from feedback_store.rows.demonstrations import made_prompts
from feedback_store.rows.pairs import made_preferences
from feedback_store.rows.rules import DEFAULT_RULES, Made
from feedback_store.rows.thumbs import made_from_store

_LIBRARIES = ("torch", "transformers", "peft", "trl", "accelerate", "datasets")


@dataclass
class Place:
    """Where a stage reads and writes; the same flags for every stage."""

    home: Path = field(default_factory=default_home, metadata={"help": "folder of feedback and versions"})
    parent: str | None = field(
        default=None, metadata={"help": "version to continue; the released one if left out"}
    )
    output_version: str | None = field(
        default=None, metadata={"help": "id of the new version; the next free one"}
    )
    snapshot: Path | None = field(
        default=None,
        metadata={"help": "folder of a snapshot to learn from; the store as it is now if left out"},
    )


@dataclass(frozen=True)
class Opened:
    """A home with the version that a stage continues."""

    versions: Versions
    parent: Version
    loaded: Loaded
    base: Base
    """What parent and child stand on in this round: the parent's base, quantized where that was asked for."""


def open_parent(place: Place, quantize: Bits | None = None) -> Opened:
    """The parent named by `place`, or the released version, or the starter in a home that has none yet.

    With `quantize` on its base so rounded; a parent from a quantized round stands on such a base anyway. Raises
    DataError if the parent is a reward model, which answers nobody, ModelError where its base has other bits.
    """
    everyone = PartialState(cpu=on_cpu())
    if everyone.num_processes > 1:
        say(f"processes: {everyone.num_processes}, each takes its share of a batch")
    # One process makes the first version of a new home; the others find it.
    with everyone.main_process_first():
        versions = Versions(place.home)
        parent = versions.open(place.parent or versions.released() or add_first_version(versions, STARTER).id)
    if parent.manifest.stage == "reward":
        raise DataError(
            f"{parent.id} is a reward model: it scores replies and writes none. Name another version with --parent."
        )
    base = models.quantized(parent.manifest.base, quantize)
    if base.quantize:
        say(
            f"base: {base.name} in {base.quantize}; the new version will be served on it so, its adapter unmerged"
        )
    if base != parent.manifest.base and parent.manifest.adapter:
        say(f"{parent.id} was trained on the whole base; as the reference it stands on the rounded one too")
    device = str(everyone.device)
    return Opened(versions, parent, models.load_for_training(parent, place.home, base, device), base)


@dataclass(frozen=True)
class Feedback:
    """Rows of the store or of a snapshot, and what its rules left out."""

    rows: list[Any]
    left_out: dict[str, int]
    """How often each rule (docs/explanation.md, "From votes to rows") took something away."""

    def words(self) -> str:
        """For the line that counts rows; empty where nothing was left out."""
        counts = ", ".join(f"{count} by {rule}" for rule, count in sorted(self.left_out.items()))
        return f"; left out by the store's rules: {counts}" if counts else ""


def feedback(place: Place, kind: Literal["unpaired", "preference", "prompt"]) -> Feedback:
    """Rows of one kind: of the place's snapshot, where it names one, else of the store as it is now."""
    if place.snapshot is not None:
        taken = snapshot.load(place.snapshot)
        return Feedback(list(taken.rows(kind)), taken.manifest["left_out"].get(kind, {}))
    makers: dict[str, Callable[..., Iterator[Made[Any]]]] = {
        "unpaired": made_from_store,
        "preference": made_preferences,
        "prompt": made_prompts,
    }
    left_out: Counter[str] = Counter()
    with FeedbackStore.open_home(place.home, create=False) as store:
        made = makers[kind](store, None, DEFAULT_RULES, left_out)
        return Feedback([one.row for one in made], dict(left_out))


def trainable(opened: Opened, full: bool, needs_reference: bool) -> tuple[Any, Any]:
    """The parent's model as a stage trains it, and a reference where the trainer cannot make one.

    By default the parent's LoRA adapter; with `full` all weights of the merged model, whose reference is a frozen copy.
    Raises DataError where there is no adapter to continue, TrainingError where memory is too small.
    """
    model = opened.loaded.model
    if not full:
        if not opened.parent.manifest.adapter:
            raise DataError(
                f"{opened.parent.id} has no adapter to continue. Run `python -m alignment sft` first, or give --full."
            )
        return model, None
    model = whole_base(opened)
    weights = sum(weight.numel() for weight in model.parameters())
    # float32: weights, gradients and AdamW's two moments, and the reference.
    wanted = weights * (20 if needs_reference else 16)
    free = psutil.virtual_memory().available if on_cpu() else torch.cuda.mem_get_info()[0]
    if wanted > free:
        raise TrainingError(
            f"Training all {weights:,} weights takes about {wanted / 2**30:.1f} GiB before any row is read, and "
            f"{free / 2**30:.1f} GiB are free. Leave --full out: a LoRA adapter takes a fraction of it."
        )
    return model, copy.deepcopy(model).requires_grad_(False) if needs_reference else None


def whole_base(opened: Opened) -> Any:
    """The parent's model, adapter added in, all weights trainable. Raises DataError where its base is quantized."""
    if opened.base.quantize:
        raise DataError(
            f"The base of this round is in {opened.base.quantize}: its weights are rounded and cannot be trained, and "
            "an adapter added to the whole base would give other answers. Train an adapter, or name a parent that "
            "was not trained on a quantized base."
        )
    model = opened.loaded.model
    return (model.merge_and_unload() if opened.parent.manifest.adapter else model).requires_grad_(True)


def write_child(
    opened: Opened,
    place: Place,
    model: Any,
    *,
    stage: str,
    recipe: Any,
    seed: int,
    data: dict[str, Any],
    metrics: dict[str, Any],
    work: Path | None = None,
) -> Version:
    """Save what was trained as the parent's child, with its manifest.

    Of a PEFT `model` the "default" adapter is saved; any other becomes a base of its own. `work` is the trainer's
    folder: its curves are kept beside the weights, and then it is removed. Of several processes one writes.
    """
    everyone, state = PartialState(), gathered(model)
    if everyone.is_main_process:
        child = _write(opened, place, model, state, stage, recipe, seed, data, metrics, work)
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
    everyone.wait_for_everyone()
    return child if everyone.is_main_process else opened.parent


def _write(
    opened: Opened,
    place: Place,
    model: Any,
    state: State | None,
    stage: str,
    recipe: Any,
    seed: int,
    data: dict[str, Any],
    metrics: dict[str, Any],
    work: Path | None,
) -> Version:
    version_id = place.output_version or opened.versions.next_id()
    adapter = isinstance(model, PeftModel)
    base = opened.base
    with opened.versions.staging() as folder:
        if adapter:
            save_adapter(model, base, folder, state)
        else:
            save_base(model, opened.loaded.tokenizer, folder / "base", state)
            base = Base(f"versions/{version_id}/base", folder_hash(folder / "base"))
        if work is not None:
            held_out_curves.write(work / "trainer_state.json", folder)
        manifest = Manifest(
            id=version_id,
            base=base,
            parent=opened.parent.id,
            stage=stage,
            created=now(),
            adapter=adapter,
            recipe=asdict(recipe),
            seed=seed,
            data=data if place.snapshot is None else {**data, "snapshot": snapshot.load(place.snapshot).id},
            libraries=libraries(),
            metrics=metrics,
        )
        return opened.versions.add(manifest, folder)


def work_folder(opened: Opened, place: Place, stage: str, recipe: Any, run: Run, data: str) -> Path:
    """Where a stage keeps its checkpoints until its version is written: HOME/training/STAGE/FINGERPRINT.

    The fingerprint covers all that decides the weights, so that the same command goes on after a crash and no
    other run ever continues a foreign checkpoint. `data` is the hash of the training rows.
    """
    parent = opened.parent.manifest
    decides = {
        "stage": stage,
        "recipe": asdict(recipe),
        "run": {**asdict(run), "report_to": None},
        "data": data,
        "parent": [parent.id, parent.files, asdict(parent.base)],
        "libraries": libraries(),
        "processes": PartialState().num_processes,
    }
    fingerprint = hashlib.sha256(json.dumps(decides, sort_keys=True, default=str).encode()).hexdigest()[:16]
    folder = place.home / "training" / stage / fingerprint
    folder.mkdir(parents=True, exist_ok=True)
    if (found := last_checkpoint(folder)) is not None:
        say(f"going on from step {found.rpartition('-')[2]} of an unfinished run in {folder}")
    return folder


def say(*lines: str) -> None:
    """Print `lines`, in one process of several."""
    if PartialState().is_main_process:
        for line in lines:
            print(line, flush=True)


def alone() -> bool:
    """Whether this is the only process: then the reference reads each row once, before training, not once an epoch.

    TRL hands what was read from process to process by a file beside the rows, and rows from memory have none.
    """
    return bool(PartialState().num_processes == 1)


def per_process(batch_size: int) -> int:
    """Rows of a batch that each process takes: recipes name what one update sees in all."""
    return max(1, math.ceil(batch_size / PartialState().num_processes))


def libraries() -> dict[str, str]:
    """Versions of the libraries that decide what training does."""
    return {name: version(name) for name in _LIBRARIES}


def outcome(trainer: Any, result: Any) -> dict[str, float]:
    """Loss at the end of training (mean of the last ten logged) and seconds it took."""
    tail = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-10:]
    return {
        "loss": sum(tail) / len(tail) if tail else float(result.training_loss),
        "seconds": float(result.metrics["train_runtime"]),
    }


def on_cpu() -> bool:
    """Whether training runs on the CPU."""
    return not torch.cuda.is_available()


def fast_bfloat16() -> bool:
    """Whether the device that trains multiplies bfloat16 in hardware.

    A CPU without (AVX2 alone) does so one number after the other, many times slower than in float32.
    """
    if on_cpu():
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.cuda.is_bf16_supported(including_emulation=False)

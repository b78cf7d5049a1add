"""What all stages share: the flags, opening the parent, writing the child. Functions, no framework."""

import math
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from alignment.errors import TrainingError
from assistant import model as models
from assistant.first import add_first_version
from assistant.model import Loaded
from assistant.settings import default_home
from assistant.versions import STARTER, Base, Manifest, Version, Versions, now

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


@dataclass(frozen=True)
class Opened:
    """A home with the version that a stage continues."""

    versions: Versions
    parent: Version
    loaded: Loaded


def open_parent(place: Place) -> Opened:
    """The parent named by `place`, or the released version, or the starter in a home that has none yet."""
    versions = Versions(place.home)
    parent = versions.open(place.parent or versions.released() or add_first_version(versions, STARTER).id)
    return Opened(versions, parent, models.load_for_training(parent, place.home))


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
) -> Version:
    """Save the "default" adapter of a PEFT `model` as the parent's child, with its manifest."""
    manifest = Manifest(
        id=place.output_version or opened.versions.next_id(),
        base=opened.parent.manifest.base,
        parent=opened.parent.id,
        stage=stage,
        created=now(),
        recipe=asdict(recipe),
        seed=seed,
        data=data,
        libraries=libraries(),
        metrics=metrics,
    )
    with opened.versions.staging() as folder:
        save_adapter(model, manifest.base, folder)
        return opened.versions.add(manifest, folder)


def save_adapter(model: Any, base: Base, folder: Path) -> None:
    """Write the "default" adapter as a plain PEFT folder that names its base, not a path of this machine."""
    model.peft_config["default"].base_model_name_or_path = base.name
    # Embeddings are never trained here; "auto" would look for the base's configuration on the Hub to find that out.
    model.save_pretrained(str(folder), selected_adapters=["default"], save_embedding_layers=False)
    # PEFT adds a model-card template with nothing filled in; our manifest is the card.
    (folder / "README.md").unlink(missing_ok=True)


class StopOnBadLoss(TrainerCallback):
    """End training at the first loss that is not a finite number, before it reaches saved weights."""

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Raises TrainingError with the step."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss} at step {state.global_step}. No version was written. "
                "Lower --learning_rate, or look for damaged rows."
            )


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


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint in a trainer's folder, None where there is none."""
    found = [path for path in folder.glob("checkpoint-*") if (path / "trainer_state.json").exists()]
    newest = max(found, key=lambda path: int(path.name.split("-")[1]), default=None)
    return str(newest) if newest else None


def on_cpu() -> bool:
    """Whether training runs on the CPU."""
    return not torch.cuda.is_available()

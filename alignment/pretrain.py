"""Pretrain: next-token prediction on raw text. The model that comes out continues text; it does not answer.

    python -m alignment pretrain --text books/ --home DIR

recipe → data → model → trainer → save. The loss is the cross-entropy of each next token given all before
it; the optimiser is AdamW; the set of candidate functions is the model's weights, all of them.
"""

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import Trainer, TrainingArguments
from trl import TrlParser

from alignment.data import Blocks, pack, read_texts
from alignment.errors import DataError
from alignment.stage import (
    Place,
    StopOnBadLoss,
    last_checkpoint,
    libraries,
    on_cpu,
    open_parent,
    outcome,
)
from assistant.versions import Base, Manifest, folder_hash, now


@dataclass
class PretrainRecipe:
    """How to pretrain."""

    text: list[Path] = field(default_factory=list, metadata={"help": "text files, folders, or JSON Lines"})
    block_length: int = 1024
    """Tokens a block: the starter's context window, so that every position is trained."""
    batch_size: int = 4
    """Blocks a step. Small models learn more from many small steps than from few large ones."""
    learning_rate: float = 2e-3
    """For the starter from nothing. Lower it to 1e-4 or less to continue a pretrained model."""
    epochs: float = 1.0
    warmup: float = 0.02
    weight_decay: float = 0.1
    seed: int = 1
    save_steps: int = 500
    compile: bool = False
    """torch.compile: half as fast again on a CPU, after about a minute. Needs a C++ compiler."""


def train(model: Any, ids: np.ndarray, recipe: PretrainRecipe, folder: Path) -> dict[str, float]:
    """Train all weights of `model` on token `ids`; resumes from a checkpoint in `folder`. Returns metrics."""
    blocks = Blocks(ids, recipe.block_length)
    if not len(blocks):
        raise DataError(
            f"The text holds {len(ids)} tokens, fewer than one block of {recipe.block_length}. "
            "Give more text, or a smaller --block_length."
        )
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=recipe.batch_size,
            num_train_epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=recipe.warmup,
            weight_decay=recipe.weight_decay,
            adam_beta2=0.95,
            max_grad_norm=1.0,
            bf16=True,
            torch_compile=recipe.compile,
            use_cpu=on_cpu(),
            seed=recipe.seed,
            save_steps=recipe.save_steps,
            save_total_limit=2,
            logging_steps=20,
            report_to="none",
        ),
        train_dataset=blocks,
        callbacks=[StopOnBadLoss()],
    )
    result = trainer.train(resume_from_checkpoint=last_checkpoint(folder))
    return {
        **outcome(trainer, result),
        "tokens": float(len(blocks) * recipe.block_length * recipe.epochs),
    }


def main(arguments: list[str]) -> str:
    """Continue the parent's base on raw text; the new version has no adapter. Returns its id."""
    place, recipe = TrlParser((Place, PretrainRecipe), allow_abbrev=False).parse_args_and_config(arguments)
    if not recipe.text:
        raise DataError("There is no text to train on. Name files or folders with --text.")
    opened = open_parent(place)
    tokenizer = opened.loaded.tokenizer
    model = opened.loaded.model
    model = (model.merge_and_unload() if opened.parent.manifest.adapter else model).requires_grad_(True)
    print(f"model: {opened.parent.id}, all weights; loss: cross-entropy of the next token; optimiser: AdamW")
    ids = pack(read_texts(recipe.text), tokenizer, tokenizer.eos_token_id)

    with opened.versions.staging() as work:
        metrics = train(model, ids, recipe, work / "checkpoints")
        shutil.rmtree(work / "checkpoints")
        model.to(torch.float32).save_pretrained(str(work / "base"))
        tokenizer.save_pretrained(str(work / "base"))
        version_id = place.output_version or opened.versions.next_id()
        manifest = Manifest(
            id=version_id,
            base=Base(f"versions/{version_id}/base", folder_hash(work / "base")),
            parent=opened.parent.id,
            stage="pretrain",
            created=now(),
            adapter=False,
            recipe=asdict(recipe),
            seed=recipe.seed,
            data={"tokens": len(ids)},
            libraries=libraries(),
            metrics=metrics,
        )
        return opened.versions.add(manifest, work).id

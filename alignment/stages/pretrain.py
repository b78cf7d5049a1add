"""Pretrain: next-token prediction on raw text. The new version continues text; it does not answer.

    python -m alignment pretrain --text books/ --home DIR

recipe → data → model → trainer → save. The loss is the cross-entropy of each next token given all before it; the
optimiser is Muon or AdamW; the set of candidate functions is all weights of the model.
"""

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from transformers import Trainer, TrainingArguments

from alignment.data.raw_text import Blocks, SortedText, sort_texts
from alignment.errors import DataError
from alignment.training import dry_run
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint
from alignment.training.flags import RunOptions, flag, parse_flags
from alignment.training.held_out_curves import StopWhenHeldOutRises, evaluation_arguments, run_trainer
from alignment.training.muon import make_optimizer
from alignment.training.output_version import work_folder, write_version
from alignment.training.parent_version import OpenedParent, merged_model, open_parent
from alignment.training.processes import fast_bfloat16, on_cpu, say

ADAM_BETA2 = 0.95


@dataclass
class PretrainRecipe:
    """How to pretrain."""

    text: list[Path] = field(default_factory=list, metadata={"help": "text files, folders, or JSON Lines"})
    block_length: int = flag(1024, "tokens in a block")
    """The starter's context window, so that every position is trained."""
    batch_size: int = flag(4, "blocks in an update")
    """Small models learn more from many small updates than from few large ones."""
    optimizer: Literal["muon", "adamw"] = flag("muon", "optimiser")
    """Muon brings the starter further in fewer tokens (docs/explanation.md). AdamW to continue an AdamW model."""
    learning_rate: float = flag(2e-3, "peak learning rate; it then falls to 0 on a cosine")
    """For the starter, trained from nothing. Lower it to 1e-4 or less to continue a pretrained model."""
    epochs: float = flag(1.0, "passes over the text")
    warmup: float = flag(0.02, "share of all updates in which the learning rate rises")
    weight_decay: float = flag(0.1, "weight decay of the optimiser")
    seed: int = flag(1, "seed of every draw; the same one gives the same weights on a CPU")
    save_steps: int = flag(500, "updates between checkpoints if no text is held out")
    compile: bool = flag(False, "use torch.compile; needs a C++ compiler")
    """Half as fast again on a CPU, after about a minute."""


def updates(count: int, recipe: PretrainRecipe) -> int:
    """Number of updates for `count` blocks."""
    return math.ceil(recipe.epochs * math.ceil(count / recipe.batch_size))


def load_data(parent: OpenedParent, recipe: PretrainRecipe) -> SortedText:
    """The recipe's text. Raises DataError if there is none, or its blocks are longer than the window."""
    window = parent.loaded.window
    if not recipe.text:
        raise DataError("There is no text to train on. Name files or folders with --text.")
    if recipe.block_length > window:
        raise DataError(
            f"Blocks of {recipe.block_length} tokens are longer than the model's window of {window}. "
            "Give a smaller --block_length."
        )
    return sort_texts(recipe.text, parent.loaded.tokenizer, recipe.block_length)


def load_model(parent: OpenedParent) -> Any:
    """The parent's model, its adapter merged."""
    return merged_model(parent)


def train(
    model: Any,
    training: np.ndarray,
    recipe: PretrainRecipe,
    folder: Path,
    held_out: np.ndarray | None = None,
    run: RunOptions | None = None,
) -> dict[str, float]:
    """Train all weights of `model` on token ids, continuing a checkpoint in `folder`. Returns metrics.

    `training` and `held_out` have one dimension.
    """
    run = run or RunOptions()
    checkpoint = last_checkpoint(folder)
    blocks = Blocks(training, recipe.block_length)
    held_out_blocks = Blocks(held_out if held_out is not None else training[:0], recipe.block_length)
    evaluated = len(held_out_blocks)
    if not len(blocks):
        raise DataError(
            f"The text holds {len(training)} tokens, fewer than one block of {recipe.block_length}. "
            "Give more text, or a smaller --block_length."
        )
    evaluation = evaluation_arguments(run, updates(len(blocks), recipe), evaluated, checkpoint)
    if not evaluated:
        evaluation["save_steps"] = recipe.save_steps
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=recipe.batch_size,
            per_device_eval_batch_size=recipe.batch_size,
            num_train_epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=recipe.warmup,
            weight_decay=recipe.weight_decay,
            adam_beta2=ADAM_BETA2,
            max_grad_norm=1.0,
            torch_compile=recipe.compile,
            bf16=fast_bfloat16(),
            use_cpu=on_cpu(),
            seed=recipe.seed,
            logging_steps=20,
            **evaluation,
        ),
        train_dataset=blocks,
        eval_dataset=held_out_blocks if evaluated else None,
        callbacks=[StopOnBadLoss(), StopWhenHeldOutRises(run, evaluated)],
        optimizers=(make_optimizer(model, recipe, recipe.weight_decay, ADAM_BETA2), None),
    )
    tokens = float(len(blocks) * recipe.block_length * recipe.epochs)
    return {**run_trainer(trainer, checkpoint), "tokens": tokens}


def main(arguments: list[str]) -> str | None:
    """Train the parent's base on raw text; the new version has no adapter. Returns its id; None for a dry run."""
    location, run, recipe = parse_flags(arguments, PretrainRecipe)
    parent = open_parent(location)
    data = load_data(parent, recipe)
    model = load_model(parent)
    say(
        f"model: {parent.version.id}, all weights; loss: cross-entropy; optimiser: {recipe.optimizer}",
        f"tokens: {len(data.training)} in blocks of {recipe.block_length}; {len(data.held_out)} held out; "
        f"{data.repeated} repeated documents left out",
    )
    if run.dry_run:
        blocks = Blocks(data.training, recipe.block_length)
        dry_run.report(
            model,
            parent.loaded.tokenizer,
            # Every token but the first is supervised.
            [(block[:1].tolist(), block[1:].tolist()) for block in blocks.ids],
            updates=updates(len(blocks), recipe),
            rows_an_update=recipe.batch_size,
            reference=False,
            memory=run.memory,
            together=recipe.batch_size,
        )
        return None

    data_hash = hashlib.sha256(data.training.tobytes() + data.held_out.tobytes()).hexdigest()
    work = work_folder(parent, location, "pretrain", recipe, run, data_hash)
    metrics = train(model, data.training, recipe, work, data.held_out, run)
    return write_version(
        parent,
        location,
        model,
        stage="pretrain",
        recipe=recipe,
        data={"hash": data_hash, **data.counts()},
        metrics=metrics,
        work=work,
    )

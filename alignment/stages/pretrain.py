"""Pretrain: next-token prediction on raw text. The model that comes out continues text; it does not answer.

    python -m alignment pretrain --text books/ --home DIR

recipe → data → model → trainer → save. The loss is the cross-entropy of each next token given all before
it; the optimiser is Muon, or AdamW; the set of candidate functions is the model's weights, all of them.
"""

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from transformers import Trainer, TrainingArguments
from trl import TrlParser

from alignment.data.dataset import Blocks, Distinct, pack, read_texts
from alignment.errors import DataError
from alignment.training import dry_run, held_out_curves
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint
from alignment.training.held_out_curves import Run, StopWhenHeldOutRises
from alignment.training.muon import MuonWithAdamW
from alignment.training.stage import (
    Place,
    fast_bfloat16,
    on_cpu,
    open_parent,
    outcome,
    say,
    whole_base,
    work_folder,
    write_child,
)

ADAM_BETA2 = 0.95


@dataclass
class PretrainRecipe:
    """How to pretrain."""

    text: list[Path] = field(default_factory=list, metadata={"help": "text files, folders, or JSON Lines"})
    block_length: int = 1024
    """Tokens a block: the starter's context window, so that every position is trained."""
    batch_size: int = 4
    """Blocks a step. Small models learn more from many small steps than from few large ones."""
    optimizer: Literal["muon", "adamw"] = "muon"
    """On the starter Muon comes further in fewer tokens (docs/explanation.md). AdamW to continue an AdamW model."""
    learning_rate: float = 2e-3
    """For the starter from nothing. Lower it to 1e-4 or less to continue a pretrained model."""
    epochs: float = 1.0
    warmup: float = 0.02
    weight_decay: float = 0.1
    seed: int = 1
    save_steps: int = 500
    compile: bool = False
    """torch.compile: half as fast again on a CPU, after about a minute. Needs a C++ compiler."""


def train(
    model: Any,
    ids: np.ndarray,
    recipe: PretrainRecipe,
    folder: Path,
    aside: np.ndarray | None = None,
    run: Run | None = None,
) -> dict[str, float]:
    """Train all weights of `model` on token `ids`; resumes from a checkpoint in `folder`. Returns metrics.

    `aside`: token ids to look at and never train on.
    """
    run = run or Run()
    checkpoint = last_checkpoint(folder)
    blocks = Blocks(ids, recipe.block_length)
    held_out = Blocks(aside if aside is not None else ids[:0], recipe.block_length)
    watch = held_out_curves.arguments(
        run, _updates(len(blocks), recipe), len(held_out), checkpoint is not None
    )
    if not len(held_out):
        watch["save_steps"] = recipe.save_steps
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
            adam_beta2=ADAM_BETA2,
            max_grad_norm=1.0,
            bf16=fast_bfloat16(),
            torch_compile=recipe.compile,
            use_cpu=on_cpu(),
            seed=recipe.seed,
            per_device_eval_batch_size=recipe.batch_size,
            logging_steps=20,
            **watch,
        ),
        train_dataset=blocks,
        eval_dataset=held_out if len(held_out) else None,
        callbacks=[StopOnBadLoss(), StopWhenHeldOutRises(run, len(held_out))],
        optimizers=(_optimizer(model, recipe), None),
    )
    result = trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_state()
    return {
        **outcome(trainer, result),
        **held_out_curves.held_out_metrics(trainer.state.log_history),
        "tokens": float(len(blocks) * recipe.block_length * recipe.epochs),
    }


def _updates(blocks: int, recipe: PretrainRecipe) -> int:
    return math.ceil(recipe.epochs * math.ceil(blocks / recipe.batch_size))


def _optimizer(model: Any, recipe: PretrainRecipe) -> torch.optim.Optimizer | None:
    """Muon, or None for the trainer's own AdamW."""
    if recipe.optimizer == "adamw":
        return None
    return MuonWithAdamW(model, recipe.learning_rate, recipe.weight_decay, ADAM_BETA2)


def main(arguments: list[str]) -> str | None:
    """Continue the parent's base on raw text; the new version has no adapter. Returns its id; None for a dry run."""
    place, run, recipe = TrlParser((Place, Run, PretrainRecipe), allow_abbrev=False).parse_args_and_config(
        arguments
    )
    if not recipe.text:
        raise DataError("There is no text to train on. Name files or folders with --text.")
    opened = open_parent(place)
    tokenizer = opened.loaded.tokenizer
    model = whole_base(opened)
    if recipe.block_length > opened.loaded.window:
        raise DataError(
            f"Blocks of {recipe.block_length} tokens are longer than the model's window of {opened.loaded.window}. "
            "Give a smaller --block_length."
        )
    texts = Distinct(read_texts(recipe.text))
    ids = pack(texts, tokenizer, tokenizer.eos_token_id)
    # The last hundredth of a text that is long enough to spare it.
    aside = len(ids) // recipe.block_length // 100 * recipe.block_length
    training, held_out = ids[: len(ids) - aside], ids[len(ids) - aside :]
    say(
        f"model: {opened.parent.id}, all weights; loss: cross-entropy; optimiser: {recipe.optimizer}",
        f"tokens: {len(training)} in blocks of {recipe.block_length}; {aside} held out; "
        f"{texts.repeated} repeated documents left out",
    )
    if run.dry_run:
        blocks = Blocks(training, recipe.block_length)
        dry_run.report(
            model,
            tokenizer,
            # Every token but the first is supervised.
            [(block[:1].tolist(), block[1:].tolist()) for block in blocks.ids],
            updates=_updates(len(blocks), recipe),
            rows_an_update=recipe.batch_size,
            reference=False,
        )
        return None

    data_hash = hashlib.sha256(ids.tobytes()).hexdigest()
    work = work_folder(opened, place, "pretrain", recipe, run, data_hash)
    metrics = train(model, training, recipe, work, held_out, run)
    return write_child(
        opened,
        place,
        model,
        stage="pretrain",
        recipe=recipe,
        seed=recipe.seed,
        data={
            "hash": data_hash,
            "tokens": len(training),
            "held_out": aside,
            "repeated_documents": texts.repeated,
        },
        metrics=metrics,
        work=work,
    ).id

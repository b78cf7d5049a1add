"""SFT: supervised fine-tuning of a LoRA adapter on demonstrations. A model that continues text learns to answer.

    python -m alignment sft --demonstrations rows.jsonl --home DIR

recipe → data → model → trainer → save. The loss is the cross-entropy of the completion's tokens; the optimiser is AdamW
or Muon; the set of candidate functions is the adapter's weights on the frozen base.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset
from trl import SFTConfig

from alignment.data.batches import PackCollator, one_row_packs, pack_rows
from alignment.data.demonstration_rows import (
    SortedDemonstrations,
    demonstrations_of_store,
    read_demonstrations,
    sort_demonstrations,
)
from alignment.data.json_lines import rows_hash
from alignment.data.stage_snapshot import with_snapshot
from alignment.training import dry_run
from alignment.training.batching.micro_batches import WIDTHS
from alignment.training.batching.trainer_compat import LengthGroupedTrainer
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint
from alignment.training.flags import LoraRecipe, RunOptions, StageLocation, flag, parse_flags
from alignment.training.held_out_curves import StopWhenHeldOutRises, evaluation_arguments, run_trainer
from alignment.training.memory import plan_for
from alignment.training.muon import make_optimizer
from alignment.training.output_version import work_folder, write_version
from alignment.training.parent_version import (
    OpenedParent,
    longest_row,
    open_parent,
    too_long,
    trainable_model,
)
from alignment.training.processes import fast_bfloat16, on_cpu, rows_per_process, say
from alignment.training.sizes import for_parent
from alignment.training.trl_compat import in_float32
from assistant.bases.base import Bits

MOST_PASSES = 4
"""Up to four passes teach almost as much as new rows do (Muennighoff et al. 2023, "Scaling Data-Constrained Language
Models", section 6); with more a model learns its rows by heart."""


@dataclass
class SFTRecipe(LoraRecipe):
    """How to fine-tune on demonstrations."""

    demonstrations: Path | None = flag(
        None, "JSON Lines: messages, think, thought, answer; the store's corrections, if left out"
    )
    lora_dropout: float = flag(0.0, "dropout of a new adapter")
    optimizer: Literal["adamw", "muon"] = flag("adamw", "optimiser")
    """Muon learns the starter's many answers in fewer rows; AdamW is safer for few rows."""
    learning_rate: float = flag(
        None, "peak learning rate; it then falls to 0 on a cosine; by the model's size if left out"
    )
    batch_size: int = flag(32, "rows in an update; with --packing, packs")
    epochs: float = flag(None, "passes over the rows; by the model's size if left out")
    min_steps: int = flag(
        24, "fewest updates; for them, few rows are passed over more often, at most 4 times"
    )
    warmup: float = flag(0.03, "share of all updates in which the learning rate rises")
    packing: bool = flag(False, "pack rows into sequences as long as the window")
    """Meant for many rows of very different length. The default groups rows of similar length: it pads little, and an
    update sees few rows."""
    max_length: int | None = flag(None, "most tokens of a row; longer ones are left out, none is cut")
    full: bool = flag(False, "train all weights instead of an adapter")
    quantize: Bits | None = flag(
        None, "hold the frozen base in so many bits; the new version is served so too"
    )
    """QLoRA (Dettmers et al. 2023)."""
    seed: int = flag(1, "seed of every draw; the same one gives the same weights on a CPU")
    save_steps: int = flag(500, "updates between checkpoints if no rows are held out")


def passes(count: int, recipe: SFTRecipe) -> float:
    """How often `count` rows are passed over."""
    return max(recipe.epochs, min(MOST_PASSES, recipe.min_steps / math.ceil(count / recipe.batch_size)))


def updates(count: int, recipe: SFTRecipe) -> int:
    """Number of updates for `count` rows."""
    return math.ceil(passes(count, recipe) * math.ceil(count / recipe.batch_size))


def load_data(
    parent: OpenedParent, location: StageLocation, recipe: SFTRecipe
) -> tuple[SortedDemonstrations, str]:
    """Demonstrations of the recipe's file or of the store, and the hash of all rows."""
    file = recipe.demonstrations
    rows = (
        read_demonstrations(file)
        if file is not None
        else demonstrations_of_store(location.home, location.snapshot)
    )
    return sort_demonstrations(rows, parent.loaded.tokenizer, longest_row(parent, recipe)), rows_hash(rows)


def load_model(parent: OpenedParent, recipe: SFTRecipe) -> Any:
    """The parent's model, with a new adapter if it has none."""
    return trainable_model(parent, recipe, recipe.full, needs_reference=False)[0]


def train(
    model: Any,
    tokenizer: Any,
    training: Dataset,
    recipe: SFTRecipe,
    folder: Path,
    held_out: Dataset | None = None,
    run: RunOptions | None = None,
) -> dict[str, float]:
    """Train `model` on columns `input_ids` and `labels`, continuing a checkpoint in `folder`. Returns metrics."""
    run = run or RunOptions()
    checkpoint = last_checkpoint(folder)
    evaluated = len(held_out) if held_out is not None else 0
    batch_size = rows_per_process(recipe.batch_size)
    evaluation = evaluation_arguments(run, updates(len(training), recipe), evaluated, checkpoint)
    if not evaluated:
        evaluation["save_steps"] = recipe.save_steps
    plan = plan_for(model, [len(ids) for ids in training["input_ids"]], run.memory)
    with in_float32(model):
        trainer = LengthGroupedTrainer(
            model=model,
            args=SFTConfig(
                output_dir=str(folder),
                per_device_train_batch_size=batch_size,
                per_device_eval_batch_size=batch_size,
                num_train_epochs=passes(len(training), recipe),
                learning_rate=recipe.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=recipe.warmup,
                weight_decay=0.0,
                max_length=None,
                pad_to_multiple_of=WIDTHS,
                dataset_kwargs={"skip_prepare_dataset": True},
                activation_checkpointing=plan.checkpointing,
                bf16=fast_bfloat16(),
                use_cpu=on_cpu(),
                seed=recipe.seed,
                logging_steps=20,
                **evaluation,
            ),
            data_collator=PackCollator(tokenizer.pad_token_id) if recipe.packing else None,
            train_dataset=training,
            eval_dataset=held_out if evaluated else None,
            processing_class=tokenizer,
            tokens_at_once=plan.tokens_at_once,
            callbacks=[StopOnBadLoss(), StopWhenHeldOutRises(run, evaluated)],
            optimizers=(make_optimizer(model, recipe, weight_decay=0.0, adam_beta2=0.999), None),
        )
    return {**run_trainer(trainer, checkpoint), "rows": float(len(training))}


def main(arguments: list[str]) -> str | None:
    """Train the parent, or a new adapter on it, on demonstrations. Returns the new version's id; None for a dry run."""
    location, run, recipe = parse_flags(arguments, SFTRecipe)
    parent = open_parent(location, recipe.quantize)
    recipe = for_parent(recipe, "sft", parent)
    location = with_snapshot(location, run, recipe, "demonstration")
    tokenizer, window = parent.loaded.tokenizer, longest_row(parent, recipe)
    data, data_hash = load_data(parent, location, recipe)
    model = load_model(parent, recipe)
    trained = "all weights" if recipe.full else "LoRA"
    say(
        f"model: {trained} on {parent.version.id}; loss: cross-entropy of completions; optimiser: {recipe.optimizer}",
        f"rows: {len(data.training)} used, {len(data.held_out)} held out, "
        f"{too_long(parent, recipe, data.too_long)}, {data.empty} empty, {data.repeated} repeated",
    )
    if run.dry_run:
        dry_run.report(
            model,
            tokenizer,
            [dry_run.split_supervised(row["input_ids"], row["labels"]) for row in data.training],
            updates=updates(len(data.training), recipe),
            rows_an_update=min(recipe.batch_size, len(data.training)),
            reference=False,
            memory=run.memory,
        )
        return None

    training, held_out = data.training, data.held_out
    if recipe.packing:
        training, held_out = pack_rows(training, window), one_row_packs(held_out)
    work = work_folder(parent, location, "sft", recipe, run, data_hash)
    metrics = train(model, tokenizer, training, recipe, work, held_out, run)
    return write_version(
        parent,
        location,
        model,
        stage="sft",
        recipe=recipe,
        data={"hash": data_hash, **data.counts()},
        metrics=metrics,
        work=work,
    )

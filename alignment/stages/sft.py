"""SFT: supervised fine-tuning of a LoRA adapter on demonstrations. A model that continues learns to answer.

    python -m alignment sft --demonstrations rows.jsonl --home DIR

recipe → data → model → trainer → save. The loss is the cross-entropy of the completion's tokens alone; the
optimiser is AdamW; the set of candidate functions is the adapter's weights over the frozen base.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import set_seed
from transformers.trainer_pt_utils import get_length_grouped_indices
from trl import SFTConfig, SFTTrainer, TrlParser

from alignment.data.dataset import rows_hash
from alignment.data.demonstrations import from_store, read, sort
from alignment.data.packing import PackCollator, alone, packed
from alignment.training import dry_run, held_out_curves
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint
from alignment.training.held_out_curves import Run, StopWhenHeldOutRises
from alignment.training.muon import MuonWithAdamW
from alignment.training.stage import (
    Opened,
    Place,
    fast_bfloat16,
    on_cpu,
    open_parent,
    outcome,
    per_process,
    say,
    trainable,
    work_folder,
    write_child,
)
from alignment.training.weights import in_float32
from assistant.serving.quantization import Bits

MOST_PASSES = 4
"""Up to four passes teach almost as much as new rows do (Muennighoff et al. 2023, "Scaling Data-Constrained Language
Models", section 6); beyond that a model learns its rows by heart."""


@dataclass
class SFTRecipe:
    """How to fine-tune on demonstrations."""

    demonstrations: Path | None = field(
        default=None,
        metadata={
            "help": "JSON Lines: messages, think, thought, answer; the store's corrections, if left out"
        },
    )
    rank: int = 32
    """LoRA rank, where the parent has no adapter yet. "LoRA Without Regret" (Schulman 2025): SFT on small data fits."""
    alpha: int = 64
    optimizer: Literal["adamw", "muon"] = "adamw"
    """Muon learns the starter's many answers in fewer rows; AdamW is the safer one for a few rows of one's own."""
    learning_rate: float = 1.5e-3
    """LoRA wants about ten times the rate of full fine-tuning (same source); higher still for a 5M base."""
    batch_size: int = 32
    epochs: float = 1.0
    min_steps: int = 24
    """Few rows are passed over more often, until there are this many updates, but not more than `MOST_PASSES` times."""
    warmup: float = 0.03
    packing: bool = False
    """Rows together in sequences as long as the window, of which `batch_size` are then a batch. For many rows of very
    different length; the default groups rows of like length, which pads little, and leaves an update its few rows."""
    full: bool = False
    """Train all weights instead of an adapter."""
    quantize: Bits | None = None
    """Hold the frozen base in fewer bits (QLoRA, Dettmers et al. 2023); the new version is then served so too."""
    seed: int = 1
    save_steps: int = 500


def with_new_adapter(model: Any, recipe: SFTRecipe) -> Any:
    """`model` with a fresh adapter, the same for the same seed: LoRA's first weights are drawn at random.

    On every linear layer but the output (Dettmers et al. 2023: all layers are needed).
    """
    set_seed(recipe.seed)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        target_modules="all-linear",
        lora_dropout=0.0,
    )
    return get_peft_model(model, config)


class LengthGroupedTrainer(SFTTrainer):
    """TRL's trainer with rows of like length together, because padding is work for nothing.

    The library's own sampler of this kind draws from the process's generator, so that a resumed run would see another
    order than one that was not interrupted; and its groups depend on the number of processes.
    """

    def _get_train_sampler(self, train_dataset: Any = None) -> "ByLength":
        together = self.args.per_device_train_batch_size * self.args.world_size
        lengths = [len(ids) for ids in self.train_dataset["input_ids"]]
        return ByLength(lengths, together, self.args.seed)


class ByLength(torch.utils.data.Sampler[int]):
    """Row numbers in an order that depends on seed and epoch alone."""

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Any:
        drawn = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=drawn))

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader."""
        self.epoch = epoch


def train(
    model: Any,
    tokenizer: Any,
    rows: Dataset,
    recipe: SFTRecipe,
    folder: Path,
    aside: Dataset | None = None,
    run: Run | None = None,
) -> dict[str, float]:
    """Train `model` on `input_ids` and `labels`; resumes from a checkpoint. Returns metrics."""
    run = run or Run()
    checkpoint = last_checkpoint(folder)
    watched = len(aside) if aside is not None else 0
    collator = PackCollator(tokenizer.pad_token_id) if recipe.packing else None
    batch_size = per_process(recipe.batch_size)
    watch = held_out_curves.arguments(run, steps(len(rows), recipe), watched, checkpoint is not None)
    if not watched:
        watch["save_steps"] = recipe.save_steps
    with in_float32(model):
        trainer = LengthGroupedTrainer(
            model=model,
            args=SFTConfig(
                output_dir=str(folder),
                per_device_train_batch_size=batch_size,
                per_device_eval_batch_size=batch_size,
                num_train_epochs=passes(len(rows), recipe),
                learning_rate=recipe.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=recipe.warmup,
                weight_decay=0.0,
                max_length=None,
                pad_to_multiple_of=32,
                dataset_kwargs={"skip_prepare_dataset": True},
                activation_checkpointing=False,
                bf16=fast_bfloat16(),
                use_cpu=on_cpu(),
                seed=recipe.seed,
                logging_steps=20,
                **watch,
            ),
            data_collator=collator,
            train_dataset=rows,
            eval_dataset=aside if watched else None,
            processing_class=tokenizer,
            callbacks=[StopOnBadLoss(), StopWhenHeldOutRises(run, watched)],
            optimizers=(_optimizer(model, recipe), None),
        )
    result = trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_state()
    return {
        **outcome(trainer, result),
        **held_out_curves.held_out_metrics(trainer.state.log_history),
        "rows": float(len(rows)),
    }


def _optimizer(model: Any, recipe: SFTRecipe) -> torch.optim.Optimizer | None:
    """Muon, or None for the trainer's own AdamW."""
    if recipe.optimizer == "adamw":
        return None
    return MuonWithAdamW(model, recipe.learning_rate, weight_decay=0.0, adam_beta2=0.999)


def steps(count: int, recipe: SFTRecipe) -> int:
    """Updates for `count` rows."""
    return math.ceil(passes(count, recipe) * math.ceil(count / recipe.batch_size))


def passes(count: int, recipe: SFTRecipe) -> float:
    """How often `count` rows are passed over."""
    return max(recipe.epochs, min(MOST_PASSES, recipe.min_steps / math.ceil(count / recipe.batch_size)))


def main(arguments: list[str]) -> str | None:
    """Continue the parent (or begin an adapter) on demonstrations. Returns the new version's id; None for a dry run."""
    place, run, recipe = TrlParser((Place, Run, SFTRecipe), allow_abbrev=False).parse_args_and_config(
        arguments
    )
    rows = read(recipe.demonstrations) if recipe.demonstrations else from_store(place.home)
    opened = open_parent(place, recipe.quantize)
    loaded = opened.loaded
    found = sort(rows, loaded.tokenizer, loaded.window)
    dataset, aside = found.training, found.held_out
    model = _model(opened, recipe)
    what = "all weights" if recipe.full else "LoRA"
    say(
        f"model: {what} on {opened.parent.id}; loss: cross-entropy of completions; optimiser: {recipe.optimizer}",
        f"rows: {len(dataset)} used, {len(aside)} held out, {found.too_long} too long for {loaded.window} tokens, "
        f"{found.empty} empty, {found.repeated} repeated",
    )
    if run.dry_run:
        split = [row["labels"].count(-100) for row in dataset]
        dry_run.report(
            model,
            loaded.tokenizer,
            [(row["input_ids"][:at], row["input_ids"][at:]) for row, at in zip(dataset, split, strict=True)],
            updates=steps(len(dataset), recipe),
            rows_an_update=min(recipe.batch_size, len(dataset)),
            reference=False,
        )
        return None

    data_hash = rows_hash(rows)
    if recipe.packing:
        dataset, aside = packed(dataset, loaded.window), alone(aside)
    work = work_folder(opened, place, "sft", recipe, run, data_hash)
    metrics = train(model, loaded.tokenizer, dataset, recipe, work, aside, run)
    return write_child(
        opened,
        place,
        model,
        stage="sft",
        recipe=recipe,
        seed=recipe.seed,
        data={
            "hash": data_hash,
            "demonstrations": len(found.training),
            "held_out": len(found.held_out),
            "too_long": found.too_long,
            "empty": found.empty,
            "repeated": found.repeated,
        },
        metrics=metrics,
        work=work,
    ).id


def _model(opened: Opened, recipe: SFTRecipe) -> Any:
    if opened.parent.manifest.adapter or recipe.full:
        return trainable(opened, recipe.full, needs_reference=False)[0]
    return with_new_adapter(opened.loaded.model, recipe)

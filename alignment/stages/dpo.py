"""DPO: learn from pairs. Of two answers to one prompt, the chosen one becomes likelier than the rejected one.

    python -m alignment dpo --home DIR

recipe → data → model → trainer → save. The loss is DPO's (Rafailov et al. 2023, eq. 7): the logistic loss of the
difference between both answers' log-ratios to the reference; the optimiser is AdamW; the set of candidate functions
is the parent's LoRA adapter, and its frozen copy is the reference model.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trl import DPOConfig

from alignment.data.feedback_rows import feedback_rows
from alignment.data.json_lines import rows_hash
from alignment.data.stage_snapshot import with_snapshot
from alignment.data.token_pairs import (
    SortedPairs,
    TokenPair,
    pair_columns,
    pairs_of_store,
    read_pairs,
    sort_pairs,
)
from alignment.training import dry_run
from alignment.training.batching.micro_batches import WIDTHS
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint
from alignment.training.flags import LoraRecipe, RunOptions, StageLocation, flag, parse_flags
from alignment.training.held_out_curves import StopWhenHeldOutRises, evaluation_arguments, run_trainer
from alignment.training.memory import plan_for
from alignment.training.output_version import work_folder, write_version
from alignment.training.parent_version import (
    OpenedParent,
    longest_row,
    open_parent,
    too_long,
    trainable_model,
)
from alignment.training.processes import fast_bfloat16, is_single_process, on_cpu, rows_per_process, say
from alignment.training.sizes import few_rows, for_parent
from alignment.training.trl_compat import TokenDPOTrainer, in_float32
from assistant.bases.base import Bits


@dataclass
class DPORecipe(LoraRecipe):
    """How to learn from pairs."""

    pairs: Path | None = flag(None, "JSON Lines of pairs; the store's, if left out")
    learning_rate: float = flag(
        None, "peak learning rate; it then falls to 0 on a cosine; by the model's size if left out"
    )
    beta: float = flag(0.1, "how tightly the reference holds the policy")
    """The paper's default."""
    loss_type: Literal["sigmoid", "ipo", "robust"] = flag("sigmoid", "form of the loss")
    """The paper's. IPO (Azar et al. 2023) overfits less where all people agree; robust (Chowdhury et al. 2024) allows
    for mistaken votes."""
    flipped: float = flag(0.0, "with robust: the assumed share of mistaken votes, at least 0 and below 0.5")
    batch_size: int = flag(16, "pairs in an update")
    """The paper used 64 on 170,000 pairs; a hundred pairs need more, smaller updates."""
    epochs: float = flag(None, "passes over the pairs; by the model's size if left out")
    """One to three are usual (Tunstall et al. 2023, "Zephyr"); the held-out loss decides which was best."""
    min_steps: int = flag(24, "fewest updates; for them, few rows are passed over more often")
    """Nine updates did not change behaviour."""
    warmup: float = flag(0.1, "share of all updates in which the learning rate rises")
    max_length: int | None = flag(None, "most tokens of a row; longer ones are left out, none is cut")
    full: bool = flag(False, "train all weights instead of an adapter")
    quantize: Bits | None = flag(
        None, "hold the frozen base in so many bits; the new version is served so too"
    )
    """QLoRA (Dettmers et al. 2023)."""
    seed: int = flag(1, "seed of every draw; the same one gives the same weights on a CPU")


def updates(count: int, recipe: DPORecipe) -> int:
    """Number of updates for `count` pairs."""
    return max(recipe.min_steps, math.ceil(recipe.epochs * math.ceil(count / min(recipe.batch_size, count))))


def load_data(parent: OpenedParent, location: StageLocation, recipe: DPORecipe) -> SortedPairs:
    """Pairs of the recipe's file, or of the store."""
    tokenizer, window = parent.loaded.tokenizer, longest_row(parent, recipe)
    if recipe.pairs is not None:
        return sort_pairs(read_pairs(recipe.pairs, tokenizer), window)
    feedback = feedback_rows(location.home, location.snapshot, "preference")
    pairs = pairs_of_store(feedback.rows, tokenizer)
    return sort_pairs(pairs, window, feedback.left_out_text(len(pairs)))


def load_model(parent: OpenedParent, recipe: DPORecipe) -> tuple[Any, Any]:
    """The parent's model to train and, with `full`, its reference model."""
    return trainable_model(parent, recipe, recipe.full, needs_reference=True)


def train(
    model: Any,
    tokenizer: Any,
    training: Sequence[TokenPair],
    recipe: DPORecipe,
    folder: Path,
    held_out: Sequence[TokenPair] = (),
    run: RunOptions | None = None,
    reference: Any = None,
) -> dict[str, float]:
    """Train `model`, continuing a checkpoint in `folder`. Returns metrics.

    The adapter "default" of a PEFT model is trained, and TRL keeps a frozen copy of it as the reference; a full model
    needs a `reference`.
    """
    run = run or RunOptions()
    checkpoint = last_checkpoint(folder)
    batch_size = rows_per_process(min(recipe.batch_size, len(training)))
    lengths = [
        2 * (len(pair.prompt_ids) + max(len(pair.chosen_ids), len(pair.rejected_ids))) for pair in training
    ]
    plan = plan_for(model, lengths, run.memory)
    began = time.monotonic()
    with in_float32(model):
        trainer = TokenDPOTrainer(
            model=model,
            ref_model=reference,
            args=DPOConfig(
                output_dir=str(folder),
                per_device_train_batch_size=batch_size,
                per_device_eval_batch_size=batch_size,
                max_steps=updates(len(training), recipe),
                learning_rate=recipe.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=recipe.warmup,
                weight_decay=0.0,
                beta=recipe.beta,
                loss_type=[recipe.loss_type],
                label_smoothing=recipe.flipped,
                max_length=None,
                pad_to_multiple_of=WIDTHS,
                precompute_ref_log_probs=is_single_process(),
                activation_checkpointing=plan.checkpointing,
                bf16=fast_bfloat16(),
                use_cpu=on_cpu(),
                seed=recipe.seed,
                logging_steps=5,
                **evaluation_arguments(run, updates(len(training), recipe), len(held_out), checkpoint),
            ),
            train_dataset=pair_columns(training),
            eval_dataset=pair_columns(held_out) if held_out else None,
            processing_class=tokenizer,
            tokens_at_once=plan.tokens_at_once,
            callbacks=[StopOnBadLoss(), StopWhenHeldOutRises(run, len(held_out))],
        )
    metrics = run_trainer(trainer, checkpoint, began)
    accuracies = [
        entry["rewards/accuracies"] for entry in trainer.state.log_history if "rewards/accuracies" in entry
    ]
    return {
        **metrics,
        "training_accuracy": float(accuracies[-1]) if accuracies else math.nan,
        "steps": float(trainer.state.global_step),
    }


def main(arguments: list[str]) -> str | None:
    """Train the parent on pairs. Returns the new version's id; None for a dry run."""
    location, run, recipe = parse_flags(arguments, DPORecipe)
    parent = open_parent(location, recipe.quantize)
    recipe = for_parent(recipe, "dpo", parent)
    location = with_snapshot(location, run, recipe, "preference")
    tokenizer = parent.loaded.tokenizer
    data = load_data(parent, location, recipe)
    model, reference = load_model(parent, recipe)
    trained = "all weights" if recipe.full else "LoRA"
    say(
        f"model: {trained} of {parent.version.id}; loss: DPO ({recipe.loss_type}), beta {recipe.beta}; "
        "optimiser: AdamW",
        f"rows: {len(data.training)} pairs; {len(data.held_out)} held out, "
        f"{too_long(parent, recipe, data.too_long)}, {data.tied} tied, {data.repeated} repeated{data.left_out}",
        *few_rows(len(data.training), updates(len(data.training), recipe), recipe.batch_size),
    )
    if run.dry_run:
        examples = [(pair.prompt_ids, pair.chosen_ids) for pair in data.training]
        examples += [(pair.prompt_ids, pair.rejected_ids) for pair in data.training]
        dry_run.report(
            model,
            tokenizer,
            examples,
            updates=updates(len(data.training), recipe),
            # Both answers of a pair are read.
            rows_an_update=2 * min(recipe.batch_size, len(data.training)),
            reference=True,
            memory=run.memory,
            together=2,
        )
        return None

    data_hash = rows_hash(
        {"pair": [pair.prompt_ids, pair.chosen_ids, pair.rejected_ids]}
        for pair in [*data.training, *data.held_out]
    )
    work = work_folder(parent, location, "dpo", recipe, run, data_hash)
    metrics = train(model, tokenizer, data.training, recipe, work, data.held_out, run, reference)
    return write_version(
        parent,
        location,
        model,
        stage="dpo",
        recipe=recipe,
        data={"hash": data_hash, **data.counts()},
        metrics=metrics,
        work=work,
    )

"""KTO: learn from thumbs. Each rated reply is one row; no reply needs a rival.

    python -m alignment kto --home DIR

recipe → data → model → trainer → save. The loss is KTO's (Ethayarajh et al. 2024, eq. 8): a value function of the
reply's log-ratio to the reference, compared with a KL baseline; the optimiser is AdamW; the set of candidate functions
is the parent's LoRA adapter, and its frozen copy is the reference model.
"""

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trl import KTOConfig

from alignment.data.feedback_rows import feedback_rows
from alignment.data.json_lines import rows_hash
from alignment.data.served_ids import with_token_ids
from alignment.data.stage_snapshot import with_snapshot
from alignment.data.thumb_rows import SortedThumbs, sort_thumbs, thumb_columns
from alignment.errors import FlagError
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
from alignment.training.trl_compat import TokenKTOTrainer, in_float32
from assistant.bases.base import Bits
from feedback_store.rows import UnpairedRow


@dataclass
class KTORecipe(LoraRecipe):
    """How to learn from thumbs."""

    learning_rate: float = flag(
        None, "peak learning rate; it then falls to 0 on a cosine; by the model's size if left out"
    )
    beta: float = flag(None, "how tightly the reference holds the policy; by the model's size if left out")
    """The larger, the sooner a row that is liked or disliked enough stops pulling."""
    batch_size: int = flag(16, "thumbs in an update")
    """The KL baseline is estimated from the batch: see `baseline_rows`."""
    epochs: float = flag(None, "passes over the thumbs; by the model's size if left out")
    """A hundred rows need several to change behaviour."""
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

    def __post_init__(self) -> None:
        """Raises FlagError for a batch of one row, whose KL baseline would be its own log-ratio."""
        if self.batch_size < 2:
            raise FlagError(
                f"--batch_size is {self.batch_size}: KTO compares rows with others, so give 2 or more."
            )


def updates(count: int, recipe: KTORecipe) -> int:
    """Number of updates for `count` thumbs."""
    return max(recipe.min_steps, math.ceil(recipe.epochs * math.ceil(count / min(recipe.batch_size, count))))


def load_data(parent: OpenedParent, location: StageLocation, recipe: KTORecipe) -> SortedThumbs:
    """The store's thumbs."""
    feedback = feedback_rows(location.home, location.snapshot, "unpaired")
    rows = with_token_ids(feedback.rows, parent.loaded.tokenizer)
    return sort_thumbs(rows, longest_row(parent, recipe), feedback.left_out_text(len(rows)))


def load_model(parent: OpenedParent, recipe: KTORecipe) -> tuple[Any, Any]:
    """The parent's model to train and, with `full`, its reference model."""
    return trainable_model(parent, recipe, recipe.full, needs_reference=True)


def label_weights(up: int, down: int) -> tuple[float, float]:
    """Weights of thumbs up and thumbs down that balance their counts (paper, eq. 9: ratio between 1 and 4/3).

    The less frequent label weighs more; the other has weight 1.
    """
    return (max(1.0, down / up), max(1.0, up / down))


def baseline_rows(batch_size: int, beta: float) -> int:
    """From how many of a batch's rows its KL baseline is estimated: a share of beta of them, and at least four.

    Reading a row for the baseline costs a forward pass of policy and reference, a quarter of the time if all are read.
    The loss sees beta times the baseline: the smaller beta, the less the noise of few rows counts. On SmolLM2, two
    versions that had learned from 200 thumbs wrote neighbours' completions less likely by 12 and by 24 nats on average,
    with deviations of 11 and 19: the baseline, never below 0, is 0 from four rows as from sixteen.
    """
    return max(4, math.ceil(min(1.0, beta) * batch_size))


def train(
    model: Any,
    tokenizer: Any,
    training: Sequence[UnpairedRow],
    recipe: KTORecipe,
    folder: Path,
    held_out: Sequence[UnpairedRow] = (),
    run: RunOptions | None = None,
    reference: Any = None,
) -> dict[str, float]:
    """Train `model`, continuing a checkpoint in `folder`. Returns metrics.

    The adapter "default" of a PEFT model is trained, and TRL keeps a frozen copy of it as the reference; a full model
    needs a `reference`.
    """
    run = run or RunOptions()
    checkpoint = last_checkpoint(folder)
    # KTO reads rows in order, because neighbours give the KL baseline; so they are shuffled here, by seed.
    order = random.Random(recipe.seed).sample(list(training), len(training))
    up = sum(row.label for row in order)
    desirable_weight, undesirable_weight = label_weights(up, len(order) - up)
    batch_size = rows_per_process(min(recipe.batch_size, len(order)))
    plan = plan_for(model, [len(row.prompt_ids) + len(row.completion_ids) for row in order], run.memory)
    began = time.monotonic()
    with in_float32(model):
        trainer = TokenKTOTrainer(
            model=model,
            ref_model=reference,
            args=KTOConfig(
                output_dir=str(folder),
                per_device_train_batch_size=batch_size,
                per_device_eval_batch_size=batch_size,
                max_steps=updates(len(order), recipe),
                learning_rate=recipe.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=recipe.warmup,
                beta=recipe.beta,
                desirable_weight=desirable_weight,
                undesirable_weight=undesirable_weight,
                max_length=None,
                pad_to_multiple_of=WIDTHS,
                precompute_ref_log_probs=is_single_process(),
                activation_checkpointing=plan.checkpointing,
                bf16=fast_bfloat16(),
                use_cpu=on_cpu(),
                seed=recipe.seed,
                logging_steps=5,
                **evaluation_arguments(run, updates(len(order), recipe), len(held_out), checkpoint),
            ),
            train_dataset=thumb_columns(order),
            eval_dataset=thumb_columns(held_out) if held_out else None,
            processing_class=tokenizer,
            tokens_at_once=plan.tokens_at_once,
            baseline_rows=baseline_rows(batch_size, recipe.beta),
            callbacks=[StopOnBadLoss(), StopWhenHeldOutRises(run, len(held_out))],
        )
    metrics = run_trainer(trainer, checkpoint, began)
    last = next(entry for entry in reversed(trainer.state.log_history) if "kl" in entry)
    return {**metrics, "kl": float(last["kl"]), "steps": float(trainer.state.global_step)}


def main(arguments: list[str]) -> str | None:
    """Train the parent on thumbs. Returns the new version's id; None for a dry run."""
    location, run, recipe = parse_flags(arguments, KTORecipe)
    parent = open_parent(location, recipe.quantize)
    recipe = for_parent(recipe, "kto", parent)
    location = with_snapshot(location, run, recipe, "unpaired")
    tokenizer = parent.loaded.tokenizer
    data = load_data(parent, location, recipe)
    model, reference = load_model(parent, recipe)
    trained = "all weights" if recipe.full else "LoRA"
    say(
        f"model: {trained} of {parent.version.id}; loss: KTO, beta {recipe.beta}; optimiser: AdamW",
        f"rows: {data.up} up, {data.down} down; {len(data.held_out)} held out, "
        f"{too_long(parent, recipe, data.too_long)}, {data.incomplete} empty or failed{data.left_out}",
        *few_rows(len(data.training), updates(len(data.training), recipe), recipe.batch_size),
    )
    if run.dry_run:
        dry_run.report(
            model,
            tokenizer,
            [(row.prompt_ids, row.completion_ids) for row in data.training],
            updates=updates(len(data.training), recipe),
            rows_an_update=min(recipe.batch_size, len(data.training)),
            reference=True,
            memory=run.memory,
        )
        return None

    data_hash = rows_hash(
        {"reply": [row.prompt_ids, row.completion_ids], "label": row.label}
        for row in [*data.training, *data.held_out]
    )
    work = work_folder(parent, location, "kto", recipe, run, data_hash)
    metrics = train(model, tokenizer, data.training, recipe, work, data.held_out, run, reference)
    return write_version(
        parent,
        location,
        model,
        stage="kto",
        recipe=recipe,
        data={"hash": data_hash, **data.counts()},
        metrics=metrics,
        work=work,
    )

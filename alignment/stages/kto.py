"""KTO: learn from thumbs. Each rated reply is one row; no reply needs a rival.

    python -m alignment kto --home DIR

recipe → data → model → trainer → save. The loss is KTO's (Ethayarajh et al. 2024, eq. 8): a value function of the
reply's log-ratio to the reference against a KL baseline; the optimiser is AdamW; the set of candidate functions
is the parent's LoRA adapter, and the parent's frozen copy of it is the reference model.
"""

import math
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import KTOConfig, KTOTrainer, TrlParser

from alignment.data import served_ids
from alignment.data.dataset import rows_hash
from alignment.errors import DataError
from alignment.training import dry_run, held_out_curves
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint
from alignment.training.held_out_curves import Run, StopWhenHeldOutRises
from alignment.training.stage import (
    Place,
    alone,
    feedback,
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
from feedback_store import rows
from feedback_store.rows import UnpairedRow


@dataclass
class KTORecipe:
    """How to learn from thumbs."""

    learning_rate: float = 1e-4
    """For LoRA on the starter: of 300 thumbs with one in ten wrong, this taught most; 5e-5 taught less, and 2e-4
    broke what was right before. The paper's 5e-7 to 5e-6 are for all weights of 1B to 30B models."""
    beta: float = 0.1
    """How tightly the reference holds the policy; the paper's default."""
    batch_size: int = 16
    """The KL baseline is estimated from the batch, so it wants company: the paper advises 8 or more."""
    epochs: float = 4.0
    """Passes over the thumbs: a hundred rows need several to move anything."""
    min_steps: int = 24
    """Few thumbs are passed over more often, until there are this many updates: nine moved no habit here."""
    warmup: float = 0.1
    full: bool = False
    """Train all weights instead of the adapter."""
    quantize: Bits | None = None
    """Hold the frozen base in fewer bits (QLoRA, Dettmers et al. 2023); the new version is then served so too."""
    seed: int = 1


class TokenKTOTrainer(KTOTrainer):
    """TRL's trainer on rows that are token ids already: what was served is trained on token for token.

    TRL tokenizes text; a sampled completion's text may tokenize to other ids than were drawn.
    """

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: KTOConfig, dataset_name: str
    ) -> Dataset:
        def mismatch(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
            # The KL baseline pairs each prompt with its neighbour's completion, within a batch (paper, section 4.1).
            completions = batch["completion_ids"]
            return {**batch, "KL_completion_ids": [completions[-1], *completions[:-1]]}

        # A batch is what all processes see in one update, so that their number changes nothing.
        together = args.per_device_train_batch_size * args.world_size
        return dataset.map(mismatch, batched=True, batch_size=together)


def usable(
    found: Sequence[UnpairedRow], window: int, held_out: int = 0, left_out: str = ""
) -> tuple[list[UnpairedRow], int]:
    """Rows that can be trained on, and how many are longer than `window` tokens. Never cut in the middle.

    `held_out`: how many more there are for evaluation alone, and `left_out`: what the store's rules took away, in
    words; both are told where the rest cannot teach. Raises DataError where there is nothing to learn from: no
    thumbs, or thumbs of one kind.
    """
    if not found and not held_out:
        raise DataError(
            f"There are no ratings yet{left_out}. Chat, give thumbs up and thumbs down to answers, and run this again."
        )
    spoken = [row for row in found if row.completion_ids and row.finish_reason != "error"]
    short = [row for row in spoken if fits(row, window)]
    if not short:
        raise DataError(
            f"None of the {len(found)} rated replies can be trained on: they are empty, failed or too long."
        )
    up = sum(row.label for row in short)
    if up in (0, len(short)):
        given, missing = ("up", "down") if up else ("down", "up")
        raise DataError(
            f"All {len(short)} rated replies have thumbs {given}"
            f"{f' ({held_out} more are held out for evaluation)' if held_out else ''}. KTO learns from the difference: "
            f"give thumbs {missing} to some answers too, and run this again."
        )
    return short, len(spoken) - len(short)


def fits(row: UnpairedRow, window: int) -> bool:
    """Whether a row says something, and is no longer than `window` tokens."""
    spoken = bool(row.completion_ids) and row.finish_reason != "error"
    return spoken and len(row.prompt_ids) + len(row.completion_ids) <= window


def weights(up: int, down: int) -> tuple[float, float]:
    """Weights of thumbs up and thumbs down that balance their counts (paper, eq. 9: ratio between 1 and 4/3).

    The rarer side is weighted up, the commoner stays at 1.
    """
    return (max(1.0, down / up), max(1.0, up / down))


def steps(count: int, recipe: KTORecipe) -> int:
    """Updates for `count` thumbs."""
    return max(recipe.min_steps, math.ceil(recipe.epochs * math.ceil(count / min(recipe.batch_size, count))))


def train(
    model: Any,
    tokenizer: Any,
    chosen: Sequence[UnpairedRow],
    recipe: KTORecipe,
    folder: Path | None = None,
    held_out: Sequence[UnpairedRow] = (),
    run: Run | None = None,
    reference: Any = None,
) -> dict[str, float]:
    """Train `model`; resumes from a checkpoint in `folder`, where one is given. Returns metrics.

    The "default" adapter of a PEFT model is trained, and TRL keeps its frozen copy as the reference; a full model needs
    its `reference` given.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as aside:
            return train(model, tokenizer, chosen, recipe, Path(aside), held_out, run, reference)
    run = run or Run()
    checkpoint = last_checkpoint(folder)
    # KTO reads rows in order, because neighbours give the KL baseline; so the order is shuffled here, by seed.
    order = random.Random(recipe.seed).sample(list(chosen), len(chosen))
    up = sum(row.label for row in order)
    desirable, undesirable = weights(up, len(order) - up)
    batch_size = per_process(min(recipe.batch_size, len(order)))
    with in_float32(model):
        trainer = TokenKTOTrainer(
            model=model,
            ref_model=reference,
            args=KTOConfig(
                output_dir=str(folder),
                per_device_train_batch_size=batch_size,
                per_device_eval_batch_size=batch_size,
                max_steps=steps(len(order), recipe),
                learning_rate=recipe.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=recipe.warmup,
                beta=recipe.beta,
                desirable_weight=desirable,
                undesirable_weight=undesirable,
                max_length=None,
                precompute_ref_log_probs=alone(),
                activation_checkpointing=False,
                bf16=not on_cpu(),
                use_cpu=on_cpu(),
                seed=recipe.seed,
                logging_steps=5,
                **held_out_curves.arguments(
                    run, steps(len(order), recipe), len(held_out), checkpoint is not None
                ),
            ),
            train_dataset=_columns(order),
            eval_dataset=_columns(held_out) if held_out else None,
            processing_class=tokenizer,
            callbacks=[StopOnBadLoss(), StopWhenHeldOutRises(run, len(held_out))],
        )
    result = trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_state()
    last = next(entry for entry in reversed(trainer.state.log_history) if "kl" in entry)
    return {
        **outcome(trainer, result),
        **held_out_curves.held_out_metrics(trainer.state.log_history),
        "kl": float(last["kl"]),
        "steps": float(trainer.state.global_step),
    }


def _columns(thumbs: Sequence[UnpairedRow]) -> Dataset:
    return Dataset.from_dict(
        {
            "prompt_ids": [row.prompt_ids for row in thumbs],
            "completion_ids": [row.completion_ids for row in thumbs],
            "label": [row.label for row in thumbs],
        }
    )


def main(arguments: list[str]) -> str | None:
    """Continue the parent on the store's thumbs. Returns the new version's id; None for a dry run."""
    place, run, recipe = TrlParser((Place, Run, KTORecipe), allow_abbrev=False).parse_args_and_config(
        arguments
    )
    given = feedback(place, "unpaired")
    opened = open_parent(place, recipe.quantize)
    window = opened.loaded.window
    found = served_ids.thumbs(given.rows, opened.loaded.tokenizer)
    trainable_rows = [row for row in found if not rows.held_out(row)]
    chosen, too_long = usable(trainable_rows, window, len(found) - len(trainable_rows), given.words())
    aside = [row for row in found if rows.held_out(row) and fits(row, window)]
    model, reference = trainable(opened, recipe.full, needs_reference=True)
    up = sum(row.label for row in chosen)
    what = "all weights" if recipe.full else "LoRA"
    say(
        f"model: {what} of {opened.parent.id}; loss: KTO, beta {recipe.beta}; optimiser: AdamW",
        f"rows: {up} up, {len(chosen) - up} down; {len(aside)} held out, {too_long} too long{given.words()}",
    )
    if run.dry_run:
        dry_run.report(
            model,
            opened.loaded.tokenizer,
            [(row.prompt_ids, row.completion_ids) for row in chosen],
            updates=steps(len(chosen), recipe),
            rows_an_update=min(recipe.batch_size, len(chosen)),
            reference=True,
        )
        return None

    data_hash = rows_hash([{"reply": row.reply_id, "label": row.label} for row in chosen])
    work = work_folder(opened, place, "kto", recipe, run, data_hash)
    metrics = train(model, opened.loaded.tokenizer, chosen, recipe, work, aside, run, reference)
    return write_child(
        opened,
        place,
        model,
        stage="kto",
        recipe=recipe,
        seed=recipe.seed,
        data={
            "hash": data_hash,
            "thumbs_up": up,
            "thumbs_down": len(chosen) - up,
            "held_out": len(found) - len(trainable_rows),
            "too_long": too_long,
        },
        metrics=metrics,
        work=work,
    ).id

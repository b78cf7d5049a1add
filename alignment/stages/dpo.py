"""DPO: learn from pairs. Of two answers to one prompt, the preferred one becomes likelier than the other.

    python -m alignment dpo --home DIR

recipe → data → model → trainer → save. The loss is DPO's (Rafailov et al. 2023, eq. 7): the logistic loss of the
difference between both answers' log-ratios to the reference; the optimiser is AdamW; the set of candidate functions
is the parent's LoRA adapter, and the parent's frozen copy of it is the reference model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from datasets import Dataset
from trl import DPOConfig, DPOTrainer, TrlParser

from alignment.data import pairs
from alignment.data.dataset import rows_hash
from alignment.data.pairs import Pair
from alignment.training import dry_run, held_out_curves
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint
from alignment.training.held_out_curves import Run, StopWhenHeldOutRises
from alignment.training.stage import (
    Opened,
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


@dataclass
class DPORecipe:
    """How to learn from pairs."""

    pairs: Path | None = field(
        default=None, metadata={"help": "JSON Lines of pairs; the store's, if left out"}
    )
    learning_rate: float = 7e-5
    """For LoRA on the starter: at 2e-4 its second round made liked answers that it had not seen much less likely, and
    on fifty noisy pairs 1e-4 broke more of what was right than this. For models of 0.5B to 2B see configs/dpo-2b.yaml;
    the paper's 1e-6 moved all weights."""
    beta: float = 0.1
    """How tightly the reference holds the policy; the paper's default."""
    loss_type: Literal["sigmoid", "ipo", "robust"] = "sigmoid"
    """The paper's. IPO (Azar et al. 2023) overfits less where all agree; robust (Chowdhury et al. 2024) bears slips."""
    flipped: float = 0.0
    """With robust: the share of votes thought to be slips, at least 0 and below 0.5."""
    batch_size: int = 16
    """The paper used 64 on 170,000 pairs; a hundred pairs want more, smaller steps."""
    epochs: float = 3.0
    """One to three are usual (Tunstall et al. 2023, "Zephyr"); which was best, the held-out loss decides."""
    min_steps: int = 24
    """Few pairs are passed over more often, until there are this many updates: nine moved no habit of the starter's."""
    warmup: float = 0.1
    full: bool = False
    """Train all weights instead of the adapter."""
    quantize: Bits | None = None
    """Hold the frozen base in fewer bits (QLoRA, Dettmers et al. 2023); the new version is then served so too."""
    seed: int = 1


class TokenDPOTrainer(DPOTrainer):
    """TRL's trainer on rows that are token ids already: what was served is trained on token for token."""

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: DPOConfig, dataset_name: str
    ) -> Dataset:
        return dataset


def steps(count: int, recipe: DPORecipe) -> int:
    """Updates for `count` pairs."""
    return max(recipe.min_steps, math.ceil(recipe.epochs * math.ceil(count / min(recipe.batch_size, count))))


def train(
    model: Any,
    tokenizer: Any,
    training: Sequence[Pair],
    recipe: DPORecipe,
    folder: Path,
    held_out: Sequence[Pair] = (),
    run: Run | None = None,
    reference: Any = None,
) -> dict[str, float]:
    """Train `model`; resumes from a checkpoint in `folder`. Returns metrics.

    The "default" adapter of a PEFT model is trained, and TRL keeps its frozen copy as the reference; a full model needs
    its `reference` given.
    """
    run = run or Run()
    checkpoint = last_checkpoint(folder)
    batch_size = per_process(min(recipe.batch_size, len(training)))
    with in_float32(model):
        trainer = TokenDPOTrainer(
            model=model,
            ref_model=reference,
            args=DPOConfig(
                output_dir=str(folder),
                per_device_train_batch_size=batch_size,
                per_device_eval_batch_size=batch_size,
                max_steps=steps(len(training), recipe),
                learning_rate=recipe.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=recipe.warmup,
                weight_decay=0.0,
                beta=recipe.beta,
                loss_type=[recipe.loss_type],
                label_smoothing=recipe.flipped,
                max_length=None,
                precompute_ref_log_probs=alone(),
                activation_checkpointing=False,
                bf16=not on_cpu(),
                use_cpu=on_cpu(),
                seed=recipe.seed,
                logging_steps=5,
                **held_out_curves.arguments(
                    run, steps(len(training), recipe), len(held_out), checkpoint is not None
                ),
            ),
            train_dataset=pairs.columns(training),
            eval_dataset=pairs.columns(held_out) if held_out else None,
            processing_class=tokenizer,
            callbacks=[StopOnBadLoss(), StopWhenHeldOutRises(run, len(held_out))],
        )
    result = trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_state()
    logged = [entry for entry in trainer.state.log_history if "rewards/accuracies" in entry]
    return {
        **outcome(trainer, result),
        **held_out_curves.held_out_metrics(trainer.state.log_history),
        "training_accuracy": float(logged[-1]["rewards/accuracies"]) if logged else math.nan,
        "steps": float(trainer.state.global_step),
    }


def main(arguments: list[str]) -> str | None:
    """Continue the parent on pairs. Returns the new version's id; None for a dry run."""
    place, run, recipe = TrlParser((Place, Run, DPORecipe), allow_abbrev=False).parse_args_and_config(
        arguments
    )
    opened = open_parent(place, recipe.quantize)
    model, reference = trainable(opened, recipe.full, needs_reference=True)
    given, left_out = _found(opened, place, recipe)
    found = pairs.sort(given, opened.loaded.window, left_out)
    what = "all weights" if recipe.full else "LoRA"
    say(
        f"model: {what} of {opened.parent.id}; loss: DPO ({recipe.loss_type}), beta {recipe.beta}; optimiser: AdamW",
        f"rows: {len(found.training)} pairs; {len(found.held_out)} held out, {found.too_long} too long, "
        f"{found.tied} tied, {found.repeated} repeated{left_out}",
    )
    if run.dry_run:
        examples = [(pair.prompt_ids, pair.chosen_ids) for pair in found.training]
        examples += [(pair.prompt_ids, pair.rejected_ids) for pair in found.training]
        # Both answers of a pair are rows; the reference reads them too, without a backward pass.
        dry_run.report(
            model,
            opened.loaded.tokenizer,
            examples,
            updates=steps(len(found.training), recipe),
            rows_an_update=2 * min(recipe.batch_size, len(found.training)),
            reference=True,
        )
        return None

    data_hash = rows_hash({"pair": [p.prompt_ids, p.chosen_ids, p.rejected_ids]} for p in found.training)
    work = work_folder(opened, place, "dpo", recipe, run, data_hash)
    metrics = train(
        model, opened.loaded.tokenizer, found.training, recipe, work, found.held_out, run, reference
    )
    return write_child(
        opened,
        place,
        model,
        stage="dpo",
        recipe=recipe,
        seed=recipe.seed,
        data={"hash": data_hash, **found.counts()},
        metrics=metrics,
        work=work,
    ).id


def _found(opened: Opened, place: Place, recipe: DPORecipe) -> tuple[list[Pair], str]:
    """Pairs, and what the store's rules left out, in words."""
    if recipe.pairs is not None:
        return pairs.read(recipe.pairs, opened.loaded.tokenizer), ""
    given = feedback(place, "preference")
    return pairs.from_store(given.rows, opened.loaded.tokenizer), given.words()

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
from typing import Any

from datasets import Dataset
from trl import KTOConfig, KTOTrainer, TrlParser

from alignment.data import rows_hash
from alignment.errors import DataError
from alignment.stage import Place, StopOnBadLoss, on_cpu, open_parent, outcome, write_child
from feedback_store import FeedbackStore, rows
from feedback_store.rows import UnpairedRow


@dataclass
class KTORecipe:
    """How to learn from thumbs."""

    learning_rate: float = 2e-4
    """For LoRA on the starter; the paper's 5e-7 to 5e-6 are for all weights of 1B to 30B models."""
    beta: float = 0.1
    """How tightly the reference holds the policy; the paper's default."""
    batch_size: int = 16
    """The KL baseline is estimated from the batch, so it wants company: the paper advises 8 or more."""
    epochs: float = 4.0
    """Passes over the thumbs: a hundred rows need several to move anything."""
    min_steps: int = 24
    """Few thumbs are passed over more often, until there are this many updates: nine moved no habit here."""
    warmup: float = 0.1
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

        return dataset.map(mismatch, batched=True, batch_size=args.per_device_train_batch_size)


def usable(found: Sequence[UnpairedRow], window: int, held_out: int = 0) -> tuple[list[UnpairedRow], int]:
    """Rows that can be trained on, and how many are longer than `window` tokens. Never cut in the middle.

    `held_out`: how many more there are for evaluation alone; it is told where the rest cannot teach. Raises
    DataError where there is nothing to learn from: no thumbs, or thumbs of one kind.
    """
    if not found and not held_out:
        raise DataError(
            "There are no ratings yet. Chat, give thumbs up and thumbs down to answers, and run this again."
        )
    spoken = [row for row in found if row.completion_ids and row.finish_reason != "error"]
    short = [row for row in spoken if len(row.prompt_ids) + len(row.completion_ids) <= window]
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


def weights(up: int, down: int) -> tuple[float, float]:
    """Weights of thumbs up and thumbs down that balance their counts (paper, eq. 9: ratio between 1 and 4/3).

    The rarer side is weighted up, the commoner stays at 1.
    """
    return (max(1.0, down / up), max(1.0, up / down))


def train(model: Any, tokenizer: Any, chosen: Sequence[UnpairedRow], recipe: KTORecipe) -> dict[str, float]:
    """Train the "default" adapter of a PEFT `model`; TRL keeps its frozen copy as reference. Returns metrics."""
    # KTO reads rows in order, because neighbours give the KL baseline; so the order is shuffled here, by seed.
    order = random.Random(recipe.seed).sample(list(chosen), len(chosen))
    up = sum(row.label for row in order)
    desirable, undesirable = weights(up, len(order) - up)
    dataset = Dataset.from_dict(
        {
            "prompt_ids": [row.prompt_ids for row in order],
            "completion_ids": [row.completion_ids for row in order],
            "label": [row.label for row in order],
        }
    )
    batch_size = min(recipe.batch_size, len(order))
    with tempfile.TemporaryDirectory() as folder:
        trainer = TokenKTOTrainer(
            model=model,
            args=KTOConfig(
                output_dir=folder,
                per_device_train_batch_size=batch_size,
                max_steps=max(
                    recipe.min_steps, math.ceil(recipe.epochs * math.ceil(len(order) / batch_size))
                ),
                learning_rate=recipe.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=recipe.warmup,
                beta=recipe.beta,
                desirable_weight=desirable,
                undesirable_weight=undesirable,
                max_length=None,
                activation_checkpointing=False,
                bf16=not on_cpu(),
                use_cpu=on_cpu(),
                seed=recipe.seed,
                save_strategy="no",
                logging_steps=5,
                logging_first_step=True,
                report_to="none",
            ),
            train_dataset=dataset,
            processing_class=tokenizer,
            callbacks=[StopOnBadLoss()],
        )
        result = trainer.train()
    last = next(entry for entry in reversed(trainer.state.log_history) if "kl" in entry)
    return {
        **outcome(trainer, result),
        "kl": float(last["kl"]),
        "steps": float(trainer.state.global_step),
    }


def main(arguments: list[str]) -> str:
    """Continue the parent's adapter on the store's thumbs. Returns the new version's id."""
    place, recipe = TrlParser((Place, KTORecipe), allow_abbrev=False).parse_args_and_config(arguments)
    with FeedbackStore.open(place.home / "feedback.db", create=False) as store:
        found = rows.from_store(store)
    trainable = [row for row in found if not rows.held_out(row)]
    opened = open_parent(place)
    chosen, too_long = usable(trainable, opened.loaded.window, len(found) - len(trainable))
    if not opened.parent.manifest.adapter:
        raise DataError(
            f"{opened.parent.id} has no adapter to continue. Run `python -m alignment sft` first."
        )
    up = sum(row.label for row in chosen)
    print(f"model: LoRA of {opened.parent.id}; loss: KTO, beta {recipe.beta}; optimiser: AdamW")
    print(
        f"rows: {up} up, {len(chosen) - up} down; {len(found) - len(trainable)} held out, {too_long} too long"
    )

    metrics = train(opened.loaded.model, opened.loaded.tokenizer, chosen, recipe)
    version = write_child(
        opened,
        place,
        opened.loaded.model,
        stage="kto",
        recipe=recipe,
        seed=recipe.seed,
        data={
            "hash": rows_hash([{"reply": row.reply_id, "label": row.label} for row in chosen]),
            "thumbs_up": up,
            "thumbs_down": len(chosen) - up,
            "held_out": len(found) - len(trainable),
            "too_long": too_long,
        },
        metrics=metrics,
    )
    return version.id

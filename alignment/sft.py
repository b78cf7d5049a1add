"""SFT: supervised fine-tuning of a LoRA adapter on demonstrations. A model that continues learns to answer.

    python -m alignment sft --demonstrations rows.jsonl --home DIR

recipe → data → model → trainer → save. The loss is the cross-entropy of the completion's tokens alone; the
optimiser is AdamW; the set of candidate functions is the adapter's weights over the frozen base.
"""

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import set_seed
from trl import SFTConfig, SFTTrainer, TrlParser

from alignment.data import demonstrations, rows_hash
from alignment.errors import DataError
from alignment.stage import Place, StopOnBadLoss, last_checkpoint, on_cpu, open_parent, outcome, write_child


@dataclass
class SFTRecipe:
    """How to fine-tune on demonstrations."""

    demonstrations: Path | None = field(
        default=None, metadata={"help": "JSON Lines: messages, think, thought, answer"}
    )
    rank: int = 32
    """LoRA rank, where the parent has no adapter yet. "LoRA Without Regret" (Schulman 2025): SFT on small data fits."""
    alpha: int = 64
    learning_rate: float = 1.5e-3
    """LoRA wants about ten times the rate of full fine-tuning (same source); higher still for a 5M base."""
    batch_size: int = 32
    epochs: float = 1.0
    warmup: float = 0.03
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


def train(model: Any, tokenizer: Any, rows: Dataset, recipe: SFTRecipe, folder: Path) -> dict[str, float]:
    """Train the adapter of `model` on `input_ids` and `labels`; resumes from a checkpoint. Returns metrics."""
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(folder),
            per_device_train_batch_size=recipe.batch_size,
            num_train_epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=recipe.warmup,
            weight_decay=0.0,
            max_length=None,
            pad_to_multiple_of=32,
            # Rows of like length together: padding is work for nothing.
            train_sampling_strategy="group_by_length",
            dataset_kwargs={"skip_prepare_dataset": True},
            activation_checkpointing=False,
            bf16=True,
            use_cpu=on_cpu(),
            seed=recipe.seed,
            save_steps=recipe.save_steps,
            save_total_limit=2,
            logging_steps=20,
            report_to="none",
        ),
        train_dataset=rows,
        processing_class=tokenizer,
        callbacks=[StopOnBadLoss()],
    )
    result = trainer.train(resume_from_checkpoint=last_checkpoint(folder))
    return {**outcome(trainer, result), "rows": float(len(rows))}


def main(arguments: list[str]) -> str:
    """Continue the parent's adapter (or begin one) on demonstrations. Returns the new version's id."""
    place, recipe = TrlParser((Place, SFTRecipe), allow_abbrev=False).parse_args_and_config(arguments)
    if recipe.demonstrations is None:
        raise DataError("There are no demonstrations. Name a JSON Lines file with --demonstrations.")
    rows = _read(recipe.demonstrations)
    opened = open_parent(place)
    loaded = opened.loaded
    dataset, too_long = demonstrations(rows, loaded.tokenizer, loaded.window)
    if not len(dataset):
        raise DataError(f"All {too_long} rows are longer than the context window of {loaded.window} tokens.")
    model = loaded.model
    if not opened.parent.manifest.adapter:
        model = with_new_adapter(model, recipe)
    print(f"model: LoRA on {opened.parent.id}; loss: cross-entropy of completions; optimiser: AdamW")
    print(f"rows: {len(dataset)} used, {too_long} too long for {loaded.window} tokens")

    work = place.home / "training" / "sft"
    shutil.rmtree(work, ignore_errors=True)
    metrics = train(model, loaded.tokenizer, dataset, recipe, work)
    version = write_child(
        opened,
        place,
        model,
        stage="sft",
        recipe=recipe,
        seed=recipe.seed,
        data={"hash": rows_hash(rows), "demonstrations": len(dataset), "too_long": too_long},
        metrics=metrics,
    )
    shutil.rmtree(work, ignore_errors=True)
    return version.id


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The demonstrations {path} cannot be read: {error}.") from error
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            rows.append({key: row[key] for key in ("messages", "think", "thought", "answer")})
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}, line {number}: expected JSON with messages, think, thought and answer ({error!r})."
            ) from error
    if not rows:
        raise DataError(f"{path} holds no demonstrations.")
    return rows

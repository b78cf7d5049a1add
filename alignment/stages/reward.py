"""Reward: a model that scores replies as people do, trained on pairs and thumbs. It scores and never chats.

    python -m alignment reward --home DIR

recipe → data → model → trainer → save. The loss of a pair is Bradley and Terry's (Ouyang et al. 2022, eq. 1):
-log σ(s(chosen) - s(rejected)). The loss of a thumb is the binary cross-entropy of σ(s): the same formula against an
imaginary reply of score 0, so that one head learns both, without a bias of its own. Pairs say only which score is
higher; thumbs put the zero where a reply is as likely liked as not. The optimiser is AdamW; the set of candidate
functions is a LoRA adapter and one linear head on the last token's hidden state. With few judgements of a larger model
it is the head alone, and its best fit is computed: see `scoring.linear_head`.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from accelerate import PartialState
from torch.nn.functional import logsigmoid
from transformers import Trainer, TrainingArguments

from alignment.data.feedback_rows import feedback_rows
from alignment.data.json_lines import rows_hash
from alignment.data.judgements import (
    JudgedCompletion,
    JudgementCollator,
    SortedJudgements,
    judgement_of_pair,
    judgement_of_thumb,
    sort_judgements,
)
from alignment.data.served_ids import with_token_ids
from alignment.data.splits import half_of
from alignment.data.stage_snapshot import with_snapshot
from alignment.data.token_pairs import pairs_of_store, read_pairs
from alignment.errors import FlagError
from alignment.scoring import linear_head, reward_model
from alignment.scoring.reward_metrics import judge
from alignment.scoring.reward_model import Scorer
from alignment.training import dry_run
from alignment.training.batching.micro_batches import Batch, MicroBatches, without_padding
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint
from alignment.training.flags import LoraRecipe, RunOptions, StageLocation, flag, parse_flags
from alignment.training.held_out_curves import StopWhenHeldOutRises, evaluation_arguments, run_trainer
from alignment.training.memory import plan_for
from alignment.training.output_version import work_folder, write_version
from alignment.training.parent_version import OpenedParent, longest_row, open_parent, too_long, without_model
from alignment.training.processes import fast_bfloat16, on_cpu, rows_per_process, say
from alignment.training.sizes import LORA, UP_TO, base_parameters, few_rows, for_parent, for_size
from assistant.bases.base import Bits


@dataclass
class RewardRecipe(LoraRecipe):
    """How to learn to score replies."""

    pairs: Path | None = flag(None, "JSON Lines of pairs; the store's pairs and thumbs, if left out")
    split: Literal["all", "a", "b"] = flag(
        "all", "train on one half of all prompts, so that another model can watch"
    )
    learning_rate: float = flag(
        None, "peak learning rate; it then falls to 0 on a cosine; by the model's size if left out"
    )
    """The head begins at zero and has far to go."""
    batch_size: int = flag(16, "judgements in an update")
    epochs: float = flag(None, "passes over the judgements; by the model's size if left out")
    """Ouyang et al. (2022, section 3.5) saw one pass overfit where many comparisons shared a prompt; thumbs are few and
    of many prompts. The held-out loss decides which weights are kept."""
    min_steps: int = flag(48, "fewest updates; for them, few rows are passed over more often")
    warmup: float = flag(0.1, "share of all updates in which the learning rate rises")
    head_only: bool | None = flag(
        None,
        "train the head alone, on what the frozen model reads once; if left out, it does so with fewer than 1,000 "
        "judgements on a model of more than 20 million parameters",
    )
    lora_dropout: float = flag(0.0, "dropout of a new adapter")
    max_length: int | None = flag(None, "most tokens of a row; longer ones are left out, none is cut")
    quantize: Bits | None = flag(
        None, "hold the frozen base in so many bits; the new version is served so too"
    )
    """QLoRA (Dettmers et al. 2023)."""
    seed: int = flag(1, "seed of every draw; the same one gives the same weights on a CPU")


FEW_JUDGEMENTS = 1_000
"""Below so many a larger model's head is trained alone. A cycle's two judges of 200 thumbs on SmolLM2
took 2,536 s with adapters, and 52 s with heads alone (`python -m benchmarks.loop.taste`, 2026-11-30, 2 cores of an
Intel Xeon). So few thumbs, most of them slips, left judges of either kind that do not surely beat chance."""


def with_head_only(recipe: RewardRecipe, parameters: int, count: int) -> RewardRecipe:
    """The recipe, with `head_only` decided for a model of so many parameters and so many judgements.

    Who sets how an adapter is trained gets one. Raises FlagError if only the head is wanted beside that.
    """
    given = [f"--{name}" for name in (*LORA, "learning_rate", "epochs") if getattr(recipe, name)]
    if recipe.head_only and given:
        raise FlagError(
            f"{', '.join(given)} would say how an adapter is trained, but --head_only trains none. Leave one of them "
            "out."
        )
    if recipe.head_only is not None:
        return recipe
    return replace(recipe, head_only=not given and parameters > UP_TO[0] and count < FEW_JUDGEMENTS)


def updates(count: int, recipe: RewardRecipe) -> int:
    """Number of updates for `count` judgements."""
    return max(recipe.min_steps, math.ceil(recipe.epochs * math.ceil(count / min(recipe.batch_size, count))))


def load_data(parent: OpenedParent, location: StageLocation, recipe: RewardRecipe) -> SortedJudgements:
    """Judgements of the recipe's file, or of the store."""
    judgements, left_out = load_judgements(parent, location, recipe)
    in_split = [row for row in judgements if recipe.split in ("all", half_of(row.messages))]
    return sort_judgements(in_split, longest_row(parent, recipe), left_out)


def load_judgements(
    parent: OpenedParent, location: StageLocation, recipe: RewardRecipe
) -> tuple[list[JudgedCompletion], str]:
    """All judgements, and as text what the store's rules left out of the thumbs."""
    tokenizer = parent.loaded.tokenizer
    if recipe.pairs is not None:
        return [judgement_of_pair(pair) for pair in read_pairs(recipe.pairs, tokenizer)], ""
    preferences = feedback_rows(location.home, location.snapshot, "preference")
    pairs = pairs_of_store(preferences.rows, tokenizer)
    thumbs = feedback_rows(location.home, location.snapshot, "unpaired")
    # The thumb of a reply that is in a pair would count one vote twice.
    in_pairs = {reply for pair in pairs for reply in pair.replies}
    rated = [row for row in thumbs.rows if row.reply_id not in in_pairs]
    alone = with_token_ids(rated, tokenizer)
    complete = [row for row in alone if row.completion_ids and row.finish_reason != "error"]
    judgements = [*map(judgement_of_pair, pairs), *map(judgement_of_thumb, complete)]
    return judgements, thumbs.left_out_text(len(thumbs.rows) - len(rated) + len(alone))


def load_model(parent: OpenedParent, recipe: RewardRecipe) -> Any:
    """The parent's model with a head that scores, all zero."""
    return reward_model.begin(parent, recipe)


class RewardTrainer(MicroBatches, Trainer):
    """A trainer of the two losses above. TRL's trainer of this name reads pairs alone."""

    def row_lengths(self, batch: Batch) -> list[int]:
        """The tokens of each judgement; both completions of a pair, padded to one length."""
        lengths = batch["attention_mask"].sum(dim=1).tolist()
        rows = lengths[: len(batch["sign"])]
        for row, second in zip(batch["paired"].tolist(), lengths[len(rows) :], strict=True):
            rows[row] = 2 * max(rows[row], second)
        return rows

    def micro_batch(self, batch: Batch, rows: Sequence[int]) -> Batch:
        """Some judgements of a batch, as `JudgementCollator` would have put them together."""
        seconds = {row: number for number, row in enumerate(batch["paired"].tolist())}
        paired = [place for place, row in enumerate(rows) if row in seconds]
        taken = [*rows, *(len(batch["sign"]) + seconds[rows[place]] for place in paired)]
        part = {name: batch[name][taken] for name in ("input_ids", "attention_mask")}
        part = without_padding(part, "attention_mask", ("input_ids", "attention_mask"))
        return {**part, "sign": batch["sign"][list(rows)], "paired": batch["paired"].new_tensor(paired)}

    def weight(self, batch: Batch) -> float:
        """The number of judgements."""
        return float(len(batch["sign"]))

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean over judgements, a pair counting as much as a thumb. `inputs`: see `JudgementCollator`."""
        scores = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
        ).logits[:, 0]
        count = len(inputs["sign"])
        rivals = scores.new_zeros(count).index_put((inputs["paired"],), scores[count:])
        loss = -logsigmoid(inputs["sign"] * (scores[:count] - rivals)).mean()
        return (loss, {}) if return_outputs else loss


def train(
    model: Any,
    training: Sequence[JudgedCompletion],
    recipe: RewardRecipe,
    folder: Path,
    held_out: Sequence[JudgedCompletion] = (),
    run: RunOptions | None = None,
) -> dict[str, Any]:
    """Train adapter and head of a reward `model`, continuing a checkpoint in `folder`. Returns metrics."""
    run = run or RunOptions()
    checkpoint = last_checkpoint(folder)
    batch_size = rows_per_process(min(recipe.batch_size, len(training)))
    lengths = [2 * max(len(row.first), len(row.second)) if row.second else len(row.first) for row in training]
    plan = plan_for(model, lengths, run.memory)
    trainer = RewardTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=batch_size,
            max_steps=updates(len(training), recipe),
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=recipe.warmup,
            weight_decay=0.0,
            remove_unused_columns=False,
            # The trainer computes a held-out loss for batches with this key.
            label_names=["sign"],
            activation_checkpointing=plan.checkpointing,
            bf16=fast_bfloat16(),
            use_cpu=on_cpu(),
            seed=recipe.seed,
            logging_steps=5,
            **evaluation_arguments(run, updates(len(training), recipe), len(held_out), checkpoint),
        ),
        data_collator=JudgementCollator(reward_model.padding(model)),
        train_dataset=[{"judged": row} for row in training],
        eval_dataset=[{"judged": row} for row in held_out] if held_out else None,
        tokens_at_once=plan.tokens_at_once,
        callbacks=[StopOnBadLoss(), StopWhenHeldOutRises(run, len(held_out))],
    )
    return {
        **run_trainer(trainer, checkpoint),
        **judge(Scorer(model), held_out),
        "steps": float(trainer.state.global_step),
    }


def train_head(
    model: Any, training: Sequence[JudgedCompletion], held_out: Sequence[JudgedCompletion]
) -> dict[str, Any]:
    """Fit the head of a reward `model` alone. Returns metrics."""
    began = time.monotonic()
    if getattr(model, "quantization_method", None) is None:
        model.to(PartialState(cpu=on_cpu()).device)
    loss = linear_head.fit_head(model, training)
    scorer = Scorer(model)
    return {"loss": loss, "seconds": round(time.monotonic() - began, 2), **judge(scorer, held_out)}


def main(arguments: list[str]) -> str | None:
    """Train a reward model on judgements. Returns the new version's id; None for a dry run."""
    location, run, recipe = parse_flags(arguments, RewardRecipe)
    parent = open_parent(location, recipe.quantize)
    location = with_snapshot(location, run, recipe, "preference", "unpaired")
    tokenizer = parent.loaded.tokenizer
    data = load_data(parent, location, recipe)
    counts, parameters = data.counts(), base_parameters(parent.loaded.model)
    recipe = with_head_only(recipe, parameters, len(data.training))
    if recipe.head_only:
        # No learning rate to speak of. Without an adapter of the parent's, one without effect is saved with the head.
        recipe = for_size(recipe, "reward", parameters, new_adapter=not parent.version.manifest.adapter)
    else:
        recipe = for_parent(recipe, "reward", parent)
    model = load_model(parent, recipe)
    parent = without_model(parent)
    trained = "a head on the frozen" if recipe.head_only else "LoRA and a head on"
    optimiser = "L-BFGS, with a ridge penalty" if recipe.head_only else "AdamW"
    say(
        f"model: {trained} {parent.version.id}; loss: Bradley-Terry (pairs), binary (thumbs); "
        f"optimiser: {optimiser}",
        f"rows: {counts['pairs']} pairs, {counts['thumbs_up']} up, {counts['thumbs_down']} down; "
        f"{counts['held_out']} held out, {too_long(parent, recipe, data.too_long)}, {data.tied} tied, "
        f"{data.repeated} repeated{data.left_out}",
        *(
            []
            if recipe.head_only
            else few_rows(len(data.training), updates(len(data.training), recipe), recipe.batch_size)
        ),
    )
    if run.dry_run and recipe.head_only:
        tokens = sum(len(row.first) + len(row.second or ()) for row in data.training)
        say(f"the model reads {tokens} tokens once", dry_run.NOTHING_WRITTEN)
        return None
    if run.dry_run:
        sequences = [row.first for row in data.training]
        sequences += [row.second for row in data.training if row.second is not None]
        rows = math.ceil(min(recipe.batch_size, len(data.training)) * len(sequences) / len(data.training))
        dry_run.report(
            model,
            tokenizer,
            # A sequence has one score, which is read at its last token.
            [(ids[:-1], ids[-1:]) for ids in sequences],
            updates=updates(len(data.training), recipe),
            rows_an_update=rows,
            reference=False,
            memory=run.memory,
            together=2 if counts["pairs"] else 1,
        )
        return None

    data_hash = rows_hash(
        {"judged": [row.first, row.second, row.sign]} for row in [*data.training, *data.held_out]
    )
    work = work_folder(parent, location, "reward", recipe, run, data_hash)
    if recipe.head_only:
        metrics = train_head(model, data.training, data.held_out)
    else:
        metrics = train(model, data.training, recipe, work, data.held_out, run)
    if "accuracy" in metrics:
        low, high = metrics["accuracy_interval"]
        longer = metrics["length_correlation"]
        say(
            f"held out: {metrics['accuracy']:.1%} judged as people did ({low:.1%} to {high:.1%}, "
            f"{len(data.held_out)} rows)",
            f"calibration: Brier score {metrics['brier']:.3f} (a coin has 0.250, lower is better); length bias: "
            + ("unknown" if longer is None else f"scores and lengths correlate by {longer:+.2f}"),
        )
    return write_version(
        parent,
        location,
        model,
        stage="reward",
        recipe=recipe,
        data={"hash": data_hash, **counts, "split": recipe.split},
        metrics=metrics,
        work=work,
    )

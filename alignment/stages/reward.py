"""Reward: a model that scores replies as people do, trained on pairs and thumbs. It judges and never chats.

    python -m alignment reward --home DIR

recipe → data → model → trainer → save. The loss of a pair is Bradley and Terry's (Ouyang et al. 2022, eq. 1):
-log σ(s(chosen) - s(rejected)). The loss of a thumb is the binary cross-entropy of σ(s): the same formula against an
imaginary reply of score 0, so one head learns both, without a bias of its own. Pairs say only which score is higher;
thumbs put the zero where a reply is as likely liked as not. The optimiser is AdamW; the set of candidate functions is
a LoRA adapter and one linear head on the last token's state.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch.nn.functional import logsigmoid
from transformers import Trainer, TrainingArguments
from trl import TrlParser

from alignment.data import served_ids
from alignment.data.dataset import half, rows_hash
from alignment.data.judgements import Judged, of_pair, of_thumb, usable
from alignment.data.pairs import from_store, read
from alignment.scoring import reward_model
from alignment.scoring.reward_metrics import judge
from alignment.scoring.reward_model import Scorer, load
from alignment.training import dry_run, held_out_curves
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint
from alignment.training.held_out_curves import Run, StopWhenHeldOutRises
from alignment.training.stage import (
    Opened,
    Place,
    feedback,
    on_cpu,
    open_parent,
    outcome,
    per_process,
    say,
    work_folder,
    write_child,
)
from assistant.serving.quantization import Bits

__all__ = ["Judged", "RewardRecipe", "Scorer", "load", "main", "train", "usable"]


@dataclass
class RewardRecipe:
    """How to learn to judge."""

    pairs: Path | None = field(
        default=None, metadata={"help": "JSON Lines of pairs; the store's pairs and thumbs, if left out"}
    )
    split: Literal["all", "a", "b"] = field(
        default="all", metadata={"help": "train on one half of all prompts, so that another model can watch"}
    )
    learning_rate: float = 3e-4
    """For LoRA on the starter; the head begins at zero and has far to go. For 0.5B to 2B see configs/reward-2b.yaml."""
    batch_size: int = 16
    epochs: float = 3.0
    """Ouyang et al. (2022, section 3.5) saw one pass overfit where many comparisons shared a prompt; thumbs are few and
    of many prompts. The held-out loss decides what is kept."""
    min_steps: int = 48
    warmup: float = 0.1
    rank: int = 16
    """LoRA rank, where the parent has no adapter to begin from."""
    quantize: Bits | None = None
    """Hold the frozen base in fewer bits (QLoRA, Dettmers et al. 2023); the new version is then served so too."""
    seed: int = 1


class RewardTrainer(Trainer):
    """The two losses above. TRL's trainer of this name reads pairs alone."""

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean over judgements, a pair counting as much as a thumb."""
        scores = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
        ).logits[:, 0]
        count = len(inputs["sign"])
        rivals = scores.new_zeros(count).index_put((inputs["paired"],), scores[count:])
        loss = -logsigmoid(inputs["sign"] * (scores[:count] - rivals)).mean()
        return (loss, {}) if return_outputs else loss

    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[torch.Tensor, None, None]:
        """The held-out loss; there are no labels for the trainer to look for."""
        with torch.no_grad(), self.compute_loss_context_manager():
            return self.compute_loss(model, self._prepare_inputs(inputs)).detach(), None, None


@dataclass
class Collator:
    """Judgements → padded token ids: every first reply, then the rivals; `paired` says whose rivals they are."""

    pad: int

    def __call__(self, judged: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """`judged`: {"judged": Judged}."""
        all_of_them = [one["judged"] for one in judged]
        paired = [row for row, one in enumerate(all_of_them) if one.second is not None]
        sequences = [one.first for one in all_of_them] + [all_of_them[row].second for row in paired]
        ids, mask = reward_model.pad_right(sequences, self.pad)
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "sign": torch.tensor([float(one.sign) for one in all_of_them]),
            "paired": torch.tensor(paired, dtype=torch.long),
        }


def steps(count: int, recipe: RewardRecipe) -> int:
    """Updates for `count` judgements."""
    return max(recipe.min_steps, math.ceil(recipe.epochs * math.ceil(count / min(recipe.batch_size, count))))


def train(
    model: Any,
    training: Sequence[Judged],
    recipe: RewardRecipe,
    folder: Path,
    aside: Sequence[Judged] = (),
    run: Run | None = None,
) -> dict[str, Any]:
    """Train adapter and head of a reward `model`; resumes from a checkpoint in `folder`. Returns metrics."""
    run = run or Run()
    checkpoint = last_checkpoint(folder)
    batch_size = per_process(min(recipe.batch_size, len(training)))
    trainer = RewardTrainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=batch_size,
            per_device_eval_batch_size=batch_size,
            max_steps=steps(len(training), recipe),
            learning_rate=recipe.learning_rate,
            lr_scheduler_type="cosine",
            warmup_steps=recipe.warmup,
            weight_decay=0.0,
            remove_unused_columns=False,
            bf16=not on_cpu(),
            use_cpu=on_cpu(),
            seed=recipe.seed,
            logging_steps=5,
            **held_out_curves.arguments(
                run, steps(len(training), recipe), len(aside), checkpoint is not None
            ),
        ),
        train_dataset=_items(training),
        eval_dataset=_items(aside) if aside else None,
        data_collator=Collator(reward_model.padding(model)),
        callbacks=[StopOnBadLoss(), StopWhenHeldOutRises(run, len(aside))],
    )
    result = trainer.train(resume_from_checkpoint=checkpoint)
    trainer.save_state()
    return {
        **outcome(trainer, result),
        **held_out_curves.held_out_metrics(trainer.state.log_history),
        **judge(Scorer(model), aside),
        "steps": float(trainer.state.global_step),
    }


def _items(judged: Sequence[Judged]) -> Any:
    return [{"judged": one} for one in judged]


def main(arguments: list[str]) -> str | None:
    """Train a judge on people's judgements. Returns the new version's id; None for a dry run."""
    place, run, recipe = TrlParser((Place, Run, RewardRecipe), allow_abbrev=False).parse_args_and_config(
        arguments
    )
    opened = open_parent(place, recipe.quantize)
    given, left_out = _found(opened, place, recipe)
    found = [one for one in given if recipe.split in ("all", half(one.messages))]
    kept = usable(found, opened.loaded.window, left_out)
    training, aside = kept.training, kept.held_out
    data = {
        "pairs": sum(one.second is not None for one in training),
        "thumbs_up": sum(one.second is None and one.sign > 0 for one in training),
        "thumbs_down": sum(one.second is None and one.sign < 0 for one in training),
        "held_out": len(aside),
        "too_long": kept.too_long,
        "tied": kept.tied,
        "repeated": kept.repeated,
        "split": recipe.split,
    }
    model = reward_model.begin(opened, recipe.rank, recipe.seed)
    say(
        f"model: LoRA and a head on {opened.parent.id}; loss: Bradley-Terry (pairs), binary (thumbs); optimiser: AdamW",
        f"rows: {data['pairs']} pairs, {data['thumbs_up']} up, {data['thumbs_down']} down; "
        f"{len(aside)} held out, {kept.too_long} too long, {kept.tied} tied, {kept.repeated} repeated{left_out}",
    )
    if run.dry_run:
        sequences = [(one.first, one.prompt) for one in training]
        sequences += [(one.second, one.prompt) for one in training if one.second is not None]
        dry_run.report(
            model,
            opened.loaded.tokenizer,
            # One score a sequence: it is read at the last token, which sees all the others.
            [(whole[:-1], whole[-1:]) for whole, _ in sequences],
            updates=steps(len(training), recipe),
            rows_an_update=math.ceil(min(recipe.batch_size, len(training)) * len(sequences) / len(training)),
            reference=False,
        )
        return None

    data_hash = rows_hash({"judged": [one.first, one.second, one.sign]} for one in training)
    work = work_folder(opened, place, "reward", recipe, run, data_hash)
    metrics = train(model, training, recipe, work, aside, run)
    accuracy = metrics.get("accuracy")
    if accuracy is not None:
        low, high = metrics["accuracy_interval"]
        say(f"held out: {accuracy:.1%} judged as people did ({low:.1%} to {high:.1%}, {len(aside)} rows)")
    return write_child(
        opened,
        place,
        model,
        stage="reward",
        recipe=recipe,
        seed=recipe.seed,
        data={"hash": data_hash, **data},
        metrics=metrics,
        work=work,
    ).id


def _found(opened: Opened, place: Place, recipe: RewardRecipe) -> tuple[list[Judged], str]:
    """Judgements, and what the store's rules left out of the thumbs, in words."""
    tokenizer = opened.loaded.tokenizer
    if recipe.pairs is not None:
        return [of_pair(pair) for pair in read(recipe.pairs, tokenizer)], ""
    found = from_store(feedback(place, "preference").rows, tokenizer)
    rated = feedback(place, "unpaired")
    # A reply in a pair has had its say there; its thumb would count one vote twice.
    heard = {reply for pair in found for reply in pair.replies}
    thumbs = [row for row in rated.rows if row.reply_id not in heard]
    spoken = [row for row in served_ids.thumbs(thumbs, tokenizer) if row.completion_ids]
    judged = [*map(of_pair, found), *(of_thumb(row) for row in spoken if row.finish_reason != "error")]
    return judged, rated.words()

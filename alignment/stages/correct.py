"""Correct: learn what people wrote instead of wrong answers, and keep the other answers.

    python -m alignment correct --home DIR

recipe → data → anchors → model → trainer → save. The loss is the cross-entropy of the corrections, each asked in
several wordings, plus the KL divergence from the parent at anchors: answers to messages like the corrected ones, to
messages of other kinds, and replies that people liked. The optimiser is AdamW; the set of candidate functions is the
parent's LoRA adapter. Training goes on after the corrections are learned: until then they push other answers away, and
afterwards the anchors pull these back.

Every run learns all corrections that there are. So it begins before those that an earlier run learned, and not on top
of them: what each run changes by mistake would add up.
"""

import math
import random
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from trl import SFTConfig

from alignment.corrections import anchors as anchoring
from alignment.corrections import self_asked as self_asking
from alignment.corrections.anchored_trainer import AnchoredTrainer
from alignment.corrections.anchors import Anchor
from alignment.corrections.correction_rows import (
    CorrectedPrompt,
    CorrectionRows,
    correction_rows,
    corrections_among,
)
from alignment.corrections.probes import liked_rows
from alignment.corrections.self_asked import beginnings, not_about, self_asked
from alignment.data.feedback_rows import feedback_rows
from alignment.data.json_lines import rows_hash
from alignment.data.splits import is_held_out
from alignment.data.stage_snapshot import with_snapshot
from alignment.errors import DataError, FlagError
from alignment.evaluation.retention import Row
from alignment.training import dry_run
from alignment.training.checkpoints import StopOnBadLoss, last_checkpoint
from alignment.training.flags import LoraRecipe, RunOptions, StageLocation, flag, parse_flags
from alignment.training.held_out_curves import evaluation_arguments, run_trainer
from alignment.training.memory import plan_for
from alignment.training.output_version import work_folder, write_version
from alignment.training.parent_version import OpenedParent, longest_row, open_parent, trainable_model
from alignment.training.processes import (
    autocast,
    fast_bfloat16,
    on_cpu,
    rows_per_process,
    say,
    set_whole,
    whole_tensor,
)
from alignment.training.sizes import for_parent
from alignment.training.trl_compat import in_float32
from assistant.bases.base import Bits
from assistant.registry.versions import Versions
from assistant.serving import prompt

MOST_LIKED, LIKED_TOKENS = 64, 64
"""Most liked replies among the anchors, the latest, and as much of each."""
MOST_OPENINGS = 64
"""Most beginnings of corrected prompts that are continued: those of the latest."""


@dataclass
class CorrectRecipe(LoraRecipe):
    """How to learn from corrections."""

    lora_dropout: float = flag(0.0, "dropout of a new adapter")
    learning_rate: float = flag(
        None, "peak learning rate; it then falls to 0 on a cosine; by the model's size if left out"
    )
    batch_size: int = flag(8, "rows in an update: a correction in one wording is a row")
    epochs: float = flag(2, "passes over the rows")
    min_steps: int = flag(48, "fewest updates; for them, few rows are passed over more often")
    warmup: float = flag(0.1, "share of all updates in which the learning rate rises")
    anchor_weight: float = flag(5.0, "weight of the KL divergence from the parent at the anchors; 0 for none")
    """docs/explanation.md, "Corrections that do not make it forget", has what other weights kept."""
    near: int = flag(256, "most messages like the corrected ones to anchor")
    far: int = flag(64, "most messages of other kinds to anchor")
    anchors_an_update: int = flag(24, "anchors in an update")
    mixing: float = flag(0.9, "how far the new weights are from the parent's to the trained ones, 0 to 1")
    """Averaging forgets less than it unlearns (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models")."""
    on_top: bool = flag(
        False, "continue a version that learned corrections; else what it was made from learns all of them"
    )
    max_length: int | None = flag(None, "most tokens of a row; longer ones are left out, none is cut")
    quantize: Bits | None = flag(
        None, "hold the frozen base in so many bits; the new version is served so too"
    )
    """QLoRA (Dettmers et al. 2023)."""
    seed: int = flag(1, "seed of every draw; the same one gives the same weights on a CPU")

    def __post_init__(self) -> None:
        """Raises FlagError for a mixing that is no share."""
        if not 0 < self.mixing <= 1:
            raise FlagError(f"--mixing is {self.mixing:g}: give a share above 0, and at most 1.")


def before_corrections(location: StageLocation) -> StageLocation:
    """`location` with the parent that the version it names was made from, if that version learned corrections.

    Nothing changes where the version before is not there any more, or stands on another base.
    """
    versions = Versions(location.home)
    named = location.parent or versions.released()
    if named is None:
        return location
    version = versions.open(named)
    while version.manifest.stage == "correct" and version.manifest.parent in versions.ids():
        before = versions.open(str(version.manifest.parent))
        if before.manifest.base != version.manifest.base:
            break
        version = before
    if version.id == named:
        return location
    say(
        f"{named} learned corrections: {version.id}, from which it was made, learns them again with the others, so "
        f"that fewer other answers change. --on_top continues {named}"
    )
    return replace(location, parent=version.id)


def refuse_what_is_learned(location: StageLocation, recipe: CorrectRecipe, corrections: str) -> None:
    """Raises DataError if the version to continue has learned just these rows, whose hash is given, by this recipe."""
    versions = Versions(location.home)
    named = location.parent or versions.released()
    if named is None or recipe.on_top:
        return
    manifest = versions.manifest(named)
    if manifest.data.get("corrections_hash") == corrections and manifest.recipe == asdict(recipe):
        raise DataError(
            f"{named} has learned these corrections, by this recipe. Collect more, or change the recipe, for instance "
            "by another --seed."
        )


def updates(count: int, recipe: CorrectRecipe) -> int:
    """Number of updates for `count` rows."""
    return max(recipe.min_steps, math.ceil(recipe.epochs * math.ceil(count / recipe.batch_size)))


def load_data(parent: OpenedParent, location: StageLocation, recipe: CorrectRecipe) -> CorrectionRows:
    """The corrections of the store, or of a snapshot of it. Those to held-out prompts too: other wordings test them."""
    feedback = feedback_rows(location.home, location.snapshot, "preference")
    corrections = corrections_among(feedback.rows)
    return correction_rows(corrections, parent.loaded.tokenizer, longest_row(parent, recipe))


def liked_replies(
    location: StageLocation, corrections: list[CorrectedPrompt], tokenizer: Any, window: int
) -> list[Row]:
    """The latest replies that people liked here; none of a prompt that was corrected, or is held out."""
    corrected = {correction.asked for correction in corrections}
    rows = [
        row
        for row in feedback_rows(location.home, location.snapshot, "unpaired").rows
        if row.completion_ids
        and row.messages[-1]["content"] not in corrected
        and not is_held_out(row.messages)
    ]
    liked = liked_rows(rows, window, tokenizer)[-MOST_LIKED:]
    return [(prompt_ids, completion_ids[:LIKED_TOKENS]) for prompt_ids, completion_ids in liked]


def openings_of(corrections: list[CorrectedPrompt]) -> list[str]:
    """What messages like the corrected ones begin with: these without their last words."""
    texts = [text for correction in corrections for text in beginnings(correction.asked)]
    return list(dict.fromkeys(texts))[-MOST_OPENINGS:]


def anchor_seconds(parent: OpenedParent, corrections: list[CorrectedPrompt], recipe: CorrectRecipe) -> float:
    """About how long `make_anchors` takes, from one batch of messages that is asked now."""
    if not recipe.anchor_weight:
        return 0.0
    openings = openings_of(corrections)
    batch = [openings[number % len(openings)] for number in range(self_asking.BATCH)]
    began = time.perf_counter()
    self_asked(parent.loaded, batch, 1, recipe.seed)
    seconds = time.perf_counter() - began
    asking = math.ceil(2 * recipe.near / self_asking.BATCH) + math.ceil(recipe.far / self_asking.BATCH)
    answering = math.ceil((recipe.near + recipe.far) / anchoring.BATCH)
    return seconds * (asking + answering * anchoring.LONGEST / self_asking.LONGEST)


def make_anchors(
    parent: OpenedParent, corrections: list[CorrectedPrompt], liked: list[Row], recipe: CorrectRecipe
) -> list[Anchor]:
    """Anchors of the parent: its answers to messages that it asks itself, and liked replies."""
    if not recipe.anchor_weight:
        return []
    loaded = parent.loaded
    asked = [correction.asked for correction in corrections]
    openings = openings_of(corrections)
    say(
        f"anchors: asking messages like the {len(corrections)} corrected ones, and others; this takes minutes"
    )
    each = math.ceil(2 * recipe.near / max(len(openings), 1))
    near = not_about(self_asked(loaded, openings, each, recipe.seed), asked)
    near = random.Random(recipe.seed).sample(near, min(recipe.near, len(near)))
    far = not_about(self_asked(loaded, [""], recipe.far, recipe.seed), asked)
    # In the modes in which people corrected: after a thought, answers change that do not without one.
    modes = [correction.think for correction in corrections]
    prompts = [
        prompt.render(loaded.tokenizer, [{"role": "user", "content": text}], modes[number % len(modes)])
        for number, text in enumerate([*near, *far])
    ]
    rows = [row for row in anchoring.greedy_answers(loaded, prompts) if row[1]]
    say(
        f"anchors: {len(near)} messages like the corrected ones, {len(far)} of {recipe.far} others, {len(liked)} liked "
        "replies; left out is what did not end, came twice, or has a telling word of a corrected message"
    )
    # As training reads them: rounded alike, the parent has not moved from itself.
    with autocast(loaded.model.device):
        return anchoring.anchors_at(loaded.model, [*rows, *liked])


def train(
    model: Any,
    tokenizer: Any,
    training: Dataset,
    recipe: CorrectRecipe,
    folder: Path,
    anchors: list[Anchor],
    run: RunOptions | None = None,
) -> dict[str, float]:
    """Train `model` on columns `input_ids` and `labels`, continuing a checkpoint in `folder`. Returns metrics."""
    run = run or RunOptions()
    checkpoint = last_checkpoint(folder)
    parent_weights = trained_weights(model)
    lengths = [len(ids) for ids in training["input_ids"]]
    lengths += [len(anchor.prompt_ids) + len(anchor.completion_ids) for anchor in anchors]
    plan = plan_for(model, lengths, run.memory)
    with in_float32(model):
        trainer = AnchoredTrainer(
            model=model,
            args=SFTConfig(
                output_dir=str(folder),
                per_device_train_batch_size=rows_per_process(recipe.batch_size),
                max_steps=updates(len(training), recipe),
                learning_rate=recipe.learning_rate,
                lr_scheduler_type="cosine",
                warmup_steps=recipe.warmup,
                weight_decay=0.0,
                max_length=None,
                pad_to_multiple_of=32,
                dataset_kwargs={"skip_prepare_dataset": True},
                activation_checkpointing=plan.checkpointing,
                bf16=fast_bfloat16(),
                use_cpu=on_cpu(),
                seed=recipe.seed,
                logging_steps=4,
                **evaluation_arguments(run, updates(len(training), recipe), 0, checkpoint),
            ),
            train_dataset=training,
            processing_class=tokenizer,
            tokens_at_once=plan.tokens_at_once,
            callbacks=[StopOnBadLoss()],
            anchors=anchors,
            anchor_weight=recipe.anchor_weight,
            anchors_an_update=recipe.anchors_an_update if anchors else 0,
        )
    metrics = run_trainer(trainer, checkpoint)
    mix(model, parent_weights, recipe.mixing)
    return {**metrics, "rows": float(len(training)), "steps": float(trainer.state.global_step)}


def trained_weights(model: Any) -> dict[str, Tensor]:
    """A copy of what is trained of `model`, by name."""
    return {
        name: whole_tensor(weight).detach().clone()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


@torch.no_grad()
def mix(model: Any, parent_weights: Mapping[str, Tensor], share: float) -> None:
    """Move the trained weights back towards the parent's, so that `share` of what changed is left.

    A new adapter is B · A with B = 0: there B alone is moved, which makes the product just that share.
    """
    is_new = not any(weight.any() for name, weight in parent_weights.items() if "lora_B" in name)
    for name, weight in model.named_parameters():
        if weight.requires_grad and not (is_new and "lora_A" in name):
            set_whole(weight, torch.lerp(parent_weights[name], whole_tensor(weight), share))


def main(arguments: list[str]) -> str | None:
    """Train the parent on people's corrections. Returns the new version's id; None for a dry run."""
    named, run, recipe = parse_flags(arguments, CorrectRecipe)
    location = named if recipe.on_top else before_corrections(named)
    parent = open_parent(location, recipe.quantize)
    recipe = for_parent(recipe, "correct", parent)
    location = with_snapshot(location, run, recipe, "preference", "unpaired")
    tokenizer, window = parent.loaded.tokenizer, longest_row(parent, recipe)
    data = load_data(parent, location, recipe)
    say(
        f"model: LoRA on {parent.version.id}; loss: cross-entropy of corrections and {recipe.anchor_weight:g} times "
        "the KL divergence from the parent at anchors; optimiser: AdamW",
        f"rows: {len(data.used)} corrections in {len(data.training)} wordings; {data.too_long} too long for {window} "
        f"tokens, {data.refused} refused by the model's template",
    )
    corrections = rows_hash(data.training)
    refuse_what_is_learned(named, recipe, corrections)
    if run.dry_run:
        dry_run.report(
            trainable_model(parent, recipe, full=False, needs_reference=True)[0],
            tokenizer,
            [dry_run.split_supervised(row["input_ids"], row["labels"]) for row in data.training],
            updates=updates(len(data.training), recipe),
            rows_an_update=recipe.batch_size + (recipe.anchors_an_update if recipe.anchor_weight else 0),
            reference=False,
            memory=run.memory,
            before=("for the anchors", anchor_seconds(parent, data.used, recipe)),
        )
        return None

    liked = liked_replies(location, data.used, tokenizer, window) if recipe.anchor_weight else []
    data_hash = rows_hash([*data.training, *({"liked": row} for row in liked)])
    work = work_folder(parent, location, "correct", recipe, run, data_hash)
    anchors = anchoring.read_anchors(work)
    if anchors is None:
        anchors = make_anchors(parent, data.used, liked, recipe)
        anchoring.write_anchors(anchors, work)
    model, _ = trainable_model(parent, recipe, full=False, needs_reference=True)
    metrics = train(model, tokenizer, data.training, recipe, work, anchors, run)
    return write_version(
        parent,
        location,
        model,
        stage="correct",
        recipe=recipe,
        data={"hash": data_hash, "corrections_hash": corrections, **data.counts(), "anchors": len(anchors)},
        metrics=metrics,
        work=work,
    )

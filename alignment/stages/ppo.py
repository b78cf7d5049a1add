"""PPO: the model answers, a reward scores the answers, and what scored well becomes likelier.

    python -m alignment ppo --reward v3 --home DIR        # a reward model scores answers to the store's prompts
    python -m alignment ppo --suite word_two_step --reward_functions unit --home DIR        # a checker, on tasks

recipe → data → model → trainer → save. The loss is PPO's clipped policy loss (Schulman et al. 2017, eq. 7) and a
clipped value loss, on rewards that hold the policy near the parent by their KL (Ziegler et al. 2019); the optimiser
is AdamW; the set of candidate functions is the parent's LoRA adapter. Policy, value, reward and reference are
adapters and small heads on one base (`alignment.ppo`).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from accelerate import PartialState
from tqdm import tqdm

from alignment.data import prompts as prompt_data
from alignment.data.json_lines import rows_hash
from alignment.data.prompts import Prompts
from alignment.data.stage_snapshot import with_snapshot
from alignment.errors import DataError
from alignment.ppo import run_state
from alignment.ppo.run_progress import early_stop, open_tracker, run_metrics
from alignment.ppo.shared_base import SharedBase
from alignment.ppo.trainer import PPO
from alignment.scoring.reward_functions import Rollout, Source
from alignment.scoring.sources import sources_of
from alignment.training import dry_run
from alignment.training.flags import LoraRecipe, RunOptions, StageLocation, flag, parse_flags
from alignment.training.output_version import work_folder, write_version
from alignment.training.parent_version import OpenedParent, new_adapter_of, open_parent
from alignment.training.processes import on_cpu, say
from alignment.training.sizes import for_parent
from assistant.bases.base import Bits


@dataclass
class PPORecipe(LoraRecipe):
    """How to learn from a reward."""

    reward: str | None = flag(None, "version of a reward model")
    reward_functions: list[str] = field(
        default_factory=list,
        metadata={"help": "checker, unit, ends, or module:function; summed with the reward"},
    )
    reward_weights: list[float] = field(
        default_factory=list,
        metadata={"help": "one for each reward function, then the reward model's; 1 if left out"},
    )
    watch_reward: str | None = flag(None, "a second reward model, trained on other rows, that only watches")
    prompts: Path | None = flag(
        None, "JSON Lines: messages and think, prompt, or tasks; the store's if left out"
    )
    suite: str = flag("", "draw training tasks of these kinds, with commas between")
    thinking: Literal["on", "off", "both"] = flag(
        "both", "mode of prompts that name none: those of --suite and of plain files"
    )
    updates: int = flag(60, "number of updates")
    batch_size: int = flag(64, "answers in an update")
    """Huang et al. 2024 take 512 for 1B models; 64 fit ten minutes on two cores."""
    minibatches: int = flag(4, "optimiser steps in a pass over the batch")
    epochs: int = flag(2, "passes over the answers of an update")
    """The sources take 4; at LoRA's higher rate two have the same effect in half the time."""
    learning_rate: float = flag(
        None, "learning rate of the policy; it falls to 0 linearly; by the model's size if left out"
    )
    value_learning_rate: float = flag(1e-3, "learning rate of the value head; it falls to 0 linearly")
    """The value head begins at zero and is small: Adam's common default."""
    kl_coef: float = flag(0.05, "price of a nat of KL to the parent")
    """Huang et al. 2024, table 2."""
    target_kl: float = flag(0.0, "KL to steer to, in nats an answer; 0: fixed coefficient")
    kl_horizon: int = flag(10_000, "answers over which the coefficient follows --target_kl")
    """Ziegler et al. 2019, section 2.2."""
    gamma: float = flag(1.0, "discount of later rewards")
    """An answer is scored as a whole, so later tokens are not discounted (Huang et al. 2024)."""
    lam: float = flag(0.95, "lambda of generalised advantage estimation")
    clip: float = flag(0.2, "how far the ratio of probabilities may leave 1")
    value_clip: float = flag(0.2, "how far a value may leave its estimate at the rollout")
    """lam, clip and value_clip as in Schulman et al. 2017 and every source since."""
    max_grad_norm: float = flag(1.0, "norm to which gradients are clipped")
    missing_end_penalty: float = flag(
        1.0, "subtracted from the score of an answer that does not end by itself"
    )
    """Huang et al. 2024, "EOS trick"."""
    temperature: float = flag(1.0, "temperature at which answers are drawn")
    """Below 1 the policy would learn from other probabilities than it is served with."""
    max_new_tokens: int = flag(256, "most tokens of an answer")
    preflight_prompts: int = flag(
        32, "prompts answered before training, to see whether anything can be learned"
    )
    preflight_samples: int = flag(4, "answers to each of these prompts")
    """If one answer in 40 is right, 128 answers contain no right one with a probability of 4 %."""
    held_out: int = flag(64, "most held-out prompts to answer at each evaluation")
    watch_window: int = flag(8, "updates to average over when looking for over-optimisation; 0: never look")
    generate_at_once: int = flag(64, "answers drawn in one batch: bounds memory")
    micro_batch_size: int = flag(16, "answers in one pass: bounds memory")
    quantize: Bits | None = flag(
        None, "hold the frozen base in so many bits; the new version is served so too"
    )
    """QLoRA (Dettmers et al. 2023)."""
    seed: int = flag(1, "seed of every draw; the same one gives the same weights on a CPU")


def load_data(parent: OpenedParent, location: StageLocation, recipe: PPORecipe) -> Prompts:
    """Prompts to answer: drawn tasks, those of the recipe's file, or the store's."""
    tokenizer, window = parent.loaded.tokenizer, parent.loaded.window
    return prompt_data.choose(recipe, location.home, tokenizer, window, location.snapshot)


def load_model(parent: OpenedParent, recipe: PPORecipe) -> SharedBase:
    """The parent's model, with a new adapter if it has none, as the base that all models of PPO share."""
    model = parent.loaded.model
    continued = parent.version.manifest.adapter
    if not continued:
        model = new_adapter_of(recipe, model)
    if parent.base.quantize is None:
        # Quantized weights were put on their device as they were loaded.
        model = model.to("cpu" if on_cpu() else "cuda")
    return SharedBase(model, continued, recipe.temperature, recipe.seed)


def load_sources(
    parent: OpenedParent, shared: SharedBase, recipe: PPORecipe
) -> tuple[list[Source], Source | None]:
    """The rewards that are trained on, and the one that only watches.

    Raises DataError if nothing scores the answers, or the number of weights is not that of the rewards.
    """

    def open_reward_model(version: str) -> Source:
        return _reward_model(parent, shared, "reward", version, recipe.micro_batch_size)

    sources = sources_of(recipe, open_reward_model)
    weights = recipe.reward_weights or [1.0] * len(sources)
    if len(weights) != len(sources):
        raise DataError(
            f"There are {len(sources)} rewards and {len(weights)} --reward_weights: give one for each."
        )
    for source, weight in zip(sources, weights, strict=True):
        source.weight = weight
    if recipe.watch_reward is None:
        return sources, None
    return sources, _reward_model(parent, shared, "watch", recipe.watch_reward, recipe.micro_batch_size)


def _reward_model(
    parent: OpenedParent, shared: SharedBase, name: str, version_id: str, at_once: int
) -> Source:
    version, base = parent.versions.open(version_id), parent.base
    if version.manifest.stage == "reward" and version.manifest.base != base:
        raise DataError(
            f"The reward model {version_id} stands on another base than {parent.version.id}, or on one in other bits, "
            "and one base serves both. Train it from that version: python -m alignment reward --parent "
            f"{parent.version.id}{f' --quantize {base.quantize}' if base.quantize else ''}."
        )
    shared.add_reward(name, version)

    def score(answers: Sequence[Rollout]) -> list[float]:
        sequences = [[*answer.prompt_ids, *answer.completion_ids] for answer in answers]
        return shared.reward(name, sequences, at_once)

    return Source(f"{name} {version_id}", score, model=True)


def train(ppo: PPO, data: Prompts, run: RunOptions, work: Path) -> dict[str, float]:
    """Train update by update, continuing the state in `work`. Returns metrics.

    Evaluates held-out prompts and saves the state at regular intervals. Raises TrainingError if nothing can be learned,
    or a gradient is not finite.
    """
    recipe = ppo.recipe
    if not run_state.load(ppo, work):
        prompts = prompt_data.drawn(data.training, 0, recipe.preflight_prompts, recipe.seed)
        ppo.preflight(prompts, recipe.preflight_samples)
        say("before: " + ", ".join(f"{name} {value:.3g}" for name, value in ppo.before.items()))
        if data.held_out:
            ppo.evaluate(data.held_out)
        run_state.save(ppo, work)
    every = max(1, math.ceil(recipe.updates / max(run.evaluations, 1)))
    quiet = not PartialState().is_main_process
    with (
        open_tracker(run, work) as tracker,
        tqdm(total=recipe.updates, initial=ppo.done, unit="update", disable=quiet) as progress,
    ):
        while ppo.done < recipe.updates and not early_stop(ppo, run):
            metrics = ppo.update(prompt_data.drawn(data.training, ppo.done, recipe.batch_size, recipe.seed))
            progress.update()
            shown = ("score", "kl", "entropy", "ended")
            progress.set_postfix({name: f"{metrics[name]:.2f}" for name in shown})
            if tracker is not None:
                tracker.log(metrics, step=ppo.done)
            if ppo.done % every == 0 or ppo.done == recipe.updates:
                if data.held_out:
                    ppo.evaluate(data.held_out)
                run_state.save(ppo, work)
    reason = early_stop(ppo, run)
    if reason:
        say(reason)
        ppo.restore_best()
    return run_metrics(ppo, stopped_early=bool(reason))


def main(arguments: list[str]) -> str | None:
    """Train the parent's adapter on a reward. Returns the new version's id; None for a dry run."""
    location, run, recipe = parse_flags(arguments, PPORecipe)
    parent = open_parent(location, recipe.quantize)
    recipe = for_parent(recipe, "ppo", parent)
    location = with_snapshot(location, run, recipe, "prompt")
    data = load_data(parent, location, recipe)
    shared = load_model(parent, recipe)
    sources, watch = load_sources(parent, shared, recipe)
    ppo = PPO(shared, parent.loaded.tokenizer, parent.loaded.window, sources, watch, recipe)
    say(
        f"model: LoRA of {parent.version.id}, with a value head; loss: PPO, KL coefficient {recipe.kl_coef} to "
        f"{parent.version.id}; optimiser: AdamW",
        f"prompts: {len(data.training)}; {len(data.held_out)} held out, {data.left_out()}; scored by "
        + ", ".join(f"{source.weight:g} x {source.name}" for source in sources),
    )
    if run.dry_run:
        count = min(recipe.batch_size, recipe.micro_batch_size)
        sample = prompt_data.drawn(data.training, 0, count, recipe.seed)
        dry_run.report_rollouts(ppo, len(data.training), sample)
        return None

    data_hash = prompt_data.prompts_hash([*data.training, *data.held_out])
    judges = [
        [version, parent.versions.open(version).manifest.files]
        for version in (recipe.reward, recipe.watch_reward)
        if version
    ]
    fingerprint = rows_hash([{"prompts": data_hash, "judges": judges}])
    work = work_folder(parent, location, "ppo", recipe, run, fingerprint)
    metrics = train(ppo, data, run, work)
    if PartialState().is_main_process:
        log = json.dumps({"log_history": ppo.history})
        (work / "trainer_state.json").write_text(log, encoding="utf-8")
    return write_version(
        parent,
        location,
        shared.model,
        stage="ppo",
        recipe=recipe,
        data={
            "hash": data_hash,
            "prompts": len(data.training),
            "held_out": len(data.held_out),
            "too_long": data.too_long,
            "repeated": data.repeated,
        },
        metrics=metrics,
        work=work,
    )

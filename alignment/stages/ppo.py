"""PPO: the model answers, a reward scores the answers, and what scored well becomes likelier.

    python -m alignment ppo --reward v3 --home DIR        # a reward model scores answers to the store's prompts
    python -m alignment ppo --suite word_two_step --reward_functions unit --home DIR        # a checker, on tasks

recipe → data → model → trainer → save. The loss is PPO's clipped policy loss (Schulman et al. 2017, eq. 7) and a
clipped value loss, on rewards that hold the policy near the parent by their KL (Ziegler et al. 2019); the optimiser
is AdamW; the set of candidate functions is the parent's LoRA adapter. Policy, value, reward and reference are
adapters and small heads on one base.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Literal

from accelerate import Accelerator, PartialState
from tqdm import tqdm
from trl import TrlParser

from alignment.data import prompts as asked
from alignment.data.dataset import rows_hash
from alignment.data.prompts import Prompts
from alignment.errors import DataError
from alignment.ppo import run_state
from alignment.ppo.models import SharedBase
from alignment.ppo.trainer import PPO
from alignment.scoring import reward_functions as rewards
from alignment.scoring.reward_functions import Reward, Said, Source
from alignment.stages.sft import SFTRecipe, with_new_adapter
from alignment.training import dry_run
from alignment.training.held_out_curves import Run
from alignment.training.stage import Opened, Place, on_cpu, open_parent, say, work_folder, write_child
from assistant.serving.quantization import Bits


@dataclass
class PPORecipe:
    """How to learn from a reward."""

    reward: str | None = field(default=None, metadata={"help": "version of a reward model"})
    reward_functions: list[str] = field(
        default_factory=list,
        metadata={"help": "checker, unit, ends, or module:function; summed with the reward"},
    )
    reward_weights: list[float] = field(
        default_factory=list,
        metadata={"help": "one for each reward function, then the reward model's; 1 if left out"},
    )
    watch_reward: str | None = field(
        default=None, metadata={"help": "a second reward model, trained on other rows, that only looks"}
    )
    prompts: Path | None = field(
        default=None,
        metadata={"help": "JSON Lines: messages and think, prompt, or tasks; the store's if left out"},
    )
    suite: str = field(
        default="", metadata={"help": "draw training tasks of these kinds, with commas between"}
    )
    thinking: Literal["on", "off", "both"] = field(
        default="both",
        metadata={"help": "mode of prompts that name none: those of --suite and of plain files"},
    )
    updates: int = 60
    batch_size: int = 64
    """Answers an update. Huang et al. 2024 take 512 for 1B models; 64 fit ten minutes on two cores."""
    minibatches: int = 4
    epochs: int = 2
    """Passes over each batch. The sources take 4; with LoRA's higher rate two move as far, in half the time."""
    learning_rate: float = 2e-4
    """For LoRA on the starter, as in KTO here; 3e-6 is Huang et al.'s for all weights of a 1B model."""
    value_learning_rate: float = 1e-3
    """The value head begins at zero and is small: Adam's common default."""
    kl_coef: float = 0.05
    """Huang et al. 2024, table 2."""
    target_kl: float = field(
        default=0.0, metadata={"help": "nats an answer to steer the KL to; 0: fixed coefficient"}
    )
    kl_horizon: int = 10_000
    """Answers; Ziegler et al. 2019, section 2.2."""
    gamma: float = 1.0
    """An answer is scored as a whole: no token's reward counts less for coming late (Huang et al. 2024)."""
    lam: float = 0.95
    clip: float = 0.2
    value_clip: float = 0.2
    """These three as in Schulman et al. 2017 and every source since."""
    max_grad_norm: float = 1.0
    missing_end_penalty: float = 1.0
    """Off the score of an answer that does not end by itself (Huang et al. 2024, "EOS trick")."""
    temperature: float = 1.0
    """Below 1 the reward would be learned for other odds than are served by the policy's own softmax."""
    max_new_tokens: int = 256
    preflight_prompts: int = 32
    preflight_samples: int = 4
    """Where right answers come once in 40 tries, 128 tries find none with odds of 4 in 100."""
    held_out: int = field(default=64, metadata={"help": "most held-out prompts to answer at each look"})
    watch_window: int = field(
        default=8, metadata={"help": "updates to average over before over-optimisation is called; 0: never"}
    )
    generate_at_once: int = 64
    micro_batch_size: int = 16
    """Answers in one pass: bounds memory, changes nothing else."""
    quantize: Bits | None = None
    """Hold the frozen base in fewer bits (QLoRA, Dettmers et al. 2023); the new version is then served so too."""
    seed: int = 1


def sources(opened: Opened, shared: SharedBase, recipe: PPORecipe) -> tuple[list[Source], Source | None]:
    """What answers are scored by, and what only looks. Raises DataError where nothing does, or a weight is missing."""
    found = [Source(name, rewards.find(name)) for name in recipe.reward_functions]
    if recipe.reward is not None:
        found.append(_reward_model(opened, shared, "reward", recipe.reward, recipe.micro_batch_size))
    if not found:
        raise DataError(
            "Nothing scores the answers. Name a reward model with --reward, or --reward_functions."
        )
    given = recipe.reward_weights or [1.0] * len(found)
    if len(given) != len(found):
        raise DataError(
            f"There are {len(found)} rewards and {len(given)} --reward_weights: give one for each."
        )
    for source, weight in zip(found, given, strict=True):
        source.weight = weight
    if recipe.watch_reward is None:
        return found, None
    return found, _reward_model(opened, shared, "watch", recipe.watch_reward, recipe.micro_batch_size)


def _reward_model(opened: Opened, shared: SharedBase, name: str, version: str, at_once: int) -> Source:
    judge, base = opened.versions.open(version), opened.base
    if judge.manifest.stage == "reward" and judge.manifest.base != base:
        raise DataError(
            f"The reward model {version} stands on another base than {opened.parent.id}, or on one in other bits, and "
            "one base serves both. Train it from that version: python -m alignment reward --parent "
            f"{opened.parent.id}{f' --quantize {base.quantize}' if base.quantize else ''}."
        )
    shared.add_reward(name, judge)

    def score(said: list[Said]) -> list[float]:
        return shared.reward(name, [[*one.prompt_ids, *one.completion_ids] for one in said], at_once)

    model: Reward = score  # type: ignore[assignment]
    return Source(f"{name} {version}", model, model=True)


def train(ppo: PPO, found: Prompts, run: Run, work: Path) -> dict[str, float]:
    """Update by update, with a look at held-out prompts and a checkpoint now and then. Returns metrics.

    Goes on from the state in `work`. Raises TrainingError where nothing can be learned, or a gradient is no number.
    """
    recipe = ppo.recipe
    if not run_state.load(ppo, work):
        ppo.preflight(
            asked.drawn(found.training, 0, recipe.preflight_prompts, recipe.seed), recipe.preflight_samples
        )
        say("before: " + ", ".join(f"{name} {value:.3g}" for name, value in ppo.before.items()))
        if found.held_out:
            ppo.look(found.held_out)
        run_state.save(ppo, work)
    every = max(1, math.ceil(recipe.updates / max(run.evaluations, 1)))
    tracker = (
        Accelerator(cpu=on_cpu(), log_with=run.report_to, project_dir=str(work))
        if run.report_to != "none"
        else None
    )
    if tracker is not None:
        tracker.init_trackers("ppo")
    quiet = not PartialState().is_main_process
    with tqdm(total=recipe.updates, initial=ppo.done, unit="update", disable=quiet) as progress:
        while ppo.done < recipe.updates and not (why := stopped(ppo, run)):
            figures = ppo.update(asked.drawn(found.training, ppo.done, recipe.batch_size, recipe.seed))
            progress.update()
            progress.set_postfix(
                {name: f"{figures[name]:.2f}" for name in ("score", "kl", "entropy", "ended")}
            )
            if tracker is not None:
                tracker.log(figures, step=ppo.done)
            if ppo.done % every == 0 or ppo.done == recipe.updates:
                if found.held_out:
                    ppo.look(found.held_out)
                run_state.save(ppo, work)
    if tracker is not None:
        tracker.end_training()
    why = stopped(ppo, run)
    if why:
        say(why)
        ppo.keep_best()
    return metrics(ppo, bool(why))


def stopped(ppo: PPO, run: Run) -> str:
    """Why training ends before its time, in a sentence; empty where it goes on."""
    kept = "The weights of the best look at held-out prompts are kept."
    if ppo.over_optimised():
        return (
            f"Over-optimisation at update {ppo.done}: the score rises while the watching reward model's falls, so the "
            f"policy learns the reward's mistakes. {kept} Train the reward model on more ratings, or raise --kl_coef."
        )
    if ppo.falls(run.patience):
        return f"Stopped at update {ppo.done}: held-out prompts are answered worse than before. {kept}"
    return ""


def metrics(ppo: PPO, early: bool) -> dict[str, float]:
    """For the manifest: means over the last ten updates, held-out scores, and what the pre-flight found."""
    updates = [entry for entry in ppo.history if "score" in entry][-10:]
    looks = [entry for entry in ppo.history if "eval_score" in entry]
    last = {
        name: fmean(entry[name] for entry in updates if name in entry)
        for name in updates[-1]
        if name != "step"
    }
    held = {}
    if looks:
        key = "eval_watch" if ppo.watch else "eval_score"
        kept = max(looks, key=lambda look: look[key]) if early else looks[-1]
        held = {"held_out_score_before": looks[0]["eval_score"], "held_out_score": kept["eval_score"]}
    return {**ppo.before, **last, **held, "updates": float(ppo.done), "stopped_early": float(early)}


def main(arguments: list[str]) -> str | None:
    """Continue the parent's adapter on a reward. Returns the new version's id; None for a dry run."""
    place, run, recipe = TrlParser((Place, Run, PPORecipe), allow_abbrev=False).parse_args_and_config(
        arguments
    )
    opened = open_parent(place, recipe.quantize)
    found = asked.choose(recipe, place.home, opened.loaded.tokenizer, opened.loaded.window, place.snapshot)
    continued = opened.parent.manifest.adapter
    model = (
        opened.loaded.model
        if continued
        else with_new_adapter(opened.loaded.model, SFTRecipe(seed=recipe.seed))
    )
    if opened.base.quantize is None:
        # Quantized weights were put on their device as they were loaded.
        model = model.to("cpu" if on_cpu() else "cuda")
    shared = SharedBase(model, continued, recipe.temperature, recipe.seed)
    scored_by, watch = sources(opened, shared, recipe)
    ppo = PPO(shared, opened.loaded.tokenizer, opened.loaded.window, scored_by, watch, recipe)
    say(
        f"model: LoRA of {opened.parent.id}, with a value head; loss: PPO, KL coefficient {recipe.kl_coef} to "
        f"{opened.parent.id}; optimiser: AdamW",
        f"prompts: {len(found.training)}; {len(found.held_out)} held out, {found.too_long} too long, "
        f"{found.repeated} repeated; scored by "
        + ", ".join(f"{source.weight:g} x {source.name}" for source in scored_by),
    )
    if run.dry_run:
        few = min(recipe.batch_size, recipe.micro_batch_size)
        dry_run.report_rollouts(ppo, len(found.training), asked.drawn(found.training, 0, few, recipe.seed))
        return None

    data_hash = rows_hash({"messages": one.messages, "think": one.think} for one in found.training)
    judges = [[v, opened.versions.open(v).manifest.files] for v in (recipe.reward, recipe.watch_reward) if v]
    work = work_folder(
        opened, place, "ppo", recipe, run, rows_hash([{"prompts": data_hash, "judges": judges}])
    )
    outcome = train(ppo, found, run, work)
    if PartialState().is_main_process:
        (work / "trainer_state.json").write_text(json.dumps({"log_history": ppo.history}), encoding="utf-8")
    return write_child(
        opened,
        place,
        model,
        stage="ppo",
        recipe=recipe,
        seed=recipe.seed,
        data={
            "hash": data_hash,
            "prompts": len(found.training),
            "held_out": len(found.held_out),
            "too_long": found.too_long,
            "repeated": found.repeated,
        },
        metrics=outcome,
        work=work,
    ).id

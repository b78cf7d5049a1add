"""Which stages fit the data, and their runs: two reward models, one on each half of the prompts, and the candidates.

The id of each stage's version is written down before the stage begins, so that a cycle that was killed recognises it;
a stage that was killed goes on from its own checkpoint.
"""

import logging
from dataclasses import fields
from pathlib import Path
from typing import Any

from alignment.cycle.cycle_state import Journal
from alignment.errors import PolicyError, explain, is_disk_full, is_explained
from alignment.evaluation.evaluation_set import is_of_starter
from alignment.evaluation.release_policy import CyclePolicy, Policy
from alignment.event_output import emit
from alignment.stages import correct, dpo, kto, ppo, reward
from alignment.training.flags import SOURCES, RunOptions
from assistant.admin.cycle_rule import CandidatePlan
from assistant.errors import VersionError
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.registry.versions import Manifest, Version, Versions

log = logging.getLogger(__name__)

STAGES = {
    "correct": correct.main,
    "reward": reward.main,
    "dpo": dpo.main,
    "kto": kto.main,
    "ppo": ppo.main,
}
RECIPES = {
    "correct": correct.CorrectRecipe,
    "reward": reward.RewardRecipe,
    "dpo": dpo.DPORecipe,
    "kto": kto.KTORecipe,
    "ppo": ppo.PPORecipe,
}


def plan_events(plan: CandidatePlan, policy: CyclePolicy) -> list[Event]:
    """What each stage would do, for a dry run."""
    missing = plan.missing(policy)
    events = [Event.of("plan_rows", up=plan.own.up, down=plan.own.down, pairs=plan.own.pairs)]
    for stage, lack in missing.items():
        if stage != "reward" and stage not in policy.stages:
            continue
        if lack is None:
            events.append(Event.of("plan_stage_runs", stage=stage))
        else:
            events.append(Event.of("plan_stage_lacks", stage=stage, why=lack))
    if "ppo" in policy.stages and missing["reward"] is None:
        events.append(Event.of("plan_ppo", needed=policy.reward_accuracy))
    elif "ppo" in policy.stages:
        events.append(Event.of("plan_stage_lacks", stage="ppo", why=Event.of("reward_models_missing")))
    return events


def check_recipes(policy: CyclePolicy) -> None:
    """Raises PolicyError for a flag that its stage does not have, before the stages before it are trained in vain."""
    for stage, flags in policy.recipes.items():
        known = [field.name for part in (RECIPES[stage], RunOptions) for field in fields(part)]
        if unknown := [name for name in flags if name not in known]:
            raise PolicyError(
                f"cycle.recipes.{stage} has unknown key {', '.join(map(str, unknown))}. Known keys: {', '.join(known)}."
            )


def existing_judges(home: Path, journal: Journal) -> dict[str, str]:
    """The cycle's reward models that still exist, by half. One that was deleted is noted, and the cycle goes on."""
    versions, existing = Versions(home), {}
    for split, version in journal.state["judges"].items():
        if is_ours(versions, version, "reward", journal):
            existing[split] = version
        else:
            journal.note(Event.of("reward_model_gone", version=version))
    return existing


def train_judges(home: Path, policy: Policy, journal: Journal) -> dict[str, str]:
    """Train reward models; by the half of the prompts that they learned from, "a" and "b". Empty for too few rows."""
    lack = CandidatePlan.of_snapshots(journal.own, journal.whole).missing(policy.cycle)["reward"]
    if lack is not None:
        journal.note(Event.of("no_reward_models", why=lack))
        return {}
    judges = {}
    for split in ("a", "b"):
        version = _run(home, policy, journal, "reward", f"reward {split}", {"split": split})
        if version is None:
            return {}
        judges[split] = version
    return judges


def train_candidates(home: Path, policy: Policy, journal: Journal) -> list[dict[str, str]]:
    """Train a version with every stage that the policy allows and the data suffice for."""
    lacks = CandidatePlan.of_snapshots(journal.own, journal.whole).missing(policy.cycle)
    candidates = []
    for stage in policy.cycle.stages:
        flags: dict[str, Any] = {}
        lack = lacks.get(stage)
        if stage == "ppo":
            lack, flags = _ppo(home, policy.cycle, existing_judges(home, journal))
        if lack is not None:
            journal.note(Event.of("stage_not_run", stage=stage, why=lack))
            continue
        version = _run(home, policy, journal, stage, stage, flags)
        if version is not None:
            candidates.append({"stage": stage, "version": version})
    return candidates


def _ppo(home: Path, policy: CyclePolicy, judges: dict[str, str]) -> tuple[Event | None, dict[str, Any]]:
    """What PPO lacks, or its flags: the reward model that it learns from, and the one that watches it."""
    if "a" not in judges or "b" not in judges:
        return Event.of("reward_models_missing"), {}
    low = Versions(home).open(judges["a"]).manifest.metrics.get("accuracy_interval", [0.0])[0]
    if low <= policy.reward_accuracy:
        lack = Event.of(
            "reward_model_too_weak", version=judges["a"], accuracy=low, needed=policy.reward_accuracy
        )
        return lack, {}
    return None, {"reward": judges["a"], "watch_reward": judges["b"]}


def _run(
    home: Path, policy: Policy, journal: Journal, stage: str, name: str, extra_flags: dict[str, Any]
) -> str | None:
    """The version that a stage makes of the cycle's snapshot; None, and a note, where it cannot."""
    versions = Versions(home)
    folder, _ = _snapshot_of(stage, journal)
    from_elsewhere = set(policy.cycle.recipes.get(stage, {})) & set(SOURCES)
    planned: dict[str, str] = journal.state.setdefault("planned", {})
    if name in planned and is_ours(versions, planned[name], stage, journal):
        version = planned[name]
    else:
        version = planned[name] = versions.next_id()
        journal.save(planned=planned)
        emit(Event.of("cycle_stage_begins", number=journal.number, stage=name, version=version))
        flags = {
            **clean_test(stage, versions.open(journal.state["released"]), policy),
            **policy.cycle.recipes.get(stage, {}),
            **extra_flags,
            "home": home,
            "parent": journal.state["released"],
            "output_version": version,
            **({} if from_elsewhere else {"snapshot": folder}),
        }
        try:
            STAGES[stage](_as_flags(flags))
        except Exception as error:
            note_failure(journal, Event.of("stage_not_run", stage=name, why=explain(error)), error)
            return None
    return version


def clean_test(stage: str, released: Version, policy: Policy) -> dict[str, Any]:
    """Flags for a candidate that held-out votes may promote: they must not have chosen its weights among others."""
    held_out_votes_decide = not is_of_starter(policy.evaluate, released.manifest.base)
    return {"keep_last": True} if stage in ("dpo", "kto") and held_out_votes_decide else {}


def note_failure(journal: Journal, note: Event, error: Exception) -> None:
    """Note what failed, so that the cycle goes on without it; an error that nobody foresaw is also logged as it is.

    Raises `error` if the disk is full: nothing that follows could be written, and the next run goes on from here.
    """
    if is_disk_full(error):
        raise error
    if not is_explained(error):
        log.exception("%s", describe(note))
    journal.note(note)
    emit(note)


def is_ours(versions: Versions, version: str, stage: str, journal: Journal) -> bool:
    """Whether a version exists and this cycle made it: after one is deleted, another may get its number."""
    _, snapshot_id = _snapshot_of(stage, journal)
    try:
        manifest: Manifest = versions.open(version).manifest
    except VersionError:
        return False
    return (manifest.stage, manifest.data.get("snapshot", snapshot_id)) == (stage, snapshot_id)


def _snapshot_of(stage: str, journal: Journal) -> tuple[Path, str]:
    """The folder and the id of the snapshot that a stage learns from."""
    whole = journal.state["snapshot"]
    return (journal.own, whole["own"]["id"]) if stage in ("dpo", "kto") else (journal.whole, whole["id"])


def _as_flags(values: dict[str, Any]) -> list[str]:
    flags = []
    for name, value in values.items():
        flags += [f"--{name}", *map(str, value)] if isinstance(value, list | tuple) else [f"--{name}={value}"]
    return flags

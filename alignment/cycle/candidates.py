"""Which stages fit the data, and their runs: two reward models, one a half of the prompts, and the candidates.

Each stage's version is named before it begins, so that a cycle that was killed finds it again; a stage that was killed
goes on from its own checkpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from alignment.cycle.cycle_state import Journal
from alignment.data.splits import is_held_out
from alignment.errors import DataError, PolicyError, TrainingError
from alignment.evaluation.release_policy import CyclePolicy, Policy
from alignment.stages import dpo, kto, ppo, reward
from alignment.training.flags import RunOptions
from alignment.training.processes import say
from assistant.errors import VersionError
from assistant.registry.versions import Manifest, Versions
from feedback_store import FeedbackStore, rows
from feedback_store.rows import snapshot

STAGES = {"reward": reward.main, "dpo": dpo.main, "kto": kto.main, "ppo": ppo.main}
RECIPES = {
    "reward": reward.RewardRecipe,
    "dpo": dpo.DPORecipe,
    "kto": kto.KTORecipe,
    "ppo": ppo.PPORecipe,
}


@dataclass(frozen=True)
class Counted:
    """How many rows there are to train on; what is held out is not counted."""

    up: int
    down: int
    pairs: int

    @classmethod
    def of(cls, thumbs: Sequence[Any], pairs: Sequence[Any]) -> "Counted":
        trained = [row for row in thumbs if not is_held_out(row.messages)]
        up = sum(row.label for row in trained)
        return cls(up, len(trained) - up, sum(not is_held_out(row.messages) for row in pairs))

    @property
    def thumbs(self) -> int:
        return self.up + self.down


@dataclass(frozen=True)
class Plan:
    """What candidates learn from, and what reward models learn from: everything."""

    own: Counted
    whole: Counted

    @classmethod
    def of_store(cls, store: FeedbackStore, policy: Policy, released: str | None) -> "Plan":
        """By the rows that snapshots taken now would hold."""

        def counted(version: str | None) -> Counted:
            pairs = rows.preferences(store, policy.rules, version)
            return Counted.of(rows.from_store(store, version, policy.rules), pairs)

        whole = counted(None)
        return cls(whole if policy.cycle.learn_from == "all" else counted(released), whole)

    def missing(self, policy: CyclePolicy) -> dict[str, str]:
        """What each stage lacks, in words; empty for one that can run. PPO needs the judges' figures too."""
        own, whole = self.own, self.whole
        found = {
            "dpo": _lack(own.pairs, policy.minimum_pairs, "pairs"),
            "kto": _lack(own.thumbs, policy.minimum_thumbs, "thumbs"),
            "reward": _lack(whole.thumbs + whole.pairs, policy.minimum_judgements, "pairs and thumbs"),
        }
        if not found["kto"] and not (own.up and own.down):
            way = "up" if own.up else "down"
            found["kto"] = f"all {own.thumbs} thumbs point {way}, and it learns from the difference"
        if not found["reward"] and not whole.pairs and not (whole.up and whole.down):
            found["reward"] = "all thumbs point one way, and it learns from the difference"
        return found

    def words(self, policy: CyclePolicy) -> list[str]:
        """A line a stage, for a dry run."""
        lines = [
            f"rows to train on: {self.own.up} thumbs up, {self.own.down} thumbs down, {self.own.pairs} pairs"
        ]
        for stage, lack in self.missing(policy).items():
            if stage == "reward" or stage in policy.stages:
                lines.append(f"{stage}: {'would not run: ' + lack if lack else 'would run'}")
        if "ppo" in policy.stages:
            lines.append(
                f"ppo: would run if a judge is right on more than {100 * policy.reward_accuracy:g} % of held-out votes"
            )
        return lines


def check_recipes(policy: CyclePolicy) -> None:
    """Raises PolicyError for a flag that its stage does not have: before the stages before it are trained in vain."""
    for stage, flags in policy.recipes.items():
        known = [one.name for part in (RECIPES[stage], RunOptions) for one in fields(part)]
        if unknown := [name for name in flags if name not in known]:
            raise PolicyError(
                f"cycle.recipes.{stage} has unknown key {', '.join(map(str, unknown))}. Known keys: {', '.join(known)}."
            )


def standing(home: Path, mine: Journal) -> dict[str, str]:
    """The cycle's reward models that are still there: who deletes one takes its figures away, not the cycle."""
    versions, found = Versions(home), {}
    for split, version in mine.state["judges"].items():
        if is_ours(versions, version, "reward", mine):
            found[split] = version
        else:
            mine.note(f"{version}, a reward model, is not there any more: it judged nothing")
    return found


def _lack(have: int, needed: int, what: str) -> str:
    return "" if have >= needed else f"{have} of {needed} {what}; {needed - have} more are needed"


def judges(home: Path, policy: Policy, mine: Journal) -> dict[str, str]:
    """Reward models by the half of the prompts that they learned from, "a" and "b"; none where the data do not do."""
    lack = _plan(mine).missing(policy.cycle)["reward"]
    if lack:
        mine.note(f"no reward models: {lack}")
        return {}
    found = {}
    for split in ("a", "b"):
        version = _run(home, policy, mine, "reward", f"reward {split}", {"split": split})
        if version is None:
            return {}
        found[split] = version
    return found


def candidates(home: Path, policy: Policy, mine: Journal) -> list[dict[str, str]]:
    """A version for every stage that the policy allows and the data bear."""
    lacks = _plan(mine).missing(policy.cycle)
    found = []
    for stage in policy.cycle.stages:
        given: dict[str, Any] = {}
        lack = lacks.get(stage, "")
        if stage == "ppo":
            lack, given = _ppo(home, policy.cycle, standing(home, mine))
        if lack:
            mine.note(f"no {stage}: {lack}")
            continue
        version = _run(home, policy, mine, stage, stage, given)
        if version is not None:
            found.append({"stage": stage, "version": version})
    return found


def _ppo(home: Path, policy: CyclePolicy, found: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """What PPO lacks, or the judges that it learns from and is watched by."""
    if "a" not in found or "b" not in found:
        return "there are no reward models to learn from", {}
    low = Versions(home).open(found["a"]).manifest.metrics.get("accuracy_interval", [0.0])[0]
    if low <= policy.reward_accuracy:
        return (
            f"the judge {found['a']} is right on {100 * low:.0f} % of held-out votes for sure, and more than "
            f"{100 * policy.reward_accuracy:g} % are needed"
        ), {}
    return "", {"reward": found["a"], "watch_reward": found["b"]}


def _plan(mine: Journal) -> Plan:
    def counted(folder: Path) -> Counted:
        taken = snapshot.load(folder)
        return Counted.of(list(taken.rows("unpaired")), list(taken.rows("preference")))

    return Plan(counted(mine.own), counted(mine.whole))


def _run(
    home: Path, policy: Policy, mine: Journal, stage: str, name: str, given: dict[str, Any]
) -> str | None:
    """The version that a stage makes of the cycle's snapshot; None, and a note, where it cannot."""
    versions = Versions(home)
    folder, taken = _taken(stage, mine)
    planned: dict[str, str] = mine.state.setdefault("planned", {})
    if name in planned and is_ours(versions, planned[name], stage, mine):
        version = planned[name]
    else:
        version = planned[name] = versions.next_id()
        mine.save(planned=planned)
        say(f"cycle {mine.number}: {name} → {version}")
        flags = {
            **policy.cycle.recipes.get(stage, {}),
            **given,
            "home": home,
            "parent": mine.state["released"],
            "output_version": version,
            "snapshot": folder,
        }
        try:
            STAGES[stage](_as_flags(flags))
        except (DataError, TrainingError) as error:
            mine.note(f"no {name}: {error}")
            return None
    with FeedbackStore.open_home(home, create=False) as store:
        store.record_use(version, taken, mine.state["released"])
    return version


def is_ours(versions: Versions, version: str, stage: str, mine: Journal) -> bool:
    """Whether a version is there and was made by this cycle; a deleted one's number may be another's by now."""
    _, taken = _taken(stage, mine)
    try:
        made: Manifest = versions.open(version).manifest
    except VersionError:
        return False
    return (made.stage, made.data.get("snapshot")) == (stage, taken)


def _taken(stage: str, mine: Journal) -> tuple[Path, str]:
    """The folder and the id of the snapshot that a stage learns from."""
    found = mine.state["snapshot"]
    return (mine.own, found["own"]["id"]) if stage in ("dpo", "kto") else (mine.whole, found["id"])


def _as_flags(values: dict[str, Any]) -> list[str]:
    flags = []
    for name, value in values.items():
        flags += [f"--{name}", *map(str, value)] if isinstance(value, list | tuple) else [f"--{name}={value}"]
    return flags

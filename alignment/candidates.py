"""Which stages fit the data, and their runs: two reward models, one a half of the prompts, and the candidates.

Each stage's version is named before it begins, so that a cycle that was killed finds it again; a stage that was killed
goes on from its own checkpoint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment import dpo, kto, ppo, reward
from alignment.data import held_out
from alignment.errors import DataError, TrainingError
from alignment.journal import Journal
from alignment.policy import CyclePolicy, Policy
from alignment.stage import say
from assistant.errors import VersionError
from assistant.versions import Manifest, Versions
from feedback_store import FeedbackStore, rows, snapshot

STAGES = {"reward": reward.main, "dpo": dpo.main, "kto": kto.main, "ppo": ppo.main}


@dataclass(frozen=True)
class Plan:
    """How many rows there are to train on; what is held out is not counted."""

    up: int
    down: int
    pairs: int

    @classmethod
    def of(cls, thumbs: Sequence[Any], pairs: Sequence[Any]) -> "Plan":
        trained = [row for row in thumbs if not held_out(row.messages)]
        up = sum(row.label for row in trained)
        return cls(up, len(trained) - up, sum(not held_out(row.messages) for row in pairs))

    @classmethod
    def of_store(cls, store: FeedbackStore, policy: Policy) -> "Plan":
        """By the rows that a snapshot taken now would hold."""
        return cls.of(rows.from_store(store, rules=policy.rules), rows.preferences(store, policy.rules))

    def missing(self, policy: CyclePolicy) -> dict[str, str]:
        """What each stage lacks, in words; empty for one that can run. PPO needs the judges' figures too."""
        thumbs, judged = self.up + self.down, self.up + self.down + self.pairs
        found = {
            "dpo": _lack(self.pairs, policy.minimum_pairs, "pairs"),
            "kto": _lack(thumbs, policy.minimum_thumbs, "thumbs"),
            "reward": _lack(judged, policy.minimum_judgements, "pairs and thumbs"),
        }
        if not found["kto"] and not (self.up and self.down):
            found["kto"] = (
                f"all {thumbs} thumbs point {'up' if self.up else 'down'}, and it learns from the difference"
            )
        if not found["reward"] and not self.pairs and not (self.up and self.down):
            found["reward"] = "all thumbs point one way, and it learns from the difference"
        return found

    def words(self, policy: CyclePolicy) -> list[str]:
        """A line a stage, for a dry run."""
        lines = [f"rows to train on: {self.up} thumbs up, {self.down} thumbs down, {self.pairs} pairs"]
        for stage, lack in self.missing(policy).items():
            if stage == "reward" or stage in policy.stages:
                lines.append(f"{stage}: {'would not run: ' + lack if lack else 'would run'}")
        if "ppo" in policy.stages:
            lines.append(
                f"ppo: would run if a judge is right on more than {100 * policy.reward_accuracy:g} % of held-out votes"
            )
        return lines


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
            lack, given = _ppo(home, policy.cycle, mine.state["judges"])
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
    taken = snapshot.load(mine.folder / "snapshot")
    return Plan.of(list(taken.rows("unpaired")), list(taken.rows("preference")))


def _run(
    home: Path, policy: Policy, mine: Journal, stage: str, name: str, given: dict[str, Any]
) -> str | None:
    """The version that a stage makes of the cycle's snapshot; None, and a note, where it cannot."""
    versions = Versions(home)
    planned: dict[str, str] = mine.state.setdefault("planned", {})
    if name in planned and _is_ours(versions, planned[name], stage, mine):
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
            "snapshot": mine.folder / "snapshot",
        }
        try:
            STAGES[stage](_as_flags(flags))
        except (DataError, TrainingError) as error:
            mine.note(f"no {name}: {error}")
            return None
    with FeedbackStore.open_home(home, create=False) as store:
        store.record_use(version, mine.state["snapshot"]["id"], mine.state["released"])
    return version


def _is_ours(versions: Versions, version: str, stage: str, mine: Journal) -> bool:
    """Whether a planned version was made before the kill, by this cycle and by nobody else."""
    try:
        made: Manifest = versions.open(version).manifest
    except VersionError:
        return False
    return (made.stage, made.data.get("snapshot")) == (stage, mine.state["snapshot"]["id"])


def _as_flags(values: dict[str, Any]) -> list[str]:
    flags = []
    for name, value in values.items():
        flags += [f"--{name}", *map(str, value)] if isinstance(value, list | tuple) else [f"--{name}={value}"]
    return flags

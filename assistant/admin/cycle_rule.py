"""When there is enough feedback for a cycle: the rule that a cycle obeys, and by which the chat page counts.

A cycle begins when enough votes are new and some stage has enough rows to learn from. A run keeps the rule that it
obeyed in HOME/cycles/rule.json, so that an app that was given no policy counts by the one of whoever runs the cycles.
"""

import contextlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from assistant.events.event import Event
from feedback_store import FeedbackStore, StoreError, rows
from feedback_store.atomic_files import write_atomically
from feedback_store.rows import Rules, snapshot

STAGES = ("correct", "dpo", "kto", "ppo")


@dataclass(frozen=True)
class CycleMinimums:
    """How much feedback a cycle and its stages need."""

    minimum_feedback: int = 50
    """Minimum number of new ratings since the last cycle; with fewer, a cycle does nothing."""
    minimum_thumbs: int = 50
    """Minimum number of unpaired rows for KTO."""
    minimum_pairs: int = 50
    """Minimum number of pairs for DPO."""
    minimum_corrections: int = 5
    """Minimum number of corrected prompts for the stage that learns corrections."""
    minimum_judgements: int = 200
    """Minimum number of pairs and thumbs for the two reward models, each of which gets half of them."""
    stages: Sequence[str] = STAGES
    """Stages that may make candidates."""
    learn_from: str = "released"
    """Whose answers DPO and KTO learn from: the "released" version's, which is their reference model, or "all".
    Earlier cycles have learned from the ratings of earlier versions, so by default a cycle takes no longer as they grow
    in number."""


@dataclass(frozen=True)
class CycleRule:
    """What a cycle needs, and how votes become the rows that its stages need."""

    minimums: CycleMinimums = field(default_factory=CycleMinimums)
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True)
class RowCounts:
    """Numbers of rows to train on, without those that are held out."""

    up: int
    down: int
    pairs: int
    corrections: int
    """Corrected prompts. None is held out: they are tested in other words than those that are trained on."""

    @classmethod
    def of(cls, thumbs: Iterable[Any], pairs: Sequence[Any]) -> "RowCounts":
        """Count rows of thumbs and of preferences."""
        trained = [row.label for row in thumbs if not rows.held_out(row)]
        return cls(
            sum(trained),
            len(trained) - sum(trained),
            sum(not rows.held_out(row) for row in pairs),
            len(rows.last_corrections(pairs)),
        )

    @property
    def thumbs(self) -> int:
        """Thumbs up and down together."""
        return self.up + self.down


@dataclass(frozen=True)
class CandidatePlan:
    """The rows that candidates learn from, and those that reward models learn from: all there are."""

    own: RowCounts
    whole: RowCounts

    @classmethod
    def of_store(cls, store: FeedbackStore, rule: CycleRule, released: str | None) -> "CandidatePlan":
        """Count the rows that snapshots taken now would hold."""

        def count(version: str | None) -> RowCounts:
            pairs = rows.preferences(store, rule.rules, version)
            return RowCounts.of(rows.unpaired_rows(store, version, rule.rules), pairs)

        whole = count(None)
        return cls(whole if rule.minimums.learn_from == "all" else count(released), whole)

    @classmethod
    def of_snapshots(cls, own: Path, whole: Path) -> "CandidatePlan":
        """Count the rows of the two snapshots in these folders."""

        def count(folder: Path) -> RowCounts:
            loaded = snapshot.load(folder)
            return RowCounts.of(loaded.rows("unpaired"), list(loaded.rows("preference")))

        return cls(count(own), count(whole))

    def missing(self, minimums: CycleMinimums) -> dict[str, Event | None]:
        """What each stage lacks; None for a stage that can run. PPO also needs an accurate reward model."""
        own, whole = self.own, self.whole
        lacks = {
            "correct": _lack("too_few_corrections", whole.corrections, minimums.minimum_corrections),
            "dpo": _lack("too_few_pairs", own.pairs, minimums.minimum_pairs),
            "kto": _lack("too_few_thumbs", own.thumbs, minimums.minimum_thumbs),
            "reward": _lack("too_few_judgements", whole.thumbs + whole.pairs, minimums.minimum_judgements),
        }
        if lacks["kto"] is None and not (own.up and own.down):
            direction = "up" if own.up else "down"
            lacks["kto"] = Event.of("thumbs_all_alike", count=own.thumbs, thumb=direction)
        if lacks["reward"] is None and not whole.pairs and not (whole.up and whole.down):
            lacks["reward"] = Event.of("judgements_all_alike")
        return lacks

    def obstacles(self, minimums: CycleMinimums) -> dict[str, Event]:
        """What each stage of the policy lacks, if none of them can make a candidate; else empty."""
        lacks = self.missing(minimums)
        needed = {stage: lacks["reward" if stage == "ppo" else stage] for stage in minimums.stages}
        missing = {stage: lack for stage, lack in needed.items() if lack is not None}
        return missing if len(missing) == len(needed) else {}


def _lack(code: str, have: int, needed: int) -> Event | None:
    return None if have >= needed else Event.of(code, have=have, needed=needed, missing=needed - have)


def standing_votes(store: FeedbackStore) -> set[str]:
    """A name for each standing vote of a person who consents. A vote that is changed gets another name."""
    return {snapshot.vote_id(*vote) for vote in store.standing_votes()}


def keep_rule(home: Path, rule: CycleRule) -> None:
    """Keep the rule that a run obeys. What cannot be kept, on a full disk, must not end the run."""
    names = [key.name for key in fields(CycleMinimums)]
    content = {
        "cycle": {name: getattr(rule.minimums, name) for name in names},
        "rules": asdict(rule.rules),
    }
    with contextlib.suppress(OSError):
        write_atomically(home / "cycles" / "rule.json", json.dumps(content) + "\n")


def rule_of(home: Path, policy: Path | None) -> CycleRule | None:
    """The rule of a policy, else of the last run on this home, else the defaults. None if the file cannot be used."""
    path = policy or home / "cycles" / "rule.json"
    try:
        # JSON is YAML too.
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        known = [key.name for key in fields(CycleMinimums)]
        section = content.get("cycle") or {}
        minimums = CycleMinimums(**{name: section[name] for name in known if name in section})
        whole = [getattr(minimums, name) for name in known if name.startswith("minimum_")]
        if not all(isinstance(number, int) for number in whole) or not set(minimums.stages) <= set(STAGES):
            return None
        return CycleRule(minimums, Rules(**(content.get("rules") or {})))
    except FileNotFoundError:
        return None if policy else CycleRule()
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError, StoreError):
        return None

"""What keeps the next version waiting, for the chat page: the count of new ratings, or what else holds a cycle back.

Counting reads every vote, and what the stages lack is known from every rated text. Both are done in a thread, after a
change only, and in a large store not at once after each change, so that nobody who chats waits for it.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from assistant.admin import cycle_records, last_run
from assistant.admin.cycle_rule import CandidatePlan, CycleRule, rule_of, standing_votes
from assistant.errors import AssistantError
from assistant.registry import live_comparison
from assistant.registry.versions import Versions
from feedback_store import StoreError

if TYPE_CHECKING:
    from assistant.events.event import Event
    from feedback_store import FeedbackStore

log = logging.getLogger(__name__)

PATIENCE = 0.1
"""Seconds that a caller waits for a count that is being made; after that the last one is shown."""
REST = 20
"""What took longer than anybody waits is done again after this many times as long."""
EXPIRY = 60.0
"""Seconds after which the votes are counted again without new ones: people withdraw their consent, or are forgotten."""

Holdup = Literal["votes", "rows", "nothing", "training", "interrupted", "comparison"]
"""Too few new votes, too few rows for every stage, nothing, or what the newest cycle does."""


@dataclass(frozen=True)
class Outlook:
    """What the next version waits for."""

    holdup: Holdup
    votes: int = 0
    """New ratings, corrections and choices."""
    needed: int = 0
    obstacles: dict[str, Event] = field(default_factory=dict)
    """What each stage lacks, by its name, if `holdup` is "rows"."""
    candidate: str = ""
    """The version that is being compared."""


class NextVersion:
    """Follows what the next version of one home waits for."""

    def __init__(
        self, store: FeedbackStore, home: Path, policy: Path | None = None, patience: float = PATIENCE
    ) -> None:
        """`policy`: the YAML file that cycles obey; the rule of the last run, or the defaults, if left out."""
        self._store, self._home, self._policy, self._patience = store, home, policy, patience
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._counted: Outlook | None = None
        self._stamp: tuple[float, ...] = ()
        self._rested = 0.0
        self._obstacles: dict[str, Event] = {}
        self._obstacles_of: tuple[CycleRule, str | None] | None = None
        self._obstacles_at = 0
        self._obstacles_rested = 0.0

    def outlook(self) -> Outlook | None:
        """What holds the next version back now; None where it cannot be known."""
        try:
            trial = live_comparison.read(self._home)
            if trial is not None:
                return Outlook("comparison", candidate=trial.candidate)
            newest = next(cycle_records.iter_cycles(self._home, _pass_over), None)
            if newest is not None and not newest.ended:
                return Outlook("training" if last_run.is_running(self._home) else "interrupted")
            return self._latest()
        except (AssistantError, StoreError, OSError) as error:
            log.warning("What the next version waits for is not known: %s", error)
            return None

    def recount(self) -> None:
        """Count again, though no vote is new: somebody has given or withdrawn consent."""
        with self._lock:
            self._stamp = ()

    def _latest(self) -> Outlook | None:
        with self._lock:
            stamp = self._now()
            if stamp != self._stamp and self._worker is None and time.monotonic() >= self._rested:
                self._stamp = stamp
                self._worker = threading.Thread(target=self._count, name="count-votes", daemon=True)
                self._worker.start()
            worker = self._worker
        if worker is not None:
            worker.join(self._patience)
        return self._counted

    def _now(self) -> tuple[float, ...]:
        """What the count depends on: votes, releases and cycles, the policy; and the time, by minutes."""
        names = ("versions/released.json", "cycles/last_run.json", "cycles/rule.json")
        paths = [self._home / name for name in names] + ([self._policy] if self._policy else [])
        changed = [path.stat().st_mtime if path.exists() else 0.0 for path in paths]
        return (self._store.feedback_count(), time.monotonic() // EXPIRY, *changed)

    def _count(self) -> None:
        counted, took = None, 0.0
        try:
            rule = rule_of(self._home, self._policy)
            if rule is not None:
                began = time.monotonic()
                new = self._new_votes()
                took = time.monotonic() - began
                counted = self._outlook(rule, new)
        except (AssistantError, StoreError, OSError, ValueError) as error:
            log.warning("The ratings until the next version cannot be counted: %s", error)
        with self._lock:
            self._counted, self._worker = counted, None
            self._rested = time.monotonic() + (REST * took if took > self._patience else 0.0)

    def _new_votes(self) -> int:
        known = cycle_records.known_votes(cycle_records.iter_cycles(self._home, _pass_over))
        return len(standing_votes(self._store) - known)

    def _outlook(self, rule: CycleRule, votes: int) -> Outlook:
        needed = rule.minimums.minimum_feedback
        if votes < needed:
            return Outlook("votes", votes, needed)
        obstacles = self._what_stages_lack(rule, votes)
        return Outlook("rows" if obstacles else "nothing", votes, needed, obstacles)

    def _what_stages_lack(self, rule: CycleRule, votes: int) -> dict[str, Event]:
        began = time.monotonic()
        key = rule, Versions(self._home).released()
        # What was enough stays enough while votes are only added: else a large store would be read all day.
        is_enough = not self._obstacles and votes >= self._obstacles_at
        if key != self._obstacles_of or (began >= self._obstacles_rested and not is_enough):
            plan = CandidatePlan.of_store(self._store, *key)
            self._obstacles, self._obstacles_of = plan.obstacles(rule.minimums), key
            self._obstacles_at = votes
            ended = time.monotonic()
            took = ended - began
            self._obstacles_rested = ended + (REST * took if took > self._patience else 0.0)
        return self._obstacles


def _pass_over(path: Path, error: Exception) -> None:
    """A damaged state is logged where admins read it, and not whenever somebody chats."""

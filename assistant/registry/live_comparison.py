"""A live comparison (trial) between the released version and a candidate, and the arm that each conversation is in.

Arms are random over conversations, and the same for all replies of one conversation.
"""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from assistant.errors import SettingsError
from assistant.events.event import Event
from feedback_store.atomic_files import write_atomically
from feedback_store.database.write_lock import WriteLock

FILE = "trial.json"
"""Lies in the home for as long as a trial is under way."""

Arm = Literal["candidate", "released"]
ARMS: tuple[Arm, ...] = ("candidate", "released")

log = logging.getLogger(__name__)


def arm(conversation: str, trial: str, share: float) -> Arm:
    """The arm of a conversation in a trial, of which `share` (0 to 1) go to the candidate.

    It is derived from both ids, so that it needs no memory, survives a restart, and is drawn anew for every trial. The
    server makes the ids: a client that could choose them could choose the arm. Raises SettingsError for a share outside
    0 to 1.
    """
    if not 0 <= share <= 1:
        raise SettingsError(
            f"A share of {share} of conversations is not possible. Give a number from 0 to 1."
        )
    digest = hashlib.sha256(f"{trial}\0{conversation}".encode()).digest()
    number = int.from_bytes(digest[:8], "big") / 2**64
    return "candidate" if number < share else "released"


@dataclass(frozen=True)
class Trial:
    """A live comparison: as long as its file lies in the home, the candidate answers a share of conversations."""

    id: str
    """Random; with the conversation's id it decides the arm."""
    candidate: str
    released: str
    share: float
    """Share of conversations that the candidate answers, above 0 and below 1, because both versions need votes."""
    started: str
    """UTC, ISO 8601."""

    @property
    def began(self) -> datetime:
        """`started` as a moment."""
        return datetime.fromisoformat(self.started)

    def version(self, conversation: str) -> str:
        """Id of the version that answers in this conversation."""
        return self.candidate if arm(conversation, self.id, self.share) == "candidate" else self.released


def is_left_to_people(recorded: Mapping[str, Any]) -> bool:
    """Whether a decision of the gate, as manifests hold it, found a candidate neither better nor worse in anything.

    Every guard must have passed: then a live comparison may let people decide.
    """
    guards = [reason for reason in recorded.get("reasons", []) if reason["kind"] == "guard"]
    passed = bool(guards) and all(reason["finding"] == "not worse" for reason in guards)
    return passed and recorded.get("verdict") == "hold"


def may_be_tried(recorded: Mapping[str, Any] | None, released: str | None) -> bool:
    """Whether a candidate may answer some conversations beside `released`, by the gate's decision about both.

    The gate has promoted it, or has found nothing against it and leaves it to people.
    """
    if recorded is None or recorded.get("released") != released:
        return False
    return recorded.get("verdict") == "promote" or is_left_to_people(recorded)


def lock(home: Path) -> WriteLock:
    """Held by whoever starts, settles or ends a trial: an app, a cycle and an admin may do so at the same moment."""
    return WriteLock(home / ".trial-lock")


def read(home: Path) -> Trial | None:
    """The trial that is under way; None if there is none. Raises SettingsError if its file is damaged."""
    path = home / FILE
    try:
        trial = Trial(**json.loads(path.read_text(encoding="utf-8")))
        if not 0 < trial.share < 1:
            raise ValueError(f"a share of {trial.share}, which must be above 0 and below 1")
        if trial.began.tzinfo is None:
            raise ValueError(f"started {trial.started}, without a time zone")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(Event.of("live_file_unreadable", path=str(path), error=str(error))) from error
    return trial


def write(home: Path, trial: Trial) -> None:
    """Begin a trial. A running app applies it from the next message on."""
    write_atomically(home / FILE, json.dumps(asdict(trial), indent=2) + "\n")


class TrialFollower:
    """The trial of a home as a running app follows it: the file is read for every reply, without a restart."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._logged = ""

    def under_way(self, released: str) -> Trial | None:
        """The trial that draws which version answers in a conversation; None if the released version answers in all.

        `released`: id of the version that serves now. There is no trial after another release, nor if the file is
        damaged: the log then says why, once.
        """
        try:
            trial = read(self._home)
        except SettingsError as error:
            if str(error) != self._logged:
                log.error("No live comparison: %s", error)
            self._logged = str(error)
            return None
        return trial if trial is not None and trial.released == released else None

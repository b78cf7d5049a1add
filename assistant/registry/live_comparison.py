"""Which arm of a live comparison a conversation belongs to: random over conversations, the same for all its replies."""

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from assistant.errors import SettingsError
from assistant.registry.versions import write_atomically

FILE = "trial.json"
"""In the home, while a trial is under way."""

Arm = Literal["candidate", "released"]
ARMS: tuple[Arm, ...] = ("candidate", "released")

log = logging.getLogger(__name__)


def arm(conversation: str, trial: str, share: float) -> Arm:
    """The arm of a conversation in a trial, of which `share` (0 to 1) go to the candidate.

    Derived from both ids, so it needs no memory, survives a restart, and is drawn anew for every trial. Ids are made
    by the server: who could choose them could choose the arm. Raises SettingsError for a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise SettingsError(
            f"A share of {share} of conversations is not possible. Give a number from 0 to 1."
        )
    digest = hashlib.sha256(f"{trial}\0{conversation}".encode()).digest()
    drawn = int.from_bytes(digest[:8], "big") / 2**64
    return "candidate" if drawn < share else "released"


@dataclass(frozen=True)
class Trial:
    """A live comparison: for as long as its file lies in the home, a share of conversations get the candidate."""

    id: str
    """Drawn anew for every trial; with the conversation's id it decides the arm."""
    candidate: str
    released: str
    share: float
    """Of conversations that the candidate serves, above 0 and at most 1."""
    started: str
    """UTC, ISO 8601."""

    @property
    def began(self) -> datetime:
        """The moment of `started`."""
        return datetime.fromisoformat(self.started)

    def version(self, conversation: str) -> str:
        """Which version answers in this conversation."""
        return self.candidate if arm(conversation, self.id, self.share) == "candidate" else self.released


def read(home: Path) -> Trial | None:
    """The trial that is under way, None if there is none. Raises SettingsError if its file is damaged."""
    path = home / FILE
    try:
        trial = Trial(**json.loads(path.read_text(encoding="utf-8")))
        if not 0 < trial.share <= 1 or trial.began.tzinfo is None:
            raise ValueError(f"a share of {trial.share}, started {trial.started}")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(
            f"{path} cannot be read ({error}). Delete it, which ends the live comparison, and start another."
        ) from error
    return trial


def write(home: Path, trial: Trial) -> None:
    """Begin a trial: a running app follows with the next message."""
    write_atomically(home / FILE, json.dumps(asdict(trial), indent=2) + "\n")


class UnderWay:
    """The trial of a home as an app follows it: the file is read for every reply, so it needs no restart."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._refused = ""

    def candidate(self, conversation: str, released: str) -> str | None:
        """The candidate, where it answers in this conversation beside `released`, the version that serves now.

        None without a trial, for the other arm, where another version was released meanwhile, and where the file is
        damaged: then everybody gets the released version, and the log says why, once.
        """
        try:
            trial = read(self._home)
        except SettingsError as error:
            if str(error) != self._refused:
                log.error("No live comparison: %s", error)
            self._refused = str(error)
            return None
        if trial is None or trial.released != released or trial.version(conversation) != trial.candidate:
            return None
        return trial.candidate

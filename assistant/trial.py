"""Which arm of a live comparison a conversation belongs to: random over conversations, the same for all its replies."""

import hashlib
from typing import Literal

from assistant.errors import SettingsError

Arm = Literal["candidate", "released"]
ARMS: tuple[Arm, ...] = ("candidate", "released")


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

"""Passwords: compared without telling anything of them, and not looked at after too many wrong ones."""

import hashlib
import hmac
import time
from collections import deque

WINDOW_SECONDS = 300.0
TRIES, TRIES_IN_ALL = 5, 300
"""Wrong passwords within the window, from one source and from all, after which no password is looked at.

The second is for guessers with many addresses: a guess a second stays a guess.
"""


def digest(text: str) -> bytes:
    """What to keep and compare instead of `text`: of equal length whatever was typed."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def is_same(text: str, kept: bytes | None) -> bool:
    """Whether `text` has the digest that was kept, in a time that does not tell how much of it is right."""
    return hmac.compare_digest(digest(text), kept or digest("")) and kept is not None


class Guesses:
    """Wrong passwords of late, by where they came from. Callers hold a lock of their own."""

    def __init__(self) -> None:
        self._wrong: deque[tuple[float, str]] = deque()

    def seconds_to_wait(self, source: str) -> float:
        """Until another password of this source is looked at; 0 if at once."""
        now = time.monotonic()
        while self._wrong and self._wrong[0][0] <= now - WINDOW_SECONDS:
            self._wrong.popleft()
        theirs = [when for when, who in self._wrong if who == source]
        for times, most in ((theirs, TRIES), ([when for when, _ in self._wrong], TRIES_IN_ALL)):
            if len(times) >= most:
                return times[-most] + WINDOW_SECONDS - now
        return 0.0

    def add(self, source: str) -> None:
        """Another wrong password."""
        self._wrong.append((time.monotonic(), source))

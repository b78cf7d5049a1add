"""Passwords: comparison in constant time, and a limit on wrong guesses."""

import hashlib
import hmac
import time
from collections import deque

WINDOW_SECONDS = 300.0
TRIES, TRIES_IN_ALL = 5, 300
"""Wrong passwords within the window, from one source and from all sources, after which none is checked.

The second limits attackers with many addresses to a guess a second.
"""


def digest(text: str) -> bytes:
    """SHA-256 of `text`, kept and compared instead of it. Its length tells nothing of the length of `text`."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def is_same(text: str, kept: bytes | None) -> bool:
    """Whether `text` has the digest `kept`, compared in constant time; never if `kept` is None."""
    return hmac.compare_digest(digest(text), kept or digest("")) and kept is not None


class Guesses:
    """Recent wrong passwords by source. Not thread-safe: callers hold a lock."""

    def __init__(self) -> None:
        self._wrong: deque[tuple[float, str]] = deque()

    def seconds_to_wait(self, source: str) -> float:
        """Seconds until the next password from this source is checked; 0 if it is now."""
        now = time.monotonic()
        while self._wrong and self._wrong[0][0] <= now - WINDOW_SECONDS:
            self._wrong.popleft()
        all_times = [moment for moment, _ in self._wrong]
        times_of_source = [moment for moment, origin in self._wrong if origin == source]
        for times, limit in ((times_of_source, TRIES), (all_times, TRIES_IN_ALL)):
            if len(times) >= limit:
                return times[-limit] + WINDOW_SECONDS - now
        return 0.0

    def add(self, source: str) -> None:
        """Record a wrong password."""
        self._wrong.append((time.monotonic(), source))

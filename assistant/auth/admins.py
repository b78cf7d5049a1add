"""Who may open the dashboard: whoever knows the password, or, on Hugging Face Spaces, people named in the settings.

Nobody may where neither is set. A session lives in this process: after a restart everybody signs in again.
"""

import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from assistant.auth.accounts import profile
from assistant.auth.passwords import Guesses, digest, is_same
from assistant.errors import AssistantError
from assistant.settings import Settings

COOKIE = "thumbtune-admin"
SESSION_SECONDS = 12 * 3600.0
SESSIONS = 1_000
"""Most at once; the oldest ends first."""
LONGEST_NAME = 40


class NotAnAdmin(AssistantError):
    """Someone asks for what only admins may see or do."""


class WrongPassword(NotAnAdmin):
    """The password is not the one that was set."""


class TooManyTries(NotAnAdmin):
    """So many wrong passwords that none is looked at for a while. `seconds`: until the next may be tried."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Too many wrong passwords. Try again in {seconds:.0f} seconds.")
        self.seconds = seconds


class Admins:
    """The door of one app's dashboard."""

    def __init__(self, password: str | None = None, names: Sequence[str] = ()) -> None:
        """`names`: of Hugging Face accounts, where people can sign in with them; case does not matter there."""
        self._password = digest(password) if password else None
        self._names = {name.casefold() for name in names}
        self._sessions: dict[bytes, tuple[str, float]] = {}
        self._guesses = Guesses()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "Admins":
        """As the settings say. Hugging Face names count only where its login is there to prove them."""
        password = settings.admin_password.get_secret_value() if settings.admin_password else None
        return cls(password, settings.admin_names if settings.hugging_face_login else ())

    @property
    def by_password(self) -> bool:
        """Whether a password opens the dashboard."""
        return self._password is not None

    @property
    def by_name(self) -> bool:
        """Whether Hugging Face accounts open it."""
        return bool(self._names)

    def sign_in(self, password: str, name: str, address: str) -> str:
        """A token for a new session of whoever knows the password; `name` is what the trail calls them.

        Raises TooManyTries before it looks at the password, WrongPassword after.
        """
        with self._lock:
            seconds = self._guesses.seconds_to_wait(address)
            if seconds > 0:
                raise TooManyTries(seconds)
            if not is_same(password, self._password):
                self._guesses.add(address)
                raise WrongPassword("This is not the password.")
            token = secrets.token_urlsafe(32)
            while len(self._sessions) >= SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[digest(token)] = (
                f"{_tidy(name)} (password)",
                time.monotonic() + SESSION_SECONDS,
            )
            return token

    def sign_out(self, token: str) -> None:
        """End a session; nothing happens if there is none."""
        with self._lock:
            self._sessions.pop(digest(token), None)

    def who(self, cookies: Mapping[str, str], account: Mapping[str, Any] | None = None) -> str:
        """Who asks, by the request's cookies or by the Hugging Face `account` that its login proved.

        `account`: what the login keeps in its signed session. Raises NotAnAdmin.
        """
        with self._lock:
            found = self._sessions.get(digest(cookies.get(COOKIE, "")))
            if found is not None and time.monotonic() < found[1]:
                return found[0]
        person = profile(account)
        if person is not None and person.name.casefold() in self._names:
            return f"{person.name} (Hugging Face)"
        raise NotAnAdmin("Sign in as an admin first.")


def is_ours(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from a page of this app and not from another site's, by what the browser says.

    Programs that are no browser send no origin, and bring no cookie that they were not given.
    """
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc in (headers.get("host"), headers.get("x-forwarded-host"))


def _tidy(name: str) -> str:
    """A name fit for one line of the trail."""
    kept = "".join(letter for letter in name if letter.isprintable() and letter not in "()").strip()
    return kept[:LONGEST_NAME] or "admin"

"""Dashboard authentication: by a password or, on Hugging Face Spaces, by accounts that the settings name.

If neither is set, nobody has access. Sessions live in this process: after a restart, admins sign in again.
"""

import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from assistant.auth.accounts import profile
from assistant.auth.passwords import Guesses, digest, is_same
from assistant.errors import AssistantError
from assistant.settings import Settings

COOKIE = "thumbtune-admin"
SESSION_SECONDS = 12 * 3600.0
SESSIONS = 1_000
"""Maximum number of sessions at once; the oldest ends first."""
MAX_NAME = 40


class NotAnAdmin(AssistantError):
    """A request needs an admin, and does not come from one."""


class WrongPassword(NotAnAdmin):
    """The password is wrong."""


class TooManyTries(NotAnAdmin):
    """After too many wrong passwords, none is checked for a while. `seconds`: until the next one is."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Too many wrong passwords. Try again in {seconds:.0f} seconds.")
        self.seconds = seconds


class Admins:
    """Dashboard authentication and sessions."""

    def __init__(self, password: str | None = None, names: Sequence[str] = ()) -> None:
        """`names`: Hugging Face accounts that may sign in; case does not matter."""
        self._password = digest(password) if password else None
        self._names = {name.casefold() for name in names}
        self._sessions: dict[bytes, tuple[str, float]] = {}
        self._guesses = Guesses()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "Admins":
        """Construct from settings. Hugging Face names count only if its login is switched on, which proves them."""
        password = settings.admin_password.get_secret_value() if settings.admin_password else None
        return cls(password, settings.admin_names if settings.hugging_face_login else ())

    @property
    def by_password(self) -> bool:
        """Whether admins can sign in with a password."""
        return self._password is not None

    @property
    def by_name(self) -> bool:
        """Whether admins can sign in with Hugging Face accounts."""
        return bool(self._names)

    def sign_in(self, password: str, name: str, address: str) -> str:
        """Begin a session and return its token. `name`: for the audit trail; `address`: of the client.

        Raises WrongPassword, or TooManyTries without checking the password.
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
        """End a session, if there is one."""
        with self._lock:
            self._sessions.pop(digest(token), None)

    def who(self, cookies: Mapping[str, str], account: Mapping[str, Any] | None = None) -> str:
        """The admin behind a request, by its cookies or its Hugging Face login. Raises NotAnAdmin.

        `account`: the content of the signed login session.
        """
        with self._lock:
            session = self._sessions.get(digest(cookies.get(COOKIE, "")))
            if session is not None and time.monotonic() < session[1]:
                return session[0]
        person = profile(account)
        if person is not None and person.name.casefold() in self._names:
            return f"{person.name} (Hugging Face)"
        raise NotAnAdmin("Sign in as an admin first.")


def _tidy(name: str) -> str:
    """A name reduced to what fits on one line of the audit trail."""
    kept = "".join(letter for letter in name if letter.isprintable() and letter not in "()").strip()
    return kept[:MAX_NAME] or "admin"

"""People who sign in to chat: by a password from the settings or, on Hugging Face Spaces, by their account there.

Their conversations belong to them on every browser. The store knows them by a pseudonym that only this home can make.
Whoever has not signed in is known by a random name that their browser keeps.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from assistant.auth.passwords import Guesses, digest, is_same
from assistant.auth.pseudonyms import Raters
from assistant.settings import Settings

Way = Literal["password", "hugging_face"]


@dataclass(frozen=True)
class Account:
    """Somebody who has signed in."""

    name: str
    """As they call themselves; shown to them alone."""
    rater: str
    """The pseudonym that the store knows them by."""


@dataclass(frozen=True)
class Profile:
    """What Hugging Face says of somebody: `id` stays when they change their `name`."""

    id: str
    name: str


class Accounts:
    """How people sign in here, and who they then are."""

    def __init__(
        self, raters: Raters, passwords: Mapping[str, str] | None = None, hugging_face: bool = False
    ) -> None:
        """`passwords`: by name, where everybody must sign in with one; case does not matter in names.

        `hugging_face`: people may sign in with their accounts there, and need not.
        """
        self._raters = raters
        self._passwords = {name.casefold(): digest(word) for name, word in (passwords or {}).items()}
        self._hugging_face = hugging_face
        self._guesses = Guesses()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "Accounts":
        """As the settings say."""
        return cls(Raters(settings.home), settings.passwords, settings.hugging_face_login)

    @property
    def way(self) -> Way | None:
        """How people sign in; None where nobody can."""
        if self._passwords:
            return "password"
        return "hugging_face" if self._hugging_face else None

    def check(self, name: str, password: str) -> bool:
        """Whether this is the name's password. After five wrong ones for a name none is looked at for a while."""
        name = name.strip().casefold()
        with self._lock:
            if self._guesses.seconds_to_wait(name) > 0:
                return False
            right = is_same(password, self._passwords.get(name))
            if not right:
                self._guesses.add(name)
            return right

    def who(self, user: str | None, session: Mapping[str, Any]) -> Account | None:
        """Whoever has signed in: the `user` whose password was right, or the account in Gradio's login `session`."""
        if self.way == "password" and user is not None:
            return Account(user.strip(), self._raters.signed_in("password", user.strip().casefold()))
        found = profile(session.get("oauth_info")) if self.way == "hugging_face" else None
        return Account(found.name, self._raters.signed_in("hugging_face", found.id)) if found else None


def profile(login: object) -> Profile | None:
    """Whom Hugging Face's login has proved, by what it keeps in its signed session; None if it is over."""
    try:
        if not isinstance(login, Mapping) or float(login.get("expires_at", 0)) <= time.time():
            return None
        user = login["userinfo"]
        return Profile(str(user["sub"]), str(user["preferred_username"]))
    except (KeyError, TypeError, ValueError):
        return None

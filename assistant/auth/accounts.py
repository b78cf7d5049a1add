"""Sign-in to the chat: by a password from the settings or, on Hugging Face Spaces, by an account there.

People who sign in have the same conversations in every browser; the store knows them by a pseudonym that only this home
can compute. People who do not are known by a random name that their browser keeps.
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
    """A person who has signed in."""

    name: str
    """The name that they signed in with; shown to them alone."""
    rater: str
    """The pseudonym that the store knows them by."""


@dataclass(frozen=True)
class Profile:
    """A Hugging Face account. Its `id` stays when the person changes the `name`."""

    id: str
    name: str


class Accounts:
    """How people sign in, and which account they then have."""

    def __init__(
        self, raters: Raters, passwords: Mapping[str, str] | None = None, hugging_face: bool = False
    ) -> None:
        """`passwords`: by name, if everybody must sign in with one; the case of names does not matter.

        `hugging_face`: whether people may, but need not, sign in with their Hugging Face accounts.
        """
        self._raters = raters
        self._passwords = {name.casefold(): digest(word) for name, word in (passwords or {}).items()}
        self._hugging_face = hugging_face
        self._guesses = Guesses()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> "Accounts":
        """Construct from settings."""
        return cls(Raters(settings.home), settings.passwords, settings.hugging_face_login)

    @property
    def way(self) -> Way | None:
        """How people sign in; None if they cannot."""
        if self._passwords:
            return "password"
        return "hugging_face" if self._hugging_face else None

    def check(self, name: str, password: str) -> bool:
        """Whether this is the password of `name`. After five wrong ones for a name, none is checked for a while."""
        name = name.strip().casefold()
        with self._lock:
            if self._guesses.seconds_to_wait(name) > 0:
                return False
            right = is_same(password, self._passwords.get(name))
            if not right:
                self._guesses.add(name)
            return right

    def who(self, user: str | None, session: Mapping[str, Any]) -> Account | None:
        """The account of a request, None if nobody has signed in.

        `user`: the name whose password was right. `session`: Gradio's signed login session.
        """
        if self.way == "password" and user is not None:
            return Account(user.strip(), self._raters.signed_in("password", user.strip().casefold()))
        person = profile(session.get("oauth_info")) if self.way == "hugging_face" else None
        return Account(person.name, self._raters.signed_in("hugging_face", person.id)) if person else None


def profile(login: object) -> Profile | None:
    """The Hugging Face account of a login, from its signed session; None if it is missing, expired or malformed."""
    try:
        if not isinstance(login, Mapping) or float(login.get("expires_at", 0)) <= time.time():
            return None
        user = login["userinfo"]
        return Profile(str(user["sub"]), str(user["preferred_username"]))
    except (KeyError, TypeError, ValueError):
        return None

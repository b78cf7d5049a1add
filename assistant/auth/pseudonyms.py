"""Pseudonyms of people who sign in and of callers of the API, made from a name or key and never the name itself."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

EVERYBODY = "api"
"""Whoever calls the page's named endpoints, where nobody signs in."""


def is_given_out(name: str) -> bool:
    """Whether this is a pseudonym made here: nobody becomes one of these people by calling themselves so."""
    return name == EVERYBODY or name.startswith(("api-", "login-"))


class Raters:
    """Pseudonyms of one home. The same caller has the same one after a restart, and another one elsewhere."""

    def __init__(self, home: Path) -> None:
        """Reads the home's secret, and makes it the first time."""
        self._secret = _secret(home / "raters.secret")

    def pseudonym(self, key: str | None, user: str | None) -> str:
        """Of the person behind `user` at the holder of `key`; without either, all callers are one."""
        said = f"{len(key or '')}/{key or ''}/{user or ''}"
        return f"api-{self._digest(said)}"

    def signed_in(self, way: str, name: str) -> str:
        """Of the person whom a login knows by `name`; `way` says which kind of login."""
        return f"login-{self._digest(f'{way}/{name}')}"

    def _digest(self, said: str) -> str:
        made = hmac.new(self._secret, said.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return made.hexdigest()[:32]


def _secret(path: Path) -> bytes:
    try:
        # Only this user may read it; whoever comes second reads what the first has written.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    return path.read_bytes()

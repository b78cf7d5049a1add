"""Pseudonyms of people who sign in and of API clients: keyed hashes of a name or an API key."""

import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

SHARED_RATER = "api"
"""The rater of the page's named endpoints, where nobody signs in."""


def is_reserved(name: str) -> bool:
    """Whether a name is reserved for pseudonyms: a browser that claims it must not become that person."""
    return name == SHARED_RATER or name.startswith(("api-", "login-"))


class Raters:
    """Pseudonyms of one home. A person keeps theirs after a restart, and has another one in another home."""

    def __init__(self, home: Path) -> None:
        """Read the home's secret; the first time, create it."""
        self._secret = _secret(home / "raters.secret")

    def pseudonym(self, key: str | None, user: str | None) -> str:
        """The pseudonym of an API client's `user`, by its API `key`. Clients that give neither share one."""
        text = f"{len(key or '')}/{key or ''}/{user or ''}"
        return f"api-{self._digest(text)}"

    def signed_in(self, way: str, name: str) -> str:
        """The pseudonym of a person who signed in as `name`; `way` is the kind of login."""
        return f"login-{self._digest(f'{way}/{name}')}"

    def _digest(self, text: str) -> str:
        return hmac.new(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]


def _secret(path: Path) -> bytes:
    if not path.exists():
        # Written aside, readable by this user alone, and linked: of two processes that start at once, the second reads
        # the whole of what the first wrote.
        descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
        except OSError:
            # A file system without hard links.
            os.replace(aside, path)
        finally:
            Path(aside).unlink(missing_ok=True)
    return path.read_bytes()

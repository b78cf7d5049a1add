"""Who rates over the API: a pseudonym made from the caller's key, never the key itself."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path


class Raters:
    """Pseudonyms of one home. The same caller has the same one after a restart, and another one elsewhere."""

    def __init__(self, home: Path) -> None:
        """Reads the home's secret, and makes it the first time."""
        self._secret = _secret(home / "raters.secret")

    def pseudonym(self, key: str | None, user: str | None) -> str:
        """Of the person behind `user` at the holder of `key`; without either, all callers are one."""
        said = f"{len(key or '')}/{key or ''}/{user or ''}"
        digest = hmac.new(self._secret, said.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"api-{digest.hexdigest()[:32]}"


def _secret(path: Path) -> bytes:
    try:
        # Only this user may read it; whoever comes second reads what the first has written.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    return path.read_bytes()

"""The API's keys: who may call it, if not everybody may."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from assistant.api.api_errors import ApiError


class ApiKeys:
    """The keys that are served; without any, every key is."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def of(self, headers: Mapping[str, str]) -> str | None:
        """The key of a request; None if it has none and needs none. Raises ApiError for one that is not served."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        token = token.strip() if scheme.lower() == "bearer" else ""
        if not self._digests:
            return token or None
        # Every key is compared, each in constant time, so that the time tells nothing of the keys.
        digest = _digest(token.encode("latin-1"))
        matches = [hmac.compare_digest(digest, key) for key in self._digests]
        if not any(matches):
            raise ApiError(
                401,
                "This key is not known." if token else "A key is needed: 'Authorization: Bearer KEY'.",
                code="invalid_api_key",
            )
        return token


def _digest(key: bytes) -> bytes:
    # Digests have one length, so that a comparison does not tell how long a key is.
    return hashlib.sha256(key).digest()

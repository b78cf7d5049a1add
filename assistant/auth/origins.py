"""Which site's page made a request, by the headers that browsers set and scripts cannot."""

from collections.abc import Mapping
from urllib.parse import urlsplit


def is_ours(headers: Mapping[str, str]) -> bool:
    """Whether a request comes from a page of this app and not from another site.

    Other programs send no origin; they have no cookie unless they signed in themselves.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        # It knows better than the addresses: a proxy in between may have changed the host.
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    hosts = (headers.get("host"), headers.get("x-forwarded-host"))
    return _place(urlsplit(origin).netloc) in [_place(host) for host in hosts if host]


def _place(host: str) -> str:
    """A host without the port that its scheme implies, which browsers leave out of an origin."""
    return host.lower().removesuffix(":80").removesuffix(":443")

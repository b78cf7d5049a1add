"""Requests of other sites' pages are told from those of this app's own."""

import pytest

from assistant.auth.origins import is_ours


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({}, True),
        ({"host": "chat.example", "origin": "https://chat.example"}, True),
        ({"host": "inner:80", "x-forwarded-host": "chat.example", "origin": "https://chat.example"}, True),
        ({"host": "chat.example:443", "origin": "https://chat.example"}, True),
        ({"host": "inner:7860", "sec-fetch-site": "same-origin", "origin": "https://chat.example"}, True),
        ({"host": "chat.example", "origin": "https://chat.example:8000"}, False),
        ({"host": "chat.example", "origin": "https://evil.example"}, False),
        ({"host": "chat.example", "origin": "null"}, False),
        ({"host": "chat.example", "sec-fetch-site": "cross-site"}, False),
        ({"host": "chat.example", "sec-fetch-site": "same-site"}, False),
        ({"host": "chat.example", "sec-fetch-site": "same-origin"}, True),
    ],
)
def test_requests_from_other_sites_are_recognised(headers: dict[str, str], ours: bool) -> None:
    assert is_ours(headers) is ours

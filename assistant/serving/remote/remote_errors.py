"""What another server's refusals mean, in errors of the project."""

import httpx

from assistant.bases.card_lookup import model_name
from assistant.errors import EngineBusy, EngineError


def raise_refusal(response: httpx.Response, url: str, name: str = "") -> None:
    """Raises the EngineError that a response's status means; nothing for a success.

    `name`: the model's there. Servers repeat it, and clients see it without the path that it may be.
    """
    if response.status_code == 429:
        raise EngineBusy(f"The server {url} has too much to do: {text_of(response)}. Try again in a moment.")
    if response.status_code in (401, 403):
        raise EngineError(f"The server {url} refuses the key. Give the right one in THUMBTUNE_ENGINE_KEY.")
    if not response.is_success:
        raise EngineError(
            f"The server {url} refused the request ({response.status_code}): {text_of(response, name)}."
        )


def text_of(response: httpx.Response, name: str = "") -> str:
    """What the server says, in one line; the model's name there without the path that it may be."""
    text = " ".join(response.text.split())
    return (text.replace(name, model_name(name)) if name else text)[:300] or "no reason given"


def reason_of(error: Exception) -> str:
    """An exception's message, or its class if it has none."""
    return str(error) or type(error).__name__

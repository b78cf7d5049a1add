"""Splits of rows by their prompt: held out or trained on, and two halves for two reward models.

A split depends on the prompt's text alone, so that the store, files and every stage agree about a prompt.
"""

import hashlib
from collections.abc import Sequence
from types import SimpleNamespace

from feedback_store import rows as feedback

Messages = Sequence[dict[str, str]]


def is_held_out(messages: Messages) -> bool:
    """Whether rows with this prompt are kept away from training: the store's own split, for rows of files too."""
    return feedback.held_out(SimpleNamespace(messages=messages))


def half_of(messages: Messages) -> str:
    """ "a" or "b", by the prompt: models that are trained on one half each have no prompt in common."""
    text = feedback.normal_prompt(messages)
    # Not the held-out split's hash, so that each half holds out a tenth of its own.
    return "ab"[hashlib.sha256(f"half:{text}".encode()).digest()[0] % 2]

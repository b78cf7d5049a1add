"""A tokenizer without a chat template."""

from __future__ import annotations

from typing import Any


class Plain:
    """A tokenizer without a chat template: one id for each character."""

    chat_template = None
    eos_token_id = pad_token_id = 0
    added_tokens_decoder: dict[int, Any] = {}  # noqa: RUF012

    def __call__(self, text: str, **_: Any) -> Any:
        return type("Encoded", (), {"input_ids": [ord(character) for character in text]})

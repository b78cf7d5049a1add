"""The protocol of tokenizers: `ChatTokenizer` gives what it lists, and transformers' tokenizers do."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class TokenIds(Protocol):
    """What a tokenizer makes of a text."""

    @property
    def input_ids(self) -> list[int]:
        """The token ids."""


class Tokenizer(Protocol):
    """What serving needs of a tokenizer."""

    @property
    def chat_template(self) -> str | None:
        """The model's template for conversations, in Jinja; None for a base model."""

    @property
    def eos_token_id(self) -> int | None:
        """END: the token that ends a reply."""

    @property
    def pad_token_id(self) -> int | None:
        """The token that fills up short rows of a batch."""

    @property
    def vocab_size(self) -> int:
        """Number of tokens without the added ones."""

    @property
    def added_tokens_decoder(self) -> Mapping[int, Any]:
        """Id → added token, with its `content` and whether it is `special`."""

    def __hash__(self) -> int:
        """Tokenizers are told apart by identity: what was derived from one is kept."""

    def __call__(self, text: str, add_special_tokens: bool = True) -> TokenIds:
        """The token ids of a text."""

    def decode(self, token_ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        """The text of token ids."""

    def convert_ids_to_tokens(self, ids: int) -> str | None:
        """The token with this id as the vocabulary spells it; None if there is none."""

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool,
        tokenize: bool,
        return_dict: bool,
        **switches: Any,
    ) -> list[int]:
        """Token ids of a conversation. Raises jinja2's TemplateError if the template refuses it."""


def start_of_text(tokenizer: Tokenizer) -> list[int]:
    """The tokens that the tokenizer puts before each text; none for most."""
    ids, plain = _with_and_without_special(tokenizer, "a")
    return ids[: max(_place(plain, ids), 0)]


def ids_of_beginning(tokenizer: Tokenizer, text: str) -> list[int]:
    """Token ids of a text that is continued: after the token that begins one, if the model has it.

    Some tokenizers also put END after each text, which would end the prompt before its reply.
    """
    ids, plain = _with_and_without_special(tokenizer, text)
    place = _place(plain, ids)
    return ids if place < 0 else ids[: place + len(plain)]


def _with_and_without_special(tokenizer: Tokenizer, text: str) -> tuple[list[int], list[int]]:
    return list(tokenizer(text).input_ids), list(tokenizer(text, add_special_tokens=False).input_ids)


def _place(part: list[int], ids: list[int]) -> int:
    """Where `part` is in `ids`; -1 if it is not."""
    places = (place for place in range(len(ids) - len(part) + 1) if ids[place : place + len(part)] == part)
    return next(places, -1)

"""Which prompts count as the same, and which prompts are held out for evaluation.

Every such decision uses one normal form of a prompt, `normal_prompt`: when repetitions are merged, when rows of one
prompt are limited, and when prompts are held out.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

# Punctuation that ends or joins sentences. Other signs, such as - and *, are arithmetic: 2-2 and 2*2 must stay apart.
_PUNCTUATION = re.compile(r"[。，！？、；：…]|[.,;:!?\"'“”‘’]+(?=\s|$)|(?<!\S)[\"'“”‘’]+")
_SPACES = re.compile(r"\s+")


def held_out(row: Any, share: float = 0.1, raters: float = 0.0) -> bool:
    """Whether a row of any kind is kept out of training, for evaluation.

    The prompt's normal form alone decides. All replies to nearly the same prompt, in either thinking mode, therefore
    fall on the same side, today and in every later export. About `share` of all prompts (0 to 1) are held out, and a
    larger share includes the prompts of a smaller one.

    `raters` likewise holds out the rows that come from a single person, for that share of all people. The default
    is none: where only one person rates, that could be every row.
    """
    if _hash_is_below(normal_prompt(row.messages), share):
        return True
    return raters > 0 and row.rater is not None and _hash_is_below(row.rater, raters)


def prompt_key(messages: Sequence[dict[str, str]], think: bool) -> bytes:
    """16 bytes that are equal for nearly the same prompt in the same thinking mode."""
    return digest("thinking" if think else "answering", normal_prompt(messages))


def normal_prompt(messages: Sequence[dict[str, str]]) -> str:
    """One text for all prompts that differ only in case, spaces or the punctuation around words.

    The text is the JSON of all [role, content]. It must not change: its hash decides which prompts are held out.
    """
    return f"[{', '.join(_normal_message(message['role'], message['content']) for message in messages)}]"


@lru_cache(maxsize=1_000)  # a conversation's messages are part of the prompts of all its replies
def _normal_message(role: str, content: str) -> str:
    return f"[{encode_basestring(role)}, {encode_basestring(normalised(content))}]"


def normalised(text: str) -> str:
    """The text in lower case, with single spaces, and without the punctuation of sentences."""
    return _SPACES.sub(" ", _PUNCTUATION.sub("", text.casefold())).strip()


def rater_key(rater: str) -> str:
    """The 16 hexadecimal digits that rows carry in place of a rater's id. The id cannot be read from them."""
    return hashlib.sha256(f"rater {rater}".encode()).hexdigest()[:16]


def digest(*texts: str | bytes) -> bytes:
    """16 bytes that identify these texts in this order."""
    encoded = [text.encode() if isinstance(text, str) else text for text in texts]
    # Each text is preceded by its length: "ab", "c" must not equal "a", "bc".
    return hashlib.sha256(b"".join(len(text).to_bytes(8, "big") + text for text in encoded)).digest()[:16]


def _hash_is_below(text: str, share: float) -> bool:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") < share * 2**64

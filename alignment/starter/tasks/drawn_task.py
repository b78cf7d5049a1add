"""One task of the starter's domain: a question, its worked steps, its answer, and how to check one.

Every generator yields tasks, and everything else is derived from them: raw text for pretraining,
conversations for fine-tuning, and the suite for evaluation. Which side a task falls on is decided
by a hash of what identifies it (operands, phrasing), never by a random draw, so that no later
change of seed or corpus size can move an evaluation problem into the training data.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

Language = Literal["en", "zh"]
Split = Literal["train", "test"]

LANGUAGES: tuple[Language, ...] = ("en", "zh")


@dataclass(frozen=True)
class DrawnTask:
    """A question put to the assistant, with all that is needed to teach and to check it."""

    kind: str
    """What is asked: a cell of the evaluation table, such as "addition" or "concept"."""
    language: Language
    template: str
    """Id of the phrasing; unseen phrasings are what the held-out suite asks with."""
    messages: tuple[dict[str, str], ...]
    """The conversation up to and including the user's question: {"role", "content"} each."""
    thought: str
    """Worked steps, shown when thinking is on. Empty where there is nothing to work out."""
    answer: str
    """A correct answer, as the assistant should give it."""
    expected: dict[str, Any] = field(default_factory=dict)
    """What the checker of this kind looks for, for example {"number": 632, "unit": "apples"}."""
    split: Split = "train"

    @property
    def question(self) -> str:
        """The last user message."""
        return self.messages[-1]["content"]


def split_of(*identity: object, test_share: float = 0.1) -> Split:
    """Put `identity` (operands, or a phrasing's id) into "train" or "test" by its SHA-256 hash.

    Deterministic across machines and Python versions: `hash()` is salted, this is not.
    """
    text = "\x1f".join(str(part) for part in identity)
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return "test" if share < test_share else "train"


def user(text: str) -> tuple[dict[str, str], ...]:
    """A conversation of one user message."""
    return ({"role": "user", "content": text},)

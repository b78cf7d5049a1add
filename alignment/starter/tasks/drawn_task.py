"""One task of the teaching domain: a question, its worked steps, its answer, and what a right answer holds.

Generators yield tasks, and everything else is derived from them: raw text for pretraining, conversations for
fine-tuning, and suites for evaluation and practice. A hash of what identifies a task (operands, phrasing) decides its
side, never a random draw, so that no later change of seed or corpus size moves an evaluation task into training.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

Language = Literal["en", "zh"]
Split = Literal["train", "test"]

LANGUAGES: tuple[Language, ...] = ("en", "zh")


@dataclass(frozen=True)
class DrawnTask:
    """A question to the assistant, with everything needed to teach and to check its answer."""

    kind: str
    """A row of the evaluation's table, such as "addition" or "concept"."""
    language: Language
    template: str
    """Id of the phrasing; held-out tasks have phrasings that training never sees."""
    messages: tuple[dict[str, str], ...]
    """The conversation up to and including the user's question: {"role", "content"} each."""
    thought: str
    """Worked steps, shown when thinking is on. Empty if there is nothing to work out."""
    answer: str
    """A correct answer, as the assistant should give it."""
    expected: dict[str, Any] = field(default_factory=dict)
    """What a right answer of this kind holds, for example {"number": 632, "unit": "apples"}."""
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

"""General questions with short answers, in several languages: what every chat model is asked, and should not forget.

The questions are asked beside people's own, which are few at first; the answers are fixed texts whose likelihood must
not fall. They were written for this project, and no training data of its stages holds them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path

GENERAL_FOLDER = Path(__file__).parent / "general"


@dataclass(frozen=True)
class GeneralText:
    """A question with a good short answer."""

    language: str
    question: str
    answer: str

    @property
    def messages(self) -> list[dict[str, str]]:
        """The question as a conversation."""
        return [{"role": "user", "content": self.question}]


def general_languages() -> list[str]:
    """The codes of the languages that there are texts in."""
    return sorted(path.stem for path in GENERAL_FOLDER.glob("*.jsonl"))


def general_texts(languages: Sequence[str], count: int) -> list[GeneralText]:
    """At most `count` texts in those of a model's `languages` that there are texts in, the languages in turn.

    English alone for a model of which no language is known, or none of these.
    """
    known = [code for code in languages if code in general_languages()] or ["en"]
    in_turn = chain.from_iterable(zip_longest(*map(_texts, known)))
    return [text for text in in_turn if text is not None][:count]


@cache
def _texts(language: str) -> tuple[GeneralText, ...]:
    lines = (GENERAL_FOLDER / f"{language}.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(GeneralText(language, **json.loads(line)) for line in lines)

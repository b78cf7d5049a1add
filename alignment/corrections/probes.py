"""Probes: what was fixed stays fixed, and what people liked stays likely.

Every correction is asked again, as it was and in other words, and its answer compared with the correction. Every liked
reply is read again: a version may not find it much less likely than the version before did.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from alignment.corrections.correction_rows import CorrectedPrompt
from alignment.corrections.own_wordings import Wordings, wording_key
from alignment.corrections.paraphrases import reworded
from alignment.corrections.self_asked import words
from alignment.data.served_ids import with_token_ids
from alignment.evaluation.answering import answer
from alignment.evaluation.retention import Row
from alignment.suites.task_file import Task
from assistant.errors import PromptError
from assistant.serving import prompt
from assistant.serving.loading import Loaded

LONGEST_ANSWER = 200
"""Most tokens of the answer to a probe."""


@dataclass(frozen=True)
class FixProbe:
    """What a version answers to one correction's prompt in several wordings."""

    asked: str
    correction: str
    wrong: str
    answer: str
    """To the prompt as it was."""
    holding: int
    """Wordings in which the answer is the correction's rather than the wrong one."""
    wordings: int

    @property
    def holds(self) -> bool:
        """In more than half of the wordings."""
        return 2 * self.holding > self.wordings


def probe_fixes(
    loaded: Loaded, corrections: Sequence[CorrectedPrompt], own: Wordings | None = None
) -> list[FixProbe]:
    """Ask every correction's prompt in its wordings. A prompt that the model's template refuses is left out.

    `own`: further wordings, as `read_wordings` gives them.
    """
    asked: list[tuple[int, bool, Task]] = []
    by_key = {wording_key(text): texts for text, texts in (own or {}).items()}
    for number, correction in enumerate(corrections):
        for messages in _wordings(correction, by_key.get(wording_key(correction.asked), ())):
            if _fits(loaded, messages, correction.think):
                asked.append((number, correction.think, Task("", "", tuple(messages), "", {})))
    answers: list[list[str]] = [[] for _ in corrections]
    for think in (True, False):
        chosen = [(number, task) for number, mode, task in asked if mode is think]
        if not chosen:
            continue
        written = answer(loaded, [task for _, task in chosen], think, LONGEST_ANSWER)
        for (number, _), one in zip(chosen, written, strict=True):
            answers[number].append(one.answer)
    return [
        FixProbe(
            correction.asked,
            correction.answer,
            correction.wrong,
            texts[0],
            sum(is_fixed(text, correction.answer, correction.wrong, correction.asked) for text in texts),
            len(texts),
        )
        for correction, texts in zip(corrections, answers, strict=True)
        if texts
    ]


def is_fixed(answer: str, correction: str, wrong: str, asked: str = "") -> bool:
    """Whether an answer says what the correction says rather than what it corrects.

    Counted are the words that only one of the two has and the prompt has not: the answer must have at least half of
    the correction's, and a larger share of these than of the wrong answer's. A correction that only leaves words out
    holds where at most half of them come back.
    """
    said, common = words(answer), words(asked)
    right_only = words(correction) - words(wrong) - common
    wrong_only = words(wrong) - words(correction) - common
    wrong_share = len(wrong_only & said) / len(wrong_only) if wrong_only else 0.0
    if not right_only:
        return bool(said) and wrong_share <= 0.5
    right_share = len(right_only & said) / len(right_only)
    return right_share >= 0.5 and right_share > wrong_share


def liked_rows(rows: Iterable[Any], window: int, tokenizer: Any) -> list[Row]:
    """Liked replies among `UnpairedRow`s as token ids: as they were served, or rendered if they were not."""
    read = with_token_ids((row for row in rows if row.label), tokenizer)
    liked = [(list(row.prompt_ids), list(row.completion_ids)) for row in read]
    return [row for row in liked if row[0] and row[1] and sum(map(len, row)) <= window]


def _wordings(correction: CorrectedPrompt, own: Sequence[str]) -> list[list[dict[str, str]]]:
    """The conversations in which a correction is probed: as it was, by rules, and as somebody else worded it."""
    *earlier, last = correction.messages
    by_rules = reworded(correction.messages, "probe")
    known = {messages[-1]["content"] for messages in by_rules}
    return [*by_rules, *([*earlier, {**last, "content": text}] for text in own if text not in known)]


def _fits(loaded: Loaded, messages: Sequence[dict[str, str]], think: bool) -> bool:
    try:
        return len(prompt.render(loaded.tokenizer, list(messages), think)) < loaded.window
    except PromptError:
        return False

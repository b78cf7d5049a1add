"""Held-out ratings of people as judgements of completions, and how often a version's implicit reward agrees."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment.data import served_ids
from alignment.data.matched_pairs import matched_pairs
from alignment.data.splits import is_held_out
from alignment.data.token_pairs import TokenPair, pairs_of_store
from alignment.evaluation.retention import Row, log_likelihoods
from assistant.registry.versions import Version
from assistant.serving.loading import load_tokenizer
from feedback_store import FeedbackStore, rows
from feedback_store.database.store_location import has_store


@dataclass(frozen=True)
class HeldOutJudgement:
    """`first` was preferred to `second`, or, without a second, `liked` or not. Token ids."""

    prompt: str
    """Equal for prompts that differ in case, spaces or punctuation alone."""
    prompt_ids: list[int]
    first: list[int]
    second: list[int] | None = None
    liked: bool = True

    @property
    def longest(self) -> int:
        """Tokens of the prompt and the longer completion."""
        return len(self.prompt_ids) + max(len(self.first), len(self.second or ()))


def from_store(home: Path, version: Version) -> tuple[list[Any], list[HeldOutJudgement]]:
    """Prompts that people consented to share, and their held-out judgements; both empty in a home without a store."""
    if not has_store(home):
        return [], []
    tokenizer = load_tokenizer(version.manifest.base, home)
    with FeedbackStore.open_home(home, create=False) as store:
        preferred = pairs_of_store(without_corrections(rows.preferences(store)), tokenizer)
        thumbs = served_ids.with_token_ids(rows.unpaired_rows(store), tokenizer)
        return rows.prompts(store), held_out_judgements(preferred, thumbs)


def without_corrections(pairs: Iterable[Any]) -> list[Any]:
    """`PreferenceRow`s without those that a correction made.

    `correct` learns from every correction, whatever its prompt: they are tested by asking again in other words.
    """
    return [pair for pair in pairs if pair.source != "correction"]


def held_out_judgements(preferred: Sequence[TokenPair], thumbs: Sequence[Any]) -> list[HeldOutJudgement]:
    """Judgements whose prompt is held out: token pairs, and unpaired rows of replies that are in no pair."""
    paired = {reply for pair in preferred for reply in pair.replies}
    judgements = [
        HeldOutJudgement(
            rows.normal_prompt(pair.messages), pair.prompt_ids, pair.chosen_ids, pair.rejected_ids
        )
        for pair in preferred
        if is_held_out(pair.messages) and pair.chosen_ids and pair.rejected_ids
    ]
    return judgements + [
        HeldOutJudgement(
            rows.normal_prompt(row.messages),
            list(row.prompt_ids),
            list(row.completion_ids),
            liked=row.label,
        )
        for row in thumbs
        if is_held_out(row.messages) and is_readable(row) and row.reply_id not in paired
    ]


def is_readable(row: Any) -> bool:
    """Whether an `UnpairedRow` is of a reply with text that did not fail."""
    return bool(row.completion_ids) and row.finish_reason != "error"


def implicit_accuracy(model: Any, reference: Any, judgements: Sequence[HeldOutJudgement]) -> list[bool]:
    """Whether the implicit reward agrees with people: the log-ratio of `model` to `reference`.

    Rafailov et al. 2023, eq. 5. Of a pair the chosen completion's must be the larger; of thumbs, a liked reply's must
    be larger than a disliked one's, so that chance is right on half of them; thumbs of one kind alone give none. There
    is one value for all comparisons that have a prompt in common, by the mean of their margins: see `matched_pairs`.
    None where that is 0, as it is for a model that did not change.
    """
    pairs = matched_pairs(
        [
            (judged.prompt, (judged.prompt_ids, judged.first), (judged.prompt_ids, judged.second))
            for judged in judgements
            if judged.second is not None
        ],
        [
            (judged.prompt, (judged.prompt_ids, judged.first), judged.liked)
            for judged in judgements
            if judged.second is None
        ],
    )
    replies: list[Row] = [*(pair.better for pair in pairs), *(pair.worse for pair in pairs)]
    new, old = (log_likelihoods(each, replies) for each in (model, reference))
    ratios = [mine - other for mine, other in zip(new, old, strict=True)]
    margins: dict[str, float] = defaultdict(float)
    for pair, better, worse in zip(pairs, ratios[: len(pairs)], ratios[len(pairs) :], strict=True):
        margins[pair.unit] += better - worse
    return [margin > 0 for margin in margins.values() if margin != 0]

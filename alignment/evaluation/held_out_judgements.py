"""Held-out ratings of people as judgements of completions, and how often a version's implicit reward agrees."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alignment.data import served_ids
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
        preferred = pairs_of_store(rows.preferences(store), tokenizer)
        thumbs = served_ids.with_token_ids(rows.unpaired_rows(store), tokenizer)
        return rows.prompts(store), held_out_judgements(preferred, thumbs)


def held_out_judgements(preferred: Sequence[TokenPair], thumbs: Sequence[Any]) -> list[HeldOutJudgement]:
    """Judgements whose prompt is held out: token pairs, and unpaired rows of replies that are in no pair."""
    paired = {reply for pair in preferred for reply in pair.replies}
    judgements = [
        HeldOutJudgement(pair.prompt_ids, pair.chosen_ids, pair.rejected_ids)
        for pair in preferred
        if is_held_out(pair.messages) and pair.chosen_ids and pair.rejected_ids
    ]
    return judgements + [
        HeldOutJudgement(list(row.prompt_ids), list(row.completion_ids), liked=row.label)
        for row in thumbs
        if is_held_out(row.messages) and row.completion_ids and row.reply_id not in paired
    ]


def implicit_accuracy(model: Any, reference: Any, judgements: Sequence[HeldOutJudgement]) -> list[bool]:
    """Whether the implicit reward agrees with people: the log-ratio of `model` to `reference`.

    Rafailov et al. 2023, eq. 5. Of a pair the chosen completion's must be the larger; of thumbs, a liked reply's must
    be larger than a disliked one's. Each thumb is in one such comparison at most, so that chance is right on half of
    them; thumbs of one kind alone give none.
    """
    pairs = [judged for judged in judgements if judged.second is not None]
    up = [judged for judged in judgements if judged.second is None and judged.liked]
    down = [judged for judged in judgements if judged.second is None and not judged.liked]
    draw = random.Random("held-out thumbs")
    draw.shuffle(up)
    draw.shuffle(down)
    better: list[Row] = [(judged.prompt_ids, judged.first) for judged in pairs]
    worse: list[Row] = [(judged.prompt_ids, judged.second or []) for judged in pairs]
    for liked, disliked in zip(up, down, strict=False):
        better.append((liked.prompt_ids, liked.first))
        worse.append((disliked.prompt_ids, disliked.first))
    new, old = (log_likelihoods(each, [*better, *worse]) for each in (model, reference))
    ratios = [mine - other for mine, other in zip(new, old, strict=True)]
    return [ratios[index] > ratios[len(better) + index] for index in range(len(better))]

"""Pairs: a prompt with a chosen and a rejected completion, from the store or from a file, as token ids."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from datasets import Dataset

from alignment.data import served_ids
from alignment.data.json_lines import parse_messages, read_json_lines
from alignment.data.splits import is_held_out
from alignment.errors import DataError
from assistant.errors import PromptError
from assistant.serving import prompt

Item = TypeVar("Item")
Texts = tuple[str, str]
"""Thought and answer."""


@dataclass(frozen=True)
class TokenPair:
    """Two completions of one prompt, of which people chose the first."""

    messages: list[dict[str, str]]
    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]
    replies: tuple[str, ...] = ()
    """Ids of the replies in the store that the completions come from."""


def pairs_of_store(rows: Iterable[Any], tokenizer: Any) -> list[TokenPair]:
    """`PreferenceRow`s of the store as pairs: served token ids as they are, other texts rendered.

    Rows that the model's template refuses are left out.
    """

    def pair(row: Any) -> TokenPair:
        sides = (row.chosen, row.rejected)
        prompt_ids = served_ids.prompt_ids(row, row.messages, tokenizer)
        chosen_ids, rejected_ids = (served_ids.completion_ids(side, row.think, tokenizer) for side in sides)
        replies = tuple(side.reply_id for side in sides if side.reply_id)
        return TokenPair(row.messages, prompt_ids, chosen_ids, rejected_ids, replies)

    return served_ids.readable(rows, pair)


def read_pairs(path: Path, tokenizer: Any) -> list[TokenPair]:
    """Pairs of a JSON Lines file. Each line has one of two forms.

    Thumbtune's: {"messages", "think", "chosen": {"thought", "answer"}, "rejected": {…}}. TRL's conversational form:
    {"prompt": [messages], "chosen": [message], "rejected": [message]}; without `prompt`, both conversations must begin
    alike. Raises DataError that names a line of neither form.
    """
    pairs = []
    for number, row in read_json_lines(path, "pairs"):
        try:
            messages, think, sides = _parse(row) if "messages" in row else _parse_trl(row)
            prompt_ids = prompt.render(tokenizer, messages, think)
            chosen_ids, rejected_ids = (prompt.completion(tokenizer, *texts, think) for texts in sides)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError, PromptError) as error:
            raise DataError(
                f"{path}, line {number}: expected messages, think, chosen and rejected with thought and answer, "
                f"or TRL's prompt, chosen and rejected ({error!r})."
            ) from error
        pairs.append(TokenPair(messages, prompt_ids, chosen_ids, rejected_ids))
    if not pairs:
        raise DataError(f"{path} holds no pairs.")
    return pairs


def _parse(row: dict[str, Any]) -> tuple[list[dict[str, str]], bool, list[Texts]]:
    sides = [(row[side].get("thought") or "", row[side]["answer"]) for side in ("chosen", "rejected")]
    return parse_messages(row["messages"]), bool(row["think"]), sides


def _parse_trl(row: dict[str, Any]) -> tuple[list[dict[str, str]], bool, list[Texts]]:
    chosen, rejected = row["chosen"], row["rejected"]
    messages = row.get("prompt")
    if messages is None:
        if chosen[:-1] != rejected[:-1]:
            raise ValueError("chosen and rejected must be two endings of one conversation")
        messages, chosen, rejected = chosen[:-1], chosen[-1:], rejected[-1:]
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    texts = [side if isinstance(side, str) else side[-1]["content"] for side in (chosen, rejected)]
    think = row.get("chat_template_kwargs", {}).get(
        "enable_thinking", texts[0].lstrip().startswith(prompt.THINK_OPEN)
    )
    parsed = [prompt.parse(text, think) for text in texts]
    return parse_messages(messages), think, [(reply.thought, reply.answer) for reply in parsed]


@dataclass(frozen=True)
class SortedPairs:
    """Pairs to train on and to evaluate on, and how many were left out and why."""

    training: list[TokenPair]
    held_out: list[TokenPair]
    too_long: int
    tied: int
    repeated: int
    left_out: str = ""
    """What the store's rules left out, as text."""

    def counts(self) -> dict[str, int]:
        """Numbers of rows for the manifest."""
        return {
            "pairs": len(self.training),
            "held_out": len(self.held_out),
            "too_long": self.too_long,
            "tied": self.tied,
            "repeated": self.repeated,
        }


def sort_pairs(pairs: Sequence[TokenPair], window: int, left_out: str = "") -> SortedPairs:
    """Separate held-out pairs, and leave out pairs longer than `window` tokens, tied, or repeated.

    See `resolve_contradictions`. No pair is cut. `left_out`: what the store's rules left out, as text.
    Raises DataError if no pair is left to train on.
    """
    if not pairs:
        raise DataError(
            f"There are no preferences yet{left_out}. Compare two answers, or give a thumb up and a thumb down to "
            "answers to the same message, and run this again; or name a file with --pairs."
        )
    resolved = resolve_contradictions(
        pairs,
        _key,
        _opposite_key,
        # A reply that was stopped before its first token says nothing either.
        is_empty=lambda pair: (
            not pair.chosen_ids or not pair.rejected_ids or pair.chosen_ids == pair.rejected_ids
        ),
        fits=lambda pair: len(pair.prompt_ids) + max(len(pair.chosen_ids), len(pair.rejected_ids)) <= window,
    )
    training = [pair for pair in resolved.kept if not is_held_out(pair.messages)]
    held_out = [pair for pair in resolved.kept if is_held_out(pair.messages)]
    if not training:
        raise DataError(
            f"None of the {len(pairs)} preferences can be trained on: {resolved.tied} are tied, {resolved.too_long} "
            f"are longer than the context window of {window} tokens, {len(held_out)} are held out for evaluation. "
            "Collect more."
        )
    return SortedPairs(training, held_out, resolved.too_long, resolved.tied, resolved.repeated, left_out)


def _key(pair: TokenPair) -> Hashable:
    return tuple(pair.prompt_ids), tuple(pair.chosen_ids), tuple(pair.rejected_ids)


def _opposite_key(pair: TokenPair) -> Hashable:
    return tuple(pair.prompt_ids), tuple(pair.rejected_ids), tuple(pair.chosen_ids)


def pair_columns(pairs: Sequence[TokenPair]) -> Dataset:
    """Pairs in the columns that TRL's preference trainers read once rows are tokenized."""
    return Dataset.from_dict(
        {
            "prompt_ids": [pair.prompt_ids for pair in pairs],
            "chosen_ids": [pair.chosen_ids for pair in pairs],
            "rejected_ids": [pair.rejected_ids for pair in pairs],
        }
    )


@dataclass(frozen=True)
class Resolved(Generic[Item]):
    """Judgements without contradictions, each once, and how many were left out and why."""

    kept: list[Item]
    too_long: int
    tied: int
    repeated: int


def resolve_contradictions(
    items: Sequence[Item],
    key: Callable[[Item], Hashable],
    opposite_key: Callable[[Item], Hashable],
    is_empty: Callable[[Item], bool],
    fits: Callable[[Item], bool],
) -> Resolved[Item]:
    """Keep each judgement once, and of two that contradict each other the one that was given more often.

    Two that were given equally often are tied, and both are left out. Judgements with the same `key` are the same; the
    one with `opposite_key` contradicts it. A judgement that `is_empty` counts as tied; one that does not fit as too
    long.
    """
    votes = Counter(map(key, items))
    kept: dict[Hashable, Item] = {}
    too_long = tied = repeated = 0
    for item in items:
        own_key = key(item)
        votes_against = votes[opposite_key(item)]
        if is_empty(item) or votes_against == votes[own_key]:
            tied += 1
        elif not fits(item):
            too_long += 1
        elif own_key in kept or votes_against > votes[own_key]:
            repeated += 1
        else:
            kept[own_key] = item
    return Resolved(list(kept.values()), too_long, tied, repeated)

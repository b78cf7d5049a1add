"""Judgements: what people preferred, liked and disliked, as token ids that a reward model learns from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alignment.data.dataset import held_out, standing
from alignment.data.pairs import Pair
from alignment.errors import DataError


@dataclass(frozen=True)
class Judged:
    """One judgement: `better` was preferred to `worse`, or, where there is no rival, liked or disliked."""

    messages: list[dict[str, str]]
    prompt: int
    """Length of the prompt in tokens."""
    first: list[int]
    """Prompt and completion; the preferred one of a pair."""
    second: list[int] | None
    """Prompt and the other completion; None for a thumb."""
    sign: int
    """-1 for a thumb down, else 1."""


def of_pair(pair: Pair) -> Judged:
    """A pair as a judgement."""
    asked = pair.prompt_ids
    return Judged(pair.messages, len(asked), asked + pair.chosen_ids, asked + pair.rejected_ids, 1)


def of_thumb(row: Any) -> Judged:
    """An `UnpairedRow` as a judgement."""
    whole = [*row.prompt_ids, *row.completion_ids]
    return Judged(row.messages, len(row.prompt_ids), whole, None, 1 if row.label else -1)


@dataclass(frozen=True)
class Usable:
    """Judgements to train on, those to evaluate on, and how many of those given were left out."""

    training: list[Judged]
    held_out: list[Judged]
    too_long: int
    tied: int
    repeated: int


def usable(found: Sequence[Judged], window: int, left_out: str = "") -> Usable:
    """Set aside what is held out, and leave out what cannot teach: too long for `window` tokens, tied, repeated.

    Judgements that contradict each other equally often are tied; else the more frequent one stands, once. `left_out`:
    what the store's rules took away, in words. Raises DataError where there is nothing to learn from: no judgements,
    or thumbs of one kind and no pair.
    """
    if not found:
        raise DataError(
            f"There are no judgements yet{left_out}. Give thumbs, or compare answers, and run this again; or name a "
            "file with --pairs."
        )
    kept, too_long, tied, repeated = standing(
        found,
        _key,
        _opposite,
        says_nothing=lambda one: one.first == one.second,
        fits=lambda one: max(len(one.first), len(one.second or [])) <= window,
    )
    training = [one for one in kept if not held_out(one.messages)]
    aside = [one for one in kept if held_out(one.messages)]
    if not training:
        raise DataError(
            f"None of the {len(found)} judgements can be trained on: {tied} are tied, "
            f"{too_long} are longer than the context window of {window} tokens, {len(aside)} held out."
        )
    if all(one.second is None for one in training) and len({one.sign for one in training}) == 1:
        given, missing = ("up", "down") if training[0].sign > 0 else ("down", "up")
        raise DataError(
            f"All {len(training)} judgements are thumbs {given}. A reward model learns from the difference: give "
            f"thumbs {missing} to some answers too, and run this again."
        )
    return Usable(training, aside, too_long, tied, repeated)


def _key(one: Judged) -> tuple[Any, ...]:
    return tuple(one.first), tuple(one.second or ()), one.sign


def _opposite(one: Judged) -> tuple[Any, ...]:
    if one.second is None:
        return tuple(one.first), (), -one.sign
    return tuple(one.second), tuple(one.first), one.sign

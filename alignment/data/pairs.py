"""Pairs: a prompt with a better and a worse completion, from the store or from a file, as token ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from alignment.data import served_ids
from alignment.data.dataset import conversation, held_out, read_json_lines, standing
from alignment.errors import DataError
from assistant.errors import PromptError
from assistant.serving import prompt


@dataclass(frozen=True)
class Pair:
    """`chosen_ids` was preferred to `rejected_ids` as what follows `prompt_ids`."""

    messages: list[dict[str, str]]
    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]
    replies: tuple[str, ...] = ()
    """Ids of the replies in the store, where both were served."""


@dataclass(frozen=True)
class Sorted:
    """Pairs to train on, pairs to evaluate on, and how many of those given were left out."""

    training: list[Pair]
    held_out: list[Pair]
    too_long: int
    tied: int
    repeated: int

    def counts(self) -> dict[str, int]:
        """For the manifest."""
        return {
            "pairs": len(self.training),
            "held_out": len(self.held_out),
            "too_long": self.too_long,
            "tied": self.tied,
            "repeated": self.repeated,
        }


def from_store(rows: Iterable[Any], tokenizer: Any) -> list[Pair]:
    """`feedback_store.rows.PreferenceRow`s → pairs: served token ids as they are, other texts rendered."""
    found = []
    for row in rows:
        chosen, rejected = (
            served_ids.completion_ids(said, row.think, tokenizer) for said in (row.chosen, row.rejected)
        )
        replies = tuple(said.reply_id for said in (row.chosen, row.rejected) if said.reply_id)
        found.append(
            Pair(row.messages, served_ids.prompt_ids(row, row.messages, tokenizer), chosen, rejected, replies)
        )
    return found


def read(path: Path, tokenizer: Any) -> list[Pair]:
    """Pairs of a JSON Lines file. Two forms are read, line by line.

    Ours: {"messages", "think", "chosen": {"thought", "answer"}, "rejected": {…}}. TRL's conversational one:
    {"prompt": [messages], "chosen": [message], "rejected": [message]}, where `prompt` may be left out if both
    conversations begin alike. Raises DataError with the line that is neither.
    """
    found = []
    for number, row in read_json_lines(path, "pairs"):
        try:
            messages, think, said = _ours(row) if "messages" in row else _trl(row)
            prompt_ids = prompt.render(tokenizer, messages, think)
            chosen, rejected = (prompt.completion(tokenizer, *texts, think) for texts in said)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError, PromptError) as error:
            raise DataError(
                f"{path}, line {number}: expected messages, think, chosen and rejected with thought and answer, "
                f"or TRL's prompt, chosen and rejected ({error!r})."
            ) from error
        found.append(Pair(messages, prompt_ids, chosen, rejected))
    if not found:
        raise DataError(f"{path} holds no pairs.")
    return found


def _ours(row: dict[str, Any]) -> tuple[list[dict[str, str]], bool, list[tuple[str, str]]]:
    said = [(row[side].get("thought") or "", row[side]["answer"]) for side in ("chosen", "rejected")]
    return conversation(row["messages"]), bool(row["think"]), said


def _trl(row: dict[str, Any]) -> tuple[list[dict[str, str]], bool, list[tuple[str, str]]]:
    chosen, rejected = row["chosen"], row["rejected"]
    messages = row.get("prompt")
    if messages is None:
        if chosen[:-1] != rejected[:-1]:
            raise ValueError("chosen and rejected are not two endings of one conversation")
        messages, chosen, rejected = chosen[:-1], chosen[-1:], rejected[-1:]
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    texts = [side if isinstance(side, str) else side[-1]["content"] for side in (chosen, rejected)]
    think = row.get("chat_template_kwargs", {}).get(
        "enable_thinking", texts[0].lstrip().startswith(prompt.THINK_OPEN)
    )
    parsed = [prompt.parse(text, think) for text in texts]
    return conversation(messages), think, [(one.thought, one.answer) for one in parsed]


def sort(found: Sequence[Pair], window: int, left_out: str = "") -> Sorted:
    """Set aside what is held out, and leave out what cannot teach: too long for `window` tokens, tied, repeated.

    Two texts that were preferred to each other equally often are tied; else the more frequent preference stands, once.
    Nothing is ever cut. `left_out`: what the store's rules took away, in words. Raises DataError where no pair is left
    to train on.
    """
    if not found:
        raise DataError(
            f"There are no preferences yet{left_out}. Compare two answers, or give a thumb up and a thumb down to "
            "answers to the same message, and run this again; or name a file with --pairs."
        )
    kept, too_long, tied, repeated = standing(
        found,
        _key,
        _opposite,
        # A reply that was stopped before its first token says nothing either.
        says_nothing=lambda one: (
            not one.chosen_ids or not one.rejected_ids or one.chosen_ids == one.rejected_ids
        ),
        fits=lambda one: len(one.prompt_ids) + max(len(one.chosen_ids), len(one.rejected_ids)) <= window,
    )
    training = [pair for pair in kept if not held_out(pair.messages)]
    aside = [pair for pair in kept if held_out(pair.messages)]
    if not training:
        raise DataError(
            f"None of the {len(found)} preferences can be trained on: {tied} are tied, {too_long} are longer than the "
            f"context window of {window} tokens, {len(aside)} are held out for evaluation. Collect more."
        )
    return Sorted(training, aside, too_long, tied, repeated)


def _key(pair: Pair) -> tuple[tuple[int, ...], ...]:
    return tuple(pair.prompt_ids), tuple(pair.chosen_ids), tuple(pair.rejected_ids)


def _opposite(pair: Pair) -> tuple[tuple[int, ...], ...]:
    return tuple(pair.prompt_ids), tuple(pair.rejected_ids), tuple(pair.chosen_ids)


def columns(pairs: Sequence[Pair]) -> Dataset:
    """Pairs as TRL's preference trainers read them once tokenized."""
    return Dataset.from_dict(
        {
            "prompt_ids": [pair.prompt_ids for pair in pairs],
            "chosen_ids": [pair.chosen_ids for pair in pairs],
            "rejected_ids": [pair.rejected_ids for pair in pairs],
        }
    )

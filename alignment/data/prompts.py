"""Prompts to answer in training: from the store, from a file, or drawn from the starter's tasks."""

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from alignment.data.feedback_rows import feedback_rows
from alignment.data.json_lines import parse_messages, read_json_lines
from alignment.data.splits import is_held_out
from alignment.errors import DataError
from alignment.evaluation.evaluate import KINDS
from alignment.starter.corpus import task
from alignment.starter.task import LANGUAGES, Task
from assistant.serving import prompt

Thinking = Literal["on", "off", "both"]


@dataclass(frozen=True)
class Asked:
    """A conversation up to the user's turn, and whether to think."""

    messages: list[dict[str, str]]
    think: bool
    task: Task | None = None
    """Where the answer can be checked."""
    prompt_ids: list[int] | None = None
    """As it was served, where it was."""

    def rendered(self, tokenizer: Any) -> list[int]:
        """Token ids of the prompt."""
        return self.prompt_ids or prompt.render(tokenizer, self.messages, self.think)


@dataclass(frozen=True)
class Prompts:
    """What is asked in training, what is asked at looks, and how many prompts are too long or were there before."""

    training: list[Asked]
    held_out: list[Asked]
    too_long: int
    repeated: int = 0


def choose(recipe: Any, home: Path, tokenizer: Any, window: int, snapshot: Path | None = None) -> Prompts:
    """Prompts of a PPORecipe that leave room for a whole answer; the store's, or a snapshot's. Raises DataError where
    none does.
    """
    if recipe.suite:
        # Enough that no task is asked twice, and a tenth is held out.
        count = math.ceil(1.2 * recipe.updates * recipe.batch_size)
        found = from_suite(recipe.suite.split(","), count, recipe.thinking, recipe.seed)
    elif recipe.prompts is not None:
        found = from_file(recipe.prompts, recipe.thinking)
    else:
        found = from_store(home, snapshot)
    room = window - recipe.max_new_tokens
    distinct: dict[tuple[int, ...], Asked] = {}
    for one in found:
        distinct.setdefault(tuple(one.rendered(tokenizer)), one)
    fits = [one for ids, one in distinct.items() if len(ids) <= room]
    training = [one for one in fits if not is_held_out(one.messages)]
    if not training:
        raise DataError(
            f"None of the {len(found)} prompts can be trained on: {len(distinct) - len(fits)} leave no room for "
            f"{recipe.max_new_tokens} tokens in a window of {window}, {len(fits)} are held out "
            "for evaluation. Lower --max_new_tokens, or collect more."
        )
    aside = [one for one in fits if is_held_out(one.messages)][: recipe.held_out]
    return Prompts(training, aside, len(distinct) - len(fits), len(found) - len(distinct))


def from_store(home: Path, snapshot: Path | None = None) -> list[Asked]:
    """Everything that people asked and consented to. Raises DataError where they asked nothing."""
    found = [
        Asked(list(row.messages), row.think, prompt_ids=list(row.prompt_ids))
        for row in feedback_rows(home, snapshot, "prompt").rows
    ]
    if not found:
        raise DataError(
            "Nobody has asked anything yet. Chat first, or name prompts with --prompts or --suite."
        )
    return found


def from_file(path: Path, thinking: Thinking) -> list[Asked]:
    """Prompts of a JSON Lines file: {"messages", "think"}, {"prompt": text}, or a task's fields.

    `think` may be left out: `thinking` then decides. Raises DataError with the line that is none of these.
    """
    found = []
    for number, row in read_json_lines(path, "prompts"):
        try:
            messages = _messages(row)
            asked = None
            if "expected" in row:
                asked = Task(
                    **{**{k: v for k, v in row.items() if k != "think"}, "messages": tuple(messages)}
                )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f'{path}, line {number}: expected {{"messages", "think"}}, {{"prompt"}} or a task\'s '
                f"fields ({error!r})."
            ) from error
        modes = [bool(row["think"])] if "think" in row else _modes(thinking)
        found += [Asked(messages, think, asked) for think in modes]
    if not found:
        raise DataError(f"{path} holds no prompts.")
    return found


def from_suite(kinds: Sequence[str], count: int, thinking: Thinking, seed: int) -> list[Asked]:
    """`count` training tasks, of all `kinds`, languages and modes in turn. Raises DataError for an unknown kind."""
    for kind in kinds:
        if kind not in KINDS:
            raise DataError(f"There is no task kind {kind!r}. Known: {', '.join(KINDS)}.")
    rng = random.Random(f"asked {seed}")
    cells = itertools.cycle(itertools.product(_modes(thinking), kinds, LANGUAGES))
    found = []
    for think, kind, language in itertools.islice(cells, count):
        drawn = task(rng, language, kind, "train")
        found.append(Asked(list(drawn.messages), think, drawn))
    return found


def drawn(pool: Sequence[Asked], number: int, size: int, seed: int) -> list[Asked]:
    """The prompts of an update: the pool in a new order each time it has been gone through."""
    found = []
    for place in range(number * size, (number + 1) * size):
        passed, index = divmod(place, len(pool))
        found.append(pool[_order(len(pool), seed, passed)[index]])
    return found


def _order(count: int, seed: int, passed: int) -> list[int]:
    return random.Random(f"{seed} {passed}").sample(range(count), count)


def _messages(row: dict[str, Any]) -> list[dict[str, str]]:
    if isinstance(row.get("prompt"), str):
        return parse_messages([{"role": "user", "content": row["prompt"]}])
    return parse_messages(row["messages"] if "messages" in row else row["prompt"])


def _modes(thinking: Thinking) -> list[bool]:
    return {"on": [True], "off": [False], "both": [True, False]}[thinking]

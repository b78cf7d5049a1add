"""Prompts that rollouts answer: from the store, from a file, or from the starter's practice tasks."""

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from alignment.data.feedback_rows import feedback_rows
from alignment.data.json_lines import parse_messages, read_json_lines, rows_hash
from alignment.data.served_ids import are_ours, readable
from alignment.data.splits import is_held_out
from alignment.errors import DataError
from alignment.suites.starter_suite import STARTER_PRACTICE, starter_kinds, starter_tasks
from alignment.suites.task_file import Task, task_of
from assistant.serving import prompt

Item = TypeVar("Item")
Thinking = Literal["on", "off", "both"]


@dataclass(frozen=True)
class RolloutPrompt:
    """A conversation up to the user's message, and whether to think."""

    messages: list[dict[str, str]]
    think: bool
    task: Task | None = None
    """The task that the prompt asks, if its answer can be checked."""
    prompt_ids: list[int] | None = None
    """Token ids as they were served, if they were."""

    def rendered(self, tokenizer: Any) -> list[int]:
        """Token ids of the prompt."""
        if self.prompt_ids and are_ours(self.prompt_ids, tokenizer):
            return self.prompt_ids
        return prompt.render(tokenizer, self.messages, self.think)


@dataclass(frozen=True)
class Prompts:
    """The prompts of a run."""

    training: list[RolloutPrompt]
    held_out: list[RolloutPrompt]
    """Answered at each evaluation, never trained on."""
    too_long: int
    """Prompts left out because they leave no room for a whole answer."""
    room: int = 0
    """Most tokens of a prompt."""
    not_asked: int = 0
    """Held-out prompts beyond those that an evaluation asks."""
    repeated: int = 0
    """Prompts left out because an equal one came before."""
    missing: int = 0
    """How many more practice tasks the run would need so that none is answered twice."""

    def left_out(self) -> str:
        """For the line that counts prompts: those that are not asked, and why."""
        limit = (
            f" (over {self.room} tokens, which a smaller --max_new_tokens raises)" if self.too_long else ""
        )
        more = f", {self.not_asked} more held out" if self.not_asked else ""
        return f"{self.too_long} too long{limit}, {self.repeated} repeated{more}{self.shortage()}"

    def shortage(self) -> str:
        """For the line that counts prompts; empty if no task is missing."""
        return (
            f"; {self.missing} fewer than the run answers, so some are answered again" if self.missing else ""
        )


def choose(recipe: Any, home: Path, tokenizer: Any, window: int, snapshot: Path | None = None) -> Prompts:
    """The prompts that a PPO or RLOO recipe names; by default the store's, or a snapshot's.

    Prompts that leave no room for a whole answer in `window` tokens, or that the model's template refuses, are left
    out. Raises DataError if none is left.
    """
    missing = 0
    if recipe.suite:
        # Enough that no task is answered twice although about a tenth is held out.
        wanted = math.ceil(1.2 * recipe.updates * recipe.batch_size)
        prompts = from_suite(recipe.suite.split(","), wanted, recipe.thinking, recipe.seed)
        missing = wanted - len(prompts)
    elif recipe.prompts is not None:
        prompts = from_file(recipe.prompts, recipe.thinking)
    else:
        prompts = from_store(home, snapshot)
    room = window - recipe.max_new_tokens
    rendered = readable(prompts, lambda candidate: (tuple(candidate.rendered(tokenizer)), candidate))
    distinct: dict[tuple[int, ...], RolloutPrompt] = {}
    for ids, candidate in rendered:
        distinct.setdefault(ids, candidate)
    fitting = [candidate for ids, candidate in distinct.items() if len(ids) <= room]
    training = [candidate for candidate in fitting if not is_held_out(candidate.messages)]
    if not training:
        raise DataError(
            f"None of the {len(prompts)} prompts can be trained on: {len(distinct) - len(fitting)} leave no room for "
            f"{recipe.max_new_tokens} tokens in a window of {window}, {len(fitting)} are held out "
            "for evaluation. Lower --max_new_tokens, or collect more."
        )
    held_out = [candidate for candidate in fitting if is_held_out(candidate.messages)]
    return Prompts(
        training,
        held_out[: recipe.held_out],
        too_long=len(distinct) - len(fitting),
        room=room,
        not_asked=max(0, len(held_out) - recipe.held_out),
        repeated=len(rendered) - len(distinct),
        missing=missing,
    )


def from_store(home: Path, snapshot: Path | None = None) -> list[RolloutPrompt]:
    """Every prompt of people who consented. Raises DataError if there is none."""
    prompts = [
        RolloutPrompt(list(row.messages), row.think, prompt_ids=list(row.prompt_ids))
        for row in feedback_rows(home, snapshot, "prompt").rows
    ]
    if not prompts:
        raise DataError(
            "Nobody has asked anything yet. Chat first, or name prompts with --prompts or --suite."
        )
    return prompts


def from_file(path: Path, thinking: Thinking) -> list[RolloutPrompt]:
    """Prompts of a JSON Lines file: {"messages", "think"}, {"prompt": text}, or a task's fields.

    Where `think` is left out, `thinking` decides. Raises DataError with the line that is none of these.
    """
    prompts = []
    for number, row in read_json_lines(path, "prompts"):
        try:
            messages, task = _messages(row), None
            if "checks" in row:
                fields = {key: value for key, value in row.items() if key != "think"}
                task = task_of({**fields, "messages": messages})
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f'{path}, line {number}: expected {{"messages", "think"}}, {{"prompt"}} or a task\'s '
                f"fields ({error!r})."
            ) from error
        modes = [bool(row["think"])] if "think" in row else _modes(thinking)
        prompts += [RolloutPrompt(messages, think, task) for think in modes]
    if not prompts:
        raise DataError(f"{path} holds no prompts.")
    return prompts


def from_suite(kinds: Sequence[str], count: int, thinking: Thinking, seed: int) -> list[RolloutPrompt]:
    """`count` of the starter's practice tasks, of all `kinds`, languages and modes in turn; fewer if there are fewer.

    Practice tasks are on the training side: none of them is in the evaluation suite. Another seed begins elsewhere in
    the file. Raises DataError for an unknown kind.
    """
    for kind in kinds:
        if kind not in starter_kinds():
            raise DataError(f"There is no task kind {kind!r}. Known: {', '.join(starter_kinds())}.")
    cells = [tasks for (kind, _), tasks in starter_tasks(STARTER_PRACTICE).items() if kind in kinds]
    modes = _modes(thinking)
    begin = random.Random(f"practice {seed}").random()
    # Each mode begins elsewhere, so that a task is asked in both modes only where there are few.
    queues = [
        [
            RolloutPrompt(list(task.messages), think, task)
            for task in _rotated(tasks, begin + index / len(modes))
        ]
        for index, think in enumerate(modes)
        for tasks in cells
    ]
    mixed = (each for turn in itertools.zip_longest(*queues) for each in turn if each is not None)
    return list(itertools.islice(mixed, count))


def prompts_hash(prompts: Sequence[RolloutPrompt]) -> str:
    """SHA-256 of prompts in order, as hexadecimal, with what their answers are checked for."""
    return rows_hash(map(asdict, prompts))


def _rotated(tasks: Sequence[Task], share: float) -> list[Task]:
    """`tasks`, beginning a `share` of their number further on."""
    start = int(share * len(tasks)) % len(tasks)
    return [*tasks[start:], *tasks[:start]]


def drawn(pool: Sequence[Item], number: int, size: int, seed: int | str) -> list[Item]:
    """What update `number`, from 0, takes: the pool in a new order each time it has been gone through."""
    prompts = []
    for position in range(number * size, (number + 1) * size):
        passes, index = divmod(position, len(pool))
        prompts.append(pool[_order(len(pool), seed, passes)[index]])
    return prompts


def _order(count: int, seed: int | str, passes: int) -> list[int]:
    return random.Random(f"{seed} {passes}").sample(range(count), count)


def _messages(row: dict[str, Any]) -> list[dict[str, str]]:
    if isinstance(row.get("prompt"), str):
        return parse_messages([{"role": "user", "content": row["prompt"]}])
    return parse_messages(row["messages"] if "messages" in row else row["prompt"])


def _modes(thinking: Thinking) -> list[bool]:
    return {"on": [True], "off": [False], "both": [True, False]}[thinking]

"""The sources of reward that a recipe names, and rewards in the form that TRL calls."""

from collections.abc import Callable, Sequence
from typing import Any

from alignment.data.prompts import RolloutPrompt
from alignment.errors import DataError
from alignment.scoring import reward_functions
from alignment.scoring.reward_functions import Rollout, Source
from assistant.serving import prompt


def sources_of(recipe: Any, open_reward_model: Callable[[str], Source]) -> list[Source]:
    """Reward functions and the reward model of a recipe. Raises DataError if it names neither."""
    sources = [Source(name, reward_functions.find(name)) for name in recipe.reward_functions]
    if recipe.reward is not None:
        sources.append(open_reward_model(recipe.reward))
    if not sources:
        raise DataError(
            "Nothing scores the answers. Name a reward model with --reward, or --reward_functions."
        )
    return sources


def as_trl_reward(
    source: Source, prompts: Sequence[RolloutPrompt], tokenizer: Any, ends: Sequence[int]
) -> Callable[..., list[float]]:
    """A reward as TRL calls it, with parallel lists. The column `row` has the number of each answer's prompt.

    `ends`: the tokens of which each ends an answer.
    """

    def score(completion_ids: list[list[int]], row: list[int], **_: Any) -> list[float]:
        answers = []
        for number, ids in zip(row, completion_ids, strict=True):
            item = prompts[number]
            reply = prompt.parse(prompt.decode(tokenizer, ids), item.think)
            answers.append(
                Rollout(
                    messages=item.messages,
                    think=item.think,
                    task=item.task,
                    prompt_ids=item.rendered(tokenizer),
                    completion_ids=ids,
                    thought=reply.thought,
                    answer=reply.answer,
                    ended=bool(ids) and ids[-1] in ends,
                )
            )
        return source(answers)

    score.__name__ = source.name
    return score

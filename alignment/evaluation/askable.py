"""Prompts as the app would serve them: trimmed by the same rule, and left out by name where they cannot be asked.

A home holds whatever people wrote and imported: conversations longer than the window, templates that refuse a role,
messages without a text. One such prompt must not end an evaluation of hundreds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from alignment.evaluation.answering import served_prompt
from alignment.evaluation.evaluation_set import EvaluationSet, thinking_modes
from assistant.errors import EmptyMessage, TooLong
from assistant.events.event import Event
from assistant.events.event_error import event_of
from assistant.serving.loading import Loaded

NAMED = 5
"""Prompts that a report names; the others are counted."""
NAME_LENGTH = 60
"""Characters of a question that stand for a prompt without an id."""


@dataclass(frozen=True)
class LeftOutPrompt:
    """A prompt that was not asked: its id, or how it begins, and the reason."""

    name: str
    why: Event


def without_unaskable(
    inputs: EvaluationSet, models: Sequence[Loaded]
) -> tuple[EvaluationSet, list[LeftOutPrompt]]:
    """The evaluation set without the prompts that one of the `models` cannot be asked, and those prompts."""
    left_out: list[LeftOutPrompt] = []

    def askable(name: str, messages: Sequence[dict[str, str]], modes: Sequence[bool]) -> bool:
        for loaded in models:
            for think in modes:
                if (why := _obstacle(loaded, messages, think, inputs.max_new_tokens)) is not None:
                    left_out.append(LeftOutPrompt(name or _beginning(messages), why))
                    return False
        return True

    modes = sorted({think for loaded in models for think in thinking_modes(loaded.tokenizer)})
    tasks = [task for task in inputs.tasks if askable(task.id, task.messages, modes)]
    people = [asked for asked in inputs.people if askable(asked.id, asked.messages, (asked.think,))]
    return replace(inputs, tasks=tasks, people=people), left_out


def note_of(left_out: Sequence[LeftOutPrompt], of: int) -> Event:
    """What was not asked of `of` prompts, as an event for the report."""
    prompts = [Event.of("prompt_not_asked", prompt=each.name, why=each.why) for each in left_out[:NAMED]]
    if len(left_out) > NAMED:
        prompts.append(Event.of("and_more", count=len(left_out) - NAMED))
    return Event.of("prompts_not_asked", count=len(left_out), of=of, prompts=prompts)


def _obstacle(
    loaded: Loaded, messages: Sequence[dict[str, str]], think: bool, max_new_tokens: int
) -> Event | None:
    try:
        served_prompt(loaded, messages, think, max_new_tokens)
    except TooLong as error:
        return Event.of("prompt_too_long", tokens=error.tokens, most=error.most)
    except EmptyMessage:
        return Event.of("prompt_empty")
    except Exception as error:  # Whatever a template or a tokenizer raises at it, it is one prompt of many.
        return Event.of("prompt_refused", error=event_of(error))
    return None


def _beginning(messages: Sequence[dict[str, Any]]) -> str:
    text = " ".join(str(messages[-1].get("content", "")).split()) if messages else ""
    return f"“{text[:NAME_LENGTH]}{'…' if len(text) > NAME_LENGTH else ''}”"

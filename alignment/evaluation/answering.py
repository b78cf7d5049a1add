"""Answers of one version to tasks, generated in batches and judged by each task's checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

from alignment.data.batches import pad_left
from alignment.suites.task_file import Task, judge
from assistant.serving import prompt
from assistant.serving.loading import Loaded, end_tokens

BATCH = 128


@dataclass(frozen=True)
class EvaluatedAnswer:
    """One task, with a version's answer to it and what its checks say."""

    task: Task
    think: bool
    thought: str
    answer: str
    ended: bool
    """The model wrote an end token before the limit."""
    correct: bool
    has_unit: bool | None
    """None where the task has no unit; likewise `refused`."""
    refused: bool | None
    asks: bool
    """The reply's first line is a question, as in a text that goes on with more questions."""


def answer(
    loaded: Loaded,
    tasks: Sequence[Task],
    think: bool,
    max_new_tokens: int = 400,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[EvaluatedAnswer]:
    """Answer every task once, in batches of similar length; results in the order of `tasks`."""
    torch.manual_seed(seed)
    prompts = [prompt.render(loaded.tokenizer, list(task.messages), think) for task in tasks]
    ends = end_tokens(loaded.model, loaded.tokenizer)
    order = sorted(range(len(tasks)), key=lambda i: (tasks[i].kind, len(prompts[i])))
    answers: dict[int, EvaluatedAnswer] = {}
    with tqdm(total=len(tasks), desc=f"thinking {'on' if think else 'off'}", unit="task") as progress:
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            room = loaded.window - max(len(prompts[i]) for i in batch)
            completions = _generate(
                loaded, [prompts[i] for i in batch], ends, min(max_new_tokens, room), temperature
            )
            for index, ids in zip(batch, completions, strict=True):
                answers[index] = _evaluated(loaded, tasks[index], think, ids, ends)
            progress.update(len(batch))
    return [answers[i] for i in range(len(tasks))]


def _generate(
    loaded: Loaded, prompts: list[list[int]], ends: list[int], max_new_tokens: int, temperature: float
) -> list[list[int]]:
    """Completions as token ids; what follows a completion's end token is padding."""
    ids, mask = (part.to(loaded.model.device) for part in pad_left(prompts, loaded.tokenizer.pad_token_id))
    sampling: dict[str, Any] = {"do_sample": temperature > 0}
    if temperature > 0:
        sampling |= {"temperature": temperature, "top_k": 0, "top_p": 1.0}
    with torch.inference_mode():
        out = loaded.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=max_new_tokens,
            eos_token_id=ends,
            pad_token_id=loaded.tokenizer.pad_token_id,
            **sampling,
        )
    return [row.tolist() for row in out[:, ids.shape[1] :]]


def _evaluated(loaded: Loaded, task: Task, think: bool, ids: list[int], ends: list[int]) -> EvaluatedAnswer:
    length = next((index for index, token in enumerate(ids) if token in ends), None)
    text = prompt.decode(loaded.tokenizer, ids[:length])
    reply = prompt.parse(text, think)
    verdict = judge(task, reply.answer)
    return EvaluatedAnswer(
        task,
        think,
        reply.thought,
        reply.answer,
        length is not None,
        verdict.correct,
        verdict.has_unit,
        verdict.refused,
        asks=text.strip().partition("\n")[0].endswith(("?", "？")),
    )

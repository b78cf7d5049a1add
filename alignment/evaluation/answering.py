"""Answers of one version to tasks, generated in batches and judged by each task's checks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from alignment.generation import generate, seed_for
from alignment.suites.task_file import Task, judge
from assistant.serving import prompt
from assistant.serving.context_window import fit, newest
from assistant.serving.loading import Loaded, end_tokens

BATCH = 128
"""Most answers that are generated together …"""
TOKENS_AT_ONCE = 65_536
"""… and most tokens of them, prompts and answers: the memory of their keys and values."""


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
    prompt_ids: Sequence[int] = ()
    completion_ids: Sequence[int] = ()
    """Exactly the tokens that were drawn: END is the last one only if the model wrote it."""


def served_prompt(
    loaded: Loaded, messages: Sequence[dict[str, str]], think: bool, max_new_tokens: int
) -> list[int]:
    """Token ids of a prompt as the app serves it: the oldest exchanges are left out until a reply has room.

    Raises PromptError where the last message alone is too long or empty, or the model's template refuses it.
    """
    kept, _ = newest(messages)
    return fit(loaded.tokenizer, loaded.window, kept, think, max_new_tokens).ids


def answer(
    loaded: Loaded,
    tasks: Sequence[Task],
    think: bool,
    max_new_tokens: int = 400,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[EvaluatedAnswer]:
    """Answer every task once, in batches of similar length; results in the order of `tasks`.

    Prompts are trimmed as the app trims them. With a temperature, an answer depends on `seed` and its place in `tasks`
    alone. Raises PromptError for a prompt that cannot be asked at all: see `askable`.
    """
    prompts = [served_prompt(loaded, task.messages, think, max_new_tokens) for task in tasks]
    limits = [min(max_new_tokens, loaded.window - len(ids)) for ids in prompts]
    ends = end_tokens(loaded.model, loaded.tokenizer)
    order = sorted(range(len(tasks)), key=lambda i: (-limits[i], tasks[i].kind, len(prompts[i])))
    answers: dict[int, EvaluatedAnswer] = {}
    batches = list(_batches(order, prompts, limits))
    # A step writes one token of every answer of a batch, and a batch can take minutes.
    steps = sum(max(limits[i] for i in batch) for batch in batches)
    description = f"{len(tasks)} answers, thinking {'on' if think else 'off'}"
    with tqdm(total=steps, desc=description, unit="step") as progress:
        for batch in batches:
            completions = generate(
                loaded.model,
                [prompts[i] for i in batch],
                [limits[i] for i in batch],
                ends,
                temperature,
                [seed_for(seed, i) for i in batch],
                progress=progress,
            )
            for index, ids in zip(batch, completions, strict=True):
                answers[index] = _evaluated(loaded, tasks[index], think, prompts[index], ids, ends)
    return [answers[i] for i in range(len(tasks))]


def _batches(
    order: Sequence[int], prompts: Sequence[Sequence[int]], limits: Sequence[int]
) -> Iterator[list[int]]:
    """Neighbours in `order` together, as many as memory takes."""
    batch: list[int] = []
    for index in order:
        widest = max(len(prompts[i]) + limits[i] for i in [*batch, index])
        if batch and (len(batch) == BATCH or (len(batch) + 1) * widest > TOKENS_AT_ONCE):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def with_scores(
    answers: Sequence[EvaluatedAnswer], score: Callable[[str, list[list[int]]], list[float]]
) -> list[EvaluatedAnswer]:
    """The answers, those to tasks that name a judge decided by its scores too. `score`: a version's, of token ids."""
    scores: list[dict[str, float]] = [{} for _ in answers]
    for version in sorted({name for answer in answers for name in answer.task.judges}):
        asked = [number for number, answer in enumerate(answers) if version in answer.task.judges]
        ids = [[*answers[number].prompt_ids, *answers[number].completion_ids] for number in asked]
        for number, value in zip(asked, score(version, ids), strict=True):
            scores[number][version] = value
    return [
        replace(answer, correct=judge(answer.task, answer.answer, known).correct) if known else answer
        for answer, known in zip(answers, scores, strict=True)
    ]


def _evaluated(
    loaded: Loaded, task: Task, think: bool, prompt_ids: list[int], ids: list[int], ends: list[int]
) -> EvaluatedAnswer:
    ended = bool(ids) and ids[-1] in ends
    text = prompt.decode(loaded.tokenizer, ids[:-1] if ended else ids)
    reply = prompt.parse(text, think, prompt.ends_in_open_thought(loaded.tokenizer, prompt_ids))
    verdict = judge(task, reply.answer)
    return EvaluatedAnswer(
        task,
        think,
        reply.thought,
        reply.answer,
        ended,
        verdict.correct,
        verdict.has_unit,
        verdict.refused,
        asks=text.strip().partition("\n")[0].endswith(("?", "？")),
        prompt_ids=prompt_ids,
        completion_ids=ids,
    )

"""Answers of one version to tasks, generated in batches and judged by each task's checks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from tqdm import tqdm
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList

from alignment.data.batches import pad_left
from alignment.suites.task_file import Task, judge
from assistant.serving import prompt
from assistant.serving.context_window import fit, newest
from assistant.serving.loading import Loaded, end_tokens

BATCH = 128
"""Most answers that are generated together …"""
TOKENS_AT_ONCE = 65_536
"""… and most tokens of them, prompts and answers: the memory of their keys and values."""
STEPS = 32
"""Tokens after which the answers that have ended leave a batch: of a long batch, half are padding otherwise."""


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

    Prompts are trimmed as the app trims them. Raises PromptError for one that cannot be asked at all: see `askable`.
    """
    torch.manual_seed(seed)
    prompts = [served_prompt(loaded, task.messages, think, max_new_tokens) for task in tasks]
    limits = [min(max_new_tokens, loaded.window - len(ids)) for ids in prompts]
    ends = end_tokens(loaded.model, loaded.tokenizer)
    order = sorted(range(len(tasks)), key=lambda i: (-limits[i], tasks[i].kind, len(prompts[i])))
    answers: dict[int, EvaluatedAnswer] = {}
    with tqdm(total=len(tasks), desc=f"thinking {'on' if think else 'off'}", unit="task") as progress:
        for batch in _batches(order, prompts, limits):
            completions = generate(loaded, [prompts[i] for i in batch], ends, limits[batch[0]], temperature)
            for index, ids in zip(batch, completions, strict=True):
                answers[index] = _evaluated(loaded, tasks[index], think, prompts[index], ids, ends)
            progress.update(len(batch))
    return [answers[i] for i in range(len(tasks))]


def _batches(
    order: Sequence[int], prompts: Sequence[Sequence[int]], limits: Sequence[int]
) -> Iterator[list[int]]:
    """Neighbours in `order` together, as many as memory takes; those of one batch have the same limit."""
    batch: list[int] = []
    for index in order:
        widest = max(len(prompts[i]) for i in [*batch, index]) + limits[index]
        full = len(batch) == BATCH or (len(batch) + 1) * widest > TOKENS_AT_ONCE
        if batch and (full or limits[index] != limits[batch[0]]):
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


class Nucleus(LogitsProcessor):
    """Keeps the likeliest tokens that make up `top_p` of the probability (Holtzman et al. 2020).

    The same tokens as transformers keeps, found among the likeliest instead of by sorting the vocabulary: sorting
    SmolLM2's 49,152 tokens takes half as long as the model. Applied to the logits before `temperature` divides them.
    """

    LIKELIEST = 256
    """Tokens that are looked at first, and eight times as many again while they do not suffice."""

    def __init__(self, top_p: float, temperature: float) -> None:
        self.top_p = top_p
        self.temperature = temperature

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """`scores`, [rows, vocabulary], with minus infinity for all other tokens. `input_ids` are not read."""
        logits = scores.float() / self.temperature
        total = logits.logsumexp(-1, keepdim=True)
        count = min(self.LIKELIEST, logits.shape[-1])
        while True:
            values, tokens = logits.topk(count)
            shares = (values - total).exp()
            likelier = shares.cumsum(-1) - shares
            if count == logits.shape[-1] or bool((likelier[:, -1] >= self.top_p).all()):
                break
            count = min(8 * count, logits.shape[-1])
        kept = scores.gather(-1, tokens).masked_fill(likelier >= self.top_p, -torch.inf)
        return torch.full_like(scores, -torch.inf).scatter(-1, tokens, kept)


def generate(
    loaded: Loaded,
    prompts: Sequence[list[int]],
    ends: Sequence[int],
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
) -> list[list[int]]:
    """Completions of one batch as token ids, END included where the model wrote it."""
    ids, mask = (part.to(loaded.model.device) for part in pad_left(prompts, loaded.tokenizer.pad_token_id))
    sampling: dict[str, Any] = {"do_sample": temperature > 0}
    if temperature > 0:
        nucleus = LogitsProcessorList([Nucleus(top_p, temperature)] if top_p < 1 else [])
        sampling |= {"temperature": temperature, "top_k": 0, "top_p": 1.0, "logits_processor": nucleus}
    ended = torch.tensor(ends, device=ids.device)
    completions: list[list[int]] = [[] for _ in prompts]
    writing, cache = list(range(len(prompts))), None
    for done in range(0, max_new_tokens, STEPS):
        with torch.inference_mode():
            out = loaded.model.generate(
                input_ids=ids,
                attention_mask=mask,
                past_key_values=cache,
                max_new_tokens=min(STEPS, max_new_tokens - done),
                eos_token_id=ends,
                pad_token_id=loaded.tokenizer.pad_token_id,
                return_dict_in_generate=True,
                **sampling,
            )
        new = out.sequences[:, ids.shape[1] :]
        for number, row in zip(writing, new.tolist(), strict=True):
            # What follows END is padding.
            length = next((place + 1 for place, token in enumerate(row) if token in ends), None)
            completions[number] += row[:length]
        left = (~torch.isin(new, ended).any(-1)).nonzero()[:, 0]
        if not len(left):
            break
        # Those that have ended are not computed any more. A cache of another kind is filled anew.
        cache = getattr(out, "past_key_values", None)
        cache = cache if isinstance(cache, DynamicCache) else None
        if cache is not None and len(left) < len(writing):
            cache.batch_select_indices(left)
        ids, writing = out.sequences[left], [writing[row] for row in left.tolist()]
        mask = torch.cat([mask, torch.ones_like(new)], dim=-1)[left]
    return completions


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

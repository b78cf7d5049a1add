"""People's corrections as rows: to train on, in several wordings, and to probe whether they are learned."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from alignment.corrections.paraphrases import Purpose, reworded
from alignment.data import served_ids
from alignment.data.demonstration_rows import length_before_answer
from alignment.errors import DataError
from alignment.evaluation.retention import Row
from assistant.errors import PromptError
from assistant.serving import prompt
from feedback_store.rows import last_corrections


@dataclass(frozen=True)
class CorrectedPrompt:
    """A prompt as it was served, the answer that a person wrote, and the one that it corrects."""

    messages: list[dict[str, str]]
    think: bool
    prompt_ids: list[int]
    answer: str
    wrong: str
    thought: str = ""
    """The thought of the reply that was corrected."""

    @property
    def asked(self) -> str:
        """The message that was answered."""
        return self.messages[-1]["content"]


@dataclass(frozen=True)
class CorrectionRows:
    """Rows to train on, in columns `input_ids` and `labels`, and how many corrections were left out and why."""

    training: Dataset
    used: list[CorrectedPrompt]
    too_long: int
    refused: int
    """The model's template does not take their conversation."""

    def counts(self) -> dict[str, int]:
        """Numbers for the manifest."""
        return {
            "corrections": len(self.used),
            "rows": len(self.training),
            "too_long": self.too_long,
            "refused": self.refused,
        }


def corrections_among(pairs: Iterable[Any]) -> list[CorrectedPrompt]:
    """The corrections among `PreferenceRow`s, each prompt's last one."""
    return [
        CorrectedPrompt(
            [dict(message) for message in pair.messages],
            pair.think,
            list(pair.prompt_ids),
            pair.chosen.answer,
            pair.rejected.answer,
            pair.rejected.thought or "",
        )
        for pair in last_corrections(pairs)
    ]


def correction_rows(corrections: Sequence[CorrectedPrompt], tokenizer: Any, window: int) -> CorrectionRows:
    """Every correction in the wordings for training. Raises DataError if none can be trained on."""
    columns: dict[str, list[list[int]]] = {"input_ids": [], "labels": []}
    used, too_long, refused = [], 0, 0
    for correction in corrections:
        try:
            rows = wordings(correction, "training", tokenizer, window)
        except PromptError:
            refused += 1
            continue
        if not rows:
            too_long += 1
            continue
        used.append(correction)
        for prompt_ids, completion_ids in rows:
            # A person wrote an answer and no thought: none is taught. The model's own stands before the answer all the
            # same, since that is where it will have to give the answer.
            unsupervised = len(prompt_ids)
            if correction.think:
                unsupervised += length_before_answer(tokenizer, completion_ids, correction.answer)
            ids = prompt_ids + completion_ids
            columns["input_ids"].append(ids)
            columns["labels"].append([-100] * unsupervised + ids[unsupervised:])
    if not used:
        raise DataError(
            f"None of the {len(corrections)} corrections can be trained on: {too_long} are longer than {window} tokens "
            f"with their prompts, {refused} are refused by the model's template."
            if corrections
            else "There are no corrections to learn from. Correct some answers on the page, or import some."
        )
    return CorrectionRows(Dataset.from_dict(columns), used, too_long, refused)


def wordings(correction: CorrectedPrompt, purpose: Purpose, tokenizer: Any, window: int) -> list[Row]:
    """The correction after its prompt as it was served, and after paraphrases of it; none if that is too long.

    Raises PromptError if the model's template refuses imported messages.
    """
    completion_ids = prompt.completion(tokenizer, correction.thought, correction.answer, correction.think)
    served = served_ids.prompt_ids(correction, correction.messages, tokenizer)
    prompts = [
        served,
        *(
            prompt.render(tokenizer, messages, correction.think)
            for messages in reworded(correction.messages, purpose)[1:]
        ),
    ]
    if len(served) + len(completion_ids) > window:
        return []
    # A conversation that was trimmed when it was served is longer than that when it is rendered whole.
    return [(ids, completion_ids) for ids in prompts if len(ids) + len(completion_ids) <= window]

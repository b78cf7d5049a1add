"""What training uses of TRL beyond its public interface: its trainers on rows that are token ids already.

TRL tokenizes text. The text of a sampled completion may tokenize to other ids than were drawn, so the stages pass ids,
and the methods in which TRL tokenizes are overridden here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from typing import Any

import torch
from datasets import Dataset
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RLOOTrainer

from alignment.errors import TrainingError


class TokenDPOTrainer(DPOTrainer):
    """TRL's DPO trainer on columns `prompt_ids`, `chosen_ids` and `rejected_ids`."""

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: DPOConfig, dataset_name: str
    ) -> Dataset:
        return dataset


class TokenKTOTrainer(KTOTrainer):
    """TRL's KTO trainer on columns `prompt_ids`, `completion_ids` and `label`."""

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: KTOConfig, dataset_name: str
    ) -> Dataset:
        def add_mismatched(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
            # The KL baseline pairs each prompt with its neighbour's completion, within a batch (paper, section 4.1).
            completions = batch["completion_ids"]
            return {**batch, "KL_completion_ids": [completions[-1], *completions[:-1]]}

        # The rows of all processes in one update, so that the number of processes changes nothing.
        batch_size = args.per_device_train_batch_size * args.world_size
        return dataset.map(add_mismatched, batched=True, batch_size=batch_size)


class TokenRLOOTrainer(RLOOTrainer):
    """TRL's RLOO trainer on a column `prompt` of token ids.

    Should TRL no longer call `_tokenize_prompts`, it would pass the ids to the tokenizer, which takes no ids for text
    and raises an error. And the ids that a loss is computed on are compared with the ids of the column.
    """

    def _tokenize_prompts(self, prompts: list[list[int]]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [list(ids) for ids in prompts], None, {}

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Raises TrainingError if an answer was drawn for another prompt than one of the dataset's."""
        self._check_prompts(inputs["prompt_ids"], inputs["prompt_mask"])
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    @cached_property
    def _dataset_prompts(self) -> set[tuple[int, ...]]:
        return {tuple(prompt) for prompt in self.train_dataset["prompt"]}

    def _check_prompts(self, ids: torch.Tensor, mask: torch.Tensor) -> None:
        for row, row_mask in zip(ids, mask.bool(), strict=True):
            if tuple(row[row_mask].tolist()) not in self._dataset_prompts:
                raise TrainingError(
                    f"TRL {version('trl')} drew answers for other token ids than those of the prompts, so that nothing "
                    "can be learned from them. Install the version of trl that requirements-train.txt names, and run "
                    "this again. No version was written."
                )


@contextmanager
def in_float32(model: Any) -> Iterator[None]:
    """Keep TRL from rounding the adapter of a quantized base to bfloat16 while its trainer is constructed.

    bfloat16 has eight significant bits: a step of less than a 500th of a weight is lost, and most steps are smaller.
    The parent's weights would be rounded too, so that the child would not begin where the parent stopped.
    """
    exact = {name: weight.data for name, weight in model.named_parameters() if weight.requires_grad}
    yield
    for name, weight in model.named_parameters():
        if name in exact and weight.dtype != exact[name].dtype:
            weight.data = exact[name]

"""What training uses of TRL beyond its public interface: its trainers on rows that are token ids already.

TRL tokenizes text. The text of a sampled completion may tokenize to other ids than were drawn, so the stages pass ids,
and the methods in which TRL tokenizes are overridden here. So are those that put a whole batch into memory.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, RLOOTrainer
from trl.kernels import chunked_logprob
from trl.trainer import utils

from alignment.errors import TrainingError
from alignment.training.batching.micro_batches import (
    Batch,
    MicroBatches,
    rounded_up,
    take_rows,
    without_padding,
)
from alignment.training.processes import on_cpu

HEAD_TOKENS, HEAD_VOCABULARY = (512, 4096) if on_cpu() else (chunked_logprob.TOKEN_CHUNK_SIZE, 32_768)
"""Positions and tokens of the vocabulary in a tile of logits: TRL's on a GPU. On a CPU those take 3.5 GB and more time,
because they do not stay in its cache."""

if on_cpu():
    # TRL computes the logits of supervised positions alone where Triton multiplies them, elsewhere those of every
    # position: prompts and padding too.
    utils._use_triton = lambda device: True
    chunked_logprob.TOKEN_CHUNK_SIZE = HEAD_TOKENS
    utils._CHUNKED_LOGPROB_CHUNK_SIZE = HEAD_VOCABULARY


class TokenDPOTrainer(MicroBatches, DPOTrainer):
    """TRL's DPO trainer on columns `prompt_ids`, `chosen_ids` and `rejected_ids`."""

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: DPOConfig, dataset_name: str
    ) -> Dataset:
        return dataset

    def row_lengths(self, batch: Batch) -> list[int]:
        """The tokens of each pair, whose answers are padded to one length. All chosen answers precede the rejected."""
        chosen, rejected = batch["attention_mask"].sum(dim=1).chunk(2)
        return [2 * int(length) for length in torch.maximum(chosen, rejected)]

    def micro_batch(self, batch: Batch, rows: Sequence[int]) -> Batch:
        """Some pairs of a batch."""
        part = take_rows(batch, rows, len(batch["input_ids"]) // 2)
        return without_padding(part, "attention_mask", ("input_ids", "attention_mask", "completion_mask"))

    def compute_ref_log_probs(self, model: Any, inputs: Batch) -> tuple[Tensor, ...]:
        """Log-probabilities of each pair's two answers under the reference."""
        return self.in_parts(
            lambda part: super(TokenDPOTrainer, self).compute_ref_log_probs(model, part), inputs
        )


class TokenKTOTrainer(MicroBatches, KTOTrainer):
    """TRL's KTO trainer on columns `prompt_ids`, `completion_ids` and `label`.

    The KL baseline of a batch is estimated from its first `baseline_rows` rows, which are as random as any others.
    """

    def __init__(self, *args: Any, baseline_rows: int, **options: Any) -> None:
        """`options`: MicroBatches'."""
        self.baseline_rows = baseline_rows
        super().__init__(*args, **options)

    def _prepare_dataset(
        self, dataset: Dataset, processing_class: Any, args: KTOConfig, dataset_name: str
    ) -> Dataset:
        # The KL baseline pairs each prompt with its neighbour's completion, within a batch (paper, section 4.1). The
        # rows of all processes in one update are one batch, so that the number of processes changes nothing.
        batch_size = args.per_device_train_batch_size * args.world_size
        completions = dataset["completion_ids"][:]
        mismatched: list[Any] = []
        for start in range(0, len(completions), batch_size):
            batch = completions[start : start + batch_size]
            # A row alone in the last batch would be its own neighbour: it takes the one of the batch before.
            before = batch[-1] if len(batch) > 1 else completions[start - 1]
            mismatched += [before, *batch[:-1]]
        return dataset.add_column("KL_completion_ids", mismatched)

    def neighbours(self, batch: Batch) -> Batch:
        """The first `baseline_rows` prompts of a batch, each with its neighbour's completion."""
        columns = ("input_ids", "attention_mask", "completion_mask")
        return {name: batch[f"KL_{name}"][: self.baseline_rows] for name in columns}

    def compute_ref_log_probs(self, model: Any, inputs: Batch) -> tuple[Tensor, ...]:
        """Log-probabilities under the reference of each row's completion, and of `neighbours`, for each row."""
        own = {name: value for name, value in inputs.items() if not name.startswith("KL_")}
        logps, read = (self._reference_logps(model, batch) for batch in (own, self.neighbours(inputs)))
        # TRL keeps a value for each row. Those of rows that are not read are used nowhere.
        neighbours = torch.full_like(logps, torch.nan)
        neighbours[: len(read)] = read
        return logps, neighbours

    def _reference_logps(self, model: Any, batch: Batch) -> Tensor:
        # Else TRL reads a neighbour's completion with each row.
        self.calculate_KL = False
        (logps,) = self.in_parts(
            lambda part: super(TokenKTOTrainer, self).compute_ref_log_probs(model, part)[:1], batch
        )
        self.calculate_KL = True
        return logps

    def whole_batch(self, model: Any, batch: Batch) -> Batch:
        """The batch with its KL baseline, the mean over `neighbours`, which TRL would take over a micro-batch's."""
        if "ref_KL_logps" not in batch:
            # Several processes: TRL reads the reference before training only in a single one.
            self.precompute_ref_logps = True
            reference = self.compute_ref_log_probs(self.ref_model or self.model, batch)
            batch = {**batch, "ref_logps": reference[0], "ref_KL_logps": reference[1]}

        def policy_logps(part: Batch) -> tuple[Tensor]:
            columns = {f"KL_{name}": value for name, value in part.items()}
            return (super(TokenKTOTrainer, self)._compute_kl_logps(model, columns),)

        with self.compute_loss_context_manager():
            (policy,) = self.in_parts(policy_logps, self.neighbours(batch))
        baseline = (policy - batch["ref_KL_logps"][: len(policy)]).mean()
        kept = {name: value for name, value in batch.items() if not name.startswith("KL_")}
        # TRL subtracts these from what `_compute_kl_logps` returns.
        return {**kept, "ref_KL_logps": (-baseline).expand(len(batch["input_ids"])).clone()}

    def _compute_kl_logps(self, model: Any, batch: Batch) -> Tensor:
        return torch.zeros_like(batch["ref_KL_logps"])


class TokenRLOOTrainer(MicroBatches, RLOOTrainer):
    """TRL's RLOO trainer on a column `prompt` of token ids.

    Should TRL no longer call `_tokenize_prompts`, it would pass the ids to the tokenizer, which takes no ids for text
    and raises an error. And the ids that a loss is computed on are compared with the ids of the column.
    """

    def _tokenize_prompts(self, prompts: list[list[int]]) -> tuple[list[list[int]], None, dict[str, Any]]:
        return [list(ids) for ids in prompts], None, {}

    def _generate_single_turn(self, prompt_ids: Any, images: Any, multimodal_fields: Any) -> Any:
        # In the precision in which training reads the answers. TRL draws them in that of the weights, and frozen ones
        # are rounded.
        with self.accelerator.autocast():
            return super()._generate_single_turn(prompt_ids, images, multimodal_fields)

    def row_lengths(self, batch: Batch) -> list[int]:
        """The tokens of each prompt and its answer."""
        lengths = batch["prompt_mask"].sum(dim=1) + batch["completion_mask"].sum(dim=1)
        return [int(length) for length in lengths]

    def micro_batch(self, batch: Batch, rows: Sequence[int]) -> Batch:
        """Some answers of a batch. Prompts are padded on the left, answers on the right."""
        part = take_rows(batch, rows, len(batch["prompt_ids"]))
        part = without_padding(part, "completion_mask", ("completion_ids", "completion_mask"))
        width = rounded_up(int(part["prompt_mask"].sum(dim=1).max()))
        return {**part, **{name: part[name][:, -width:] for name in ("prompt_ids", "prompt_mask")}}

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Raises TrainingError if an answer was drawn for another prompt than one of the dataset's."""
        self._check_prompts(inputs["prompt_ids"], inputs["prompt_mask"])
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    def _compute_loss(self, model: Any, inputs: Batch) -> Tensor:
        """REINFORCE: the mean over the answers of -advantage * log p(answer) (Ahmadian et al. 2024, eq. 7).

        TRL multiplies by the ratio of p to that of the policy that drew the answer, and clips it, as if an answer could
        be learned from again after an update. None is, so that the ratio is one. But in bfloat16 two readings of a
        hundred tokens differ by more than the clip: 4 of 10 answers of SmolLM2 had no gradient in the first update.
        """
        answers, mask = inputs["completion_ids"], inputs["completion_mask"]
        logps, entropies, *_ = self._get_per_token_logps_and_entropies(
            model,
            torch.cat([inputs["prompt_ids"], answers], dim=1),
            torch.cat([inputs["prompt_mask"], mask], dim=1),
            answers.size(1),
            compute_entropy=True,
        )
        entropy = (entropies.detach() * mask).sum() / mask.sum().clamp(min=1)
        self._metrics["train"]["entropy"].append(self.accelerator.gather(entropy).mean().item())
        loss: Tensor = -(inputs["advantages"] * (logps * mask).sum(dim=1)).mean()
        return loss

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

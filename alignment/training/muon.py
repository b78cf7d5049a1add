"""Muon for matrices, AdamW for the rest, as one optimiser.

Muon (Jordan et al. 2024) makes every matrix's step orthogonal, so that rare directions learn as fast as common ones;
"Muon is Scalable for LLM Training" (Liu et al. 2025) scales that step to the size of AdamW's, so that one learning
rate serves both. Embeddings and vectors are no linear maps between hidden states: they keep AdamW.
"""

from typing import Any

import torch


class MuonWithAdamW(torch.optim.Optimizer):
    """Two optimisers behind one face: their groups are shared, so that a schedule or a checkpoint reaches both."""

    def __init__(
        self, model: torch.nn.Module, learning_rate: float, weight_decay: float, adam_beta2: float
    ) -> None:
        """Every trainable matrix of `model` but the embeddings goes to Muon.

        Raises ValueError if there is no such matrix.
        """
        tied = {id(weight) for layer in _embeddings(model) for weight in layer.parameters()}
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        matrices = [weight for weight in trained if weight.ndim == 2 and id(weight) not in tied]
        others = [weight for weight in trained if weight.ndim != 2 or id(weight) in tied]
        muon = torch.optim.Muon(
            matrices, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        # An adapter has matrices alone.
        adam = (
            [torch.optim.AdamW(others, lr=learning_rate, weight_decay=0.0, betas=(0.9, adam_beta2))]
            if others
            else []
        )
        self._parts: tuple[torch.optim.Optimizer, ...] = (muon, *adam)
        super().__init__([group for part in self._parts for group in part.param_groups], {})
        # The same dictionaries, not copies: what a schedule writes into a group is what its part reads.
        self.param_groups = [group for part in self._parts for group in part.param_groups]

    def step(self, closure: Any = None) -> Any:
        """One step of both parts; the loss of `closure`, if given."""
        loss = closure() if closure is not None else None
        for part in self._parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both parts."""
        return {"parts": [part.state_dict() for part in self._parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from `state_dict`."""
        for part, state in zip(self._parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self._parts for group in part.param_groups]


def _embeddings(model: torch.nn.Module) -> list[torch.nn.Module]:
    found = [getattr(model, name)() for name in ("get_input_embeddings", "get_output_embeddings")]
    return [layer for layer in found if layer is not None]

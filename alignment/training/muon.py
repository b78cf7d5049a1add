"""Muon for matrices and AdamW for the rest, as one optimiser.

Muon (Jordan et al. 2024) makes every matrix's step orthogonal, so that rare directions learn as fast as common ones;
"Muon is Scalable for LLM Training" (Liu et al. 2025) scales that step to the size of AdamW's, so that one learning
rate serves both. Embeddings and vectors are not linear maps between hidden states: AdamW trains them.
"""

from typing import Any

import torch


class MuonWithAdamW(torch.optim.Optimizer):
    """Two optimisers with the interface of one. A schedule or a checkpoint reaches the parameter groups of both."""

    def __init__(
        self, model: torch.nn.Module, learning_rate: float, weight_decay: float, adam_beta2: float
    ) -> None:
        """Muon trains every trainable matrix of `model` but the embeddings, AdamW all other trainable weights.

        Raises ValueError if there is no such matrix.
        """
        tied = {id(weight) for layer in _embeddings(model) for weight in layer.parameters()}
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        matrices = [weight for weight in trained if weight.ndim == 2 and id(weight) not in tied]
        others = [weight for weight in trained if weight.ndim != 2 or id(weight) in tied]
        muon = torch.optim.Muon(
            matrices, lr=learning_rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        # An adapter consists of matrices only.
        adam = (
            [torch.optim.AdamW(others, lr=learning_rate, weight_decay=0.0, betas=(0.9, adam_beta2))]
            if others
            else []
        )
        self._parts: tuple[torch.optim.Optimizer, ...] = (muon, *adam)
        super().__init__([group for part in self._parts for group in part.param_groups], {})
        # The same dictionaries, not copies, so that each part reads what a schedule writes into its groups.
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


def make_optimizer(
    model: torch.nn.Module, recipe: Any, weight_decay: float, adam_beta2: float
) -> MuonWithAdamW | None:
    """The optimiser that `recipe.optimizer` names: "muon", or None for "adamw", which a Trainer makes itself."""
    if recipe.optimizer == "adamw":
        return None
    return MuonWithAdamW(model, recipe.learning_rate, weight_decay, adam_beta2)


def _embeddings(model: torch.nn.Module) -> list[torch.nn.Module]:
    layers = [getattr(model, name)() for name in ("get_input_embeddings", "get_output_embeddings")]
    return [layer for layer in layers if layer is not None]

"""The models of PPO — policy, value function, reference, reward models — as adapters and heads on one frozen base.

The policy is the adapter "default". The reference is a frozen copy of it from the start of training, which is the
parent; if the parent had no adapter, the reference is the base with its adapters off.

The value function is a small head on the policy's hidden states. Its gradient stops there, so it never moves the
policy: a trunk that both losses move would hold the policy back (Cobbe et al. 2021, "Phasic Policy Gradient", section
1). One pass over an episode thus gives log-probabilities and values, while a value model with an adapter of its own
takes a second pass forward and back. The head reads a middle layer beside the last one, because the last is shaped to
predict the next token, and the middle still represents what the prompt asks.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file
from torch import Tensor, nn

from alignment.data.batches import pad_left, pad_right
from alignment.errors import DataError
from alignment.training.batching.micro_batches import rounded_up
from assistant.registry.versions import Version
from assistant.serving.adapter_check import check_adapter
from assistant.serving.peft_compat import tensor_shapes

POLICY, REFERENCE = "default", "reference"


class ValueHead(nn.Module):
    """Hidden states of two layers, [..., 2 x hidden], → value, [...]. Zero before training (Ziegler et al. 2019)."""

    def __init__(self, hidden: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.norm = nn.LayerNorm(2 * hidden)
            self.inner = nn.Linear(2 * hidden, hidden)
            self.outer = nn.Linear(hidden, 1)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, states: Tensor) -> Tensor:
        """`states`: float32."""
        return self.outer(torch.tanh(self.inner(self.norm(states)))).squeeze(-1)


@dataclass(frozen=True)
class EpisodeBatch:
    """Episodes: prompts padded on the left, completions on the right, so that all completions begin in one column."""

    ids: Tensor
    """[episodes, prompt + completion], int64."""
    attention: Tensor
    """[episodes, prompt + completion]: 1 for a token, 0 for padding."""
    mask: Tensor
    """[episodes, completion], bool: true for a token of the completion."""

    @property
    def completions(self) -> Tensor:
        """[episodes, completion], int64."""
        return self.ids[:, -self.mask.shape[1] :]

    @property
    def positions(self) -> Tensor:
        """Position of each token in its own row without the padding, [episodes, prompt + completion]."""
        return (self.attention.cumsum(dim=1) - 1).clamp(min=0)


def batch_episodes(
    prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], device: Any
) -> EpisodeBatch:
    """Pad prompts and their completions, each of one token or more, to a batch on `device` of a rounded width."""
    completion_ids, completion_mask = pad_right(completions, 0)
    longest = completion_ids.shape[1]
    # The prompts take what the width is rounded up by: no logits are computed for them.
    prompt_ids, prompt_mask = pad_left(prompts, 0, rounded_up(max(map(len, prompts)) + longest) - longest)
    return EpisodeBatch(
        torch.cat([prompt_ids, completion_ids], dim=1).to(device),
        torch.cat([prompt_mask, completion_mask], dim=1).to(device),
        completion_mask.bool().to(device),
    )


@dataclass(frozen=True)
class PolicyOutput:
    """The policy's output for every completion token; all tensors float32, [episodes, completion]."""

    logps: Tensor
    """Log-probability of the token at the sampling temperature."""
    entropy: Tensor | None
    """Entropy of the distribution that the token was drawn from, in nats."""
    values: Tensor | None
    """Value of the state before the token."""


class SharedBase:
    """A PEFT model that is policy, value function, reference and reward models at once."""

    def __init__(self, model: Any, continued: bool, temperature: float, seed: int) -> None:
        """`continued`: whether the adapter "default" is the parent's, not a new one.

        Dropout is turned off: with it the ratio of the first minibatch would not be 1 (Huang et al. 2024, detail 4).
        """
        self.model = model.eval()
        self.temperature = temperature
        text = model.config.get_text_config()
        self.value_head = ValueHead(text.hidden_size, seed).to(model.device)
        self.reference = REFERENCE if continued else None
        self._reward_heads: dict[str, nn.Linear] = {}
        if continued:
            config = copy.deepcopy(model.peft_config[POLICY])
            model.add_adapter(REFERENCE, config)
            set_peft_model_state_dict(
                model, get_peft_model_state_dict(model, adapter_name=POLICY), adapter_name=REFERENCE
            )
        model.set_adapter(POLICY)

    def policy_weights(self) -> dict[str, Tensor]:
        """The trained adapter's parameters by name: the only weights of the model that move."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    def policy_output(self, batch: EpisodeBatch, values: bool = True, entropy: bool = False) -> PolicyOutput:
        """One pass of the policy and, for `values`, of the value head on its hidden states."""
        width = batch.mask.shape[1]
        output = self.model(
            input_ids=batch.ids,
            attention_mask=batch.attention,
            position_ids=batch.positions,
            # A completion token was drawn at the column before it: logits are computed for those columns alone.
            logits_to_keep=width + 1,
            output_hidden_states=values,
            use_cache=False,
        )
        logits = output.logits[:, :-1].float() / self.temperature
        normaliser = torch.logsumexp(logits, dim=-1)
        logps = logits.gather(-1, batch.completions.unsqueeze(-1)).squeeze(-1) - normaliser
        entropies = None
        if entropy:
            entropies = normaliser - (torch.softmax(logits, dim=-1) * logits).sum(dim=-1)
        return PolicyOutput(logps, entropies, self._values(output.hidden_states, width) if values else None)

    def _values(self, states: Sequence[Tensor], width: int) -> Tensor:
        layers = torch.cat([states[len(states) // 2], states[-1]], dim=-1)[:, -width - 1 : -1]
        # Small and trained: it stays in float32 also where the model's products are in bfloat16.
        with torch.autocast(layers.device.type, enabled=False):
            return self.value_head(layers.detach().float())

    @torch.no_grad()
    def reference_logps(self, batch: EpisodeBatch) -> Tensor:
        """Log-probabilities under the reference model, [episodes, completion]."""
        if self.reference is None:
            with self.model.disable_adapter():
                return self.policy_output(batch, values=False).logps
        with self._adapter(self.reference):
            return self.policy_output(batch, values=False).logps

    def add_reward(self, name: str, version: Version) -> None:
        """Load the adapter and the head of a reward model under `name`.

        Raises DataError if `version` is not a reward model, or was trained on another base; VersionError if its weights
        have other shapes or are not finite.
        """
        if version.manifest.stage != "reward":
            raise DataError(
                f"{version.id} is not a reward model: it was made by {version.manifest.stage!r}. "
                "Train one with `python -m alignment reward`."
            )
        state = load_file(version.folder / "adapter_model.safetensors")
        heads = {key: state.pop(key) for key in list(state) if ".score." in key}
        weight = next((value for key, value in heads.items() if key.endswith("weight")), None)
        config = LoraConfig.from_pretrained(str(version.folder))
        # The head is kept in this object; to PEFT the rest is one more adapter of a causal language model.
        config.modules_to_save, config.task_type, config.inference_mode = None, "CAUSAL_LM", True
        # PEFT loads the base's configuration by this name; it would look for one called "starter" on the Hub.
        config.base_model_name_or_path = self.model.config.name_or_path
        self.model.add_adapter(name, config)
        expected = tensor_shapes(self.model, name)
        if weight is None or expected.keys() != state.keys():
            raise DataError(
                f"The reward model {version.id} does not fit the base of the version to train. Train it from "
                "that version, with `python -m alignment reward --parent`."
            )
        check_adapter(version, {**expected, **{key: tuple(value.shape) for key, value in heads.items()}})
        set_peft_model_state_dict(self.model, state, adapter_name=name)
        bias = next((value for key, value in heads.items() if key.endswith("bias")), None)
        head = nn.Linear(weight.shape[1], 1, bias=bias is not None)
        head.load_state_dict({"weight": weight.float(), **({} if bias is None else {"bias": bias.float()})})
        self._reward_heads[name] = head.requires_grad_(False).to(self.model.device)

    @torch.no_grad()
    def reward(self, name: str, sequences: Sequence[Sequence[int]], at_once: int) -> list[float]:
        """The reward model's score of each sequence of token ids, read at its last token; `at_once` rows a pass."""
        scores = [0.0] * len(sequences)
        order = sorted(range(len(sequences)), key=lambda row: len(sequences[row]))
        trunk = self.model.get_base_model().base_model
        with self._adapter(name):
            for start in range(0, len(order), at_once):
                rows = order[start : start + at_once]
                width = rounded_up(len(sequences[rows[-1]]))
                padded = pad_right([sequences[row] for row in rows], 0, width)
                ids, mask = (tensor.to(self.model.device) for tensor in padded)
                states = trunk(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
                last = states[torch.arange(len(rows), device=states.device), mask.sum(dim=1) - 1]
                for row, score in zip(
                    rows, self._reward_heads[name](last.float()).squeeze(-1).tolist(), strict=True
                ):
                    scores[row] = score
        return scores

    @contextmanager
    def _adapter(self, adapter: str) -> Iterator[None]:
        self.model.set_adapter(adapter, inference_mode=True)
        try:
            yield
        finally:
            self.model.set_adapter(POLICY)

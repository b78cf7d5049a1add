"""Policy, value function, reference and reward models of PPO: adapters and small heads over one frozen base.

The policy is the adapter "default". The reference is a frozen copy of it as it was at the start, which is the
parent; where the parent had no adapter, the reference is the base with its adapters off.

The value function is a small head on the policy's hidden states, which it reads and never moves: its gradient stops
there. So one pass over an episode gives log-probabilities and values, where a value model with an adapter of its
own takes a second pass forward and back. A trunk that both losses move would hold the policy back (Cobbe et al.
2021, "Phasic Policy Gradient", section 1). The head sees a middle layer beside the last one, because the last is
shaped to name the next token, and the middle still holds what the prompt asked.
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

from alignment.errors import DataError
from alignment.training.rollout import pad_left, pad_right
from assistant.registry.versions import Version

POLICY, REFERENCE = "default", "reference"


class ValueHead(nn.Module):
    """Hidden states of two layers, [..., 2 x hidden], → value, [...]. Zero before training, as Ziegler et al. began."""

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
class Batch:
    """Prompts padded on the left, completions on the right, so that every completion begins in one column."""

    ids: Tensor
    """[episodes, prompt + completion], int64."""
    attention: Tensor
    """1 where `ids` is no padding."""
    mask: Tensor
    """[episodes, completion], bool."""

    @property
    def completions(self) -> Tensor:
        """[episodes, completion], int64."""
        return self.ids[:, -self.mask.shape[1] :]

    @property
    def positions(self) -> Tensor:
        """Of each token in its own row, as if nothing were padded."""
        return (self.attention.cumsum(dim=1) - 1).clamp(min=0)


def batch(prompts: Sequence[Sequence[int]], completions: Sequence[Sequence[int]], device: Any) -> Batch:
    """Pad episodes together. Every completion has a token or more."""
    before, before_mask = pad_left(prompts, 0)
    after, after_mask = pad_right(completions, 0)
    return Batch(
        torch.cat([before, after], dim=1).to(device),
        torch.cat([before_mask, after_mask], dim=1).to(device),
        after_mask.bool().to(device),
    )


@dataclass(frozen=True)
class Judged:
    """What a pass over episodes says of every completion token; all float32, [episodes, completion]."""

    logps: Tensor
    """Log-probability of the token at the sampling temperature."""
    entropy: Tensor | None
    """Of the distribution that the token was drawn from, in nats."""
    values: Tensor | None
    """Of the state before the token."""


class SharedBase:
    """A PEFT model that plays all four parts."""

    def __init__(self, model: Any, continued: bool, temperature: float, seed: int) -> None:
        """`continued`: the adapter "default" is the parent's, not a fresh one. Dropout is turned off for good.

        With dropout the ratio of the first minibatch would not be 1 (Huang et al. 2024, detail 4).
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

    def judge(self, given: Batch, values: bool = True, entropy: bool = False) -> Judged:
        """The policy's pass, and the value head's on top of it."""
        width = given.mask.shape[1]
        out = self.model(
            input_ids=given.ids,
            attention_mask=given.attention,
            position_ids=given.positions,
            # The column before each completion token is where it was drawn: only those rows reach the vocabulary.
            logits_to_keep=width + 1,
            output_hidden_states=values,
            use_cache=False,
        )
        logits = out.logits[:, :-1].float() / self.temperature
        normaliser = torch.logsumexp(logits, dim=-1)
        logps = logits.gather(-1, given.completions.unsqueeze(-1)).squeeze(-1) - normaliser
        spread = None
        if entropy:
            spread = normaliser - (torch.softmax(logits, dim=-1) * logits).sum(dim=-1)
        return Judged(logps, spread, self._values(out.hidden_states, width) if values else None)

    def _values(self, states: Sequence[Tensor], width: int) -> Tensor:
        seen = torch.cat([states[len(states) // 2], states[-1]], dim=-1)[:, -width - 1 : -1]
        return self.value_head(seen.detach().float())

    @torch.no_grad()
    def reference_logps(self, given: Batch) -> Tensor:
        """Log-probabilities under the parent, [episodes, completion]."""
        if self.reference is None:
            with self.model.disable_adapter():
                return self.judge(given, values=False).logps
        with self._playing(self.reference):
            return self.judge(given, values=False).logps

    def add_reward(self, name: str, version: Version) -> None:
        """Load a reward version's adapter and head under `name`.

        Raises DataError if it is none, or was trained on another base.
        """
        if version.manifest.stage != "reward":
            raise DataError(
                f"{version.id} is no reward model but was made by {version.manifest.stage!r}. "
                "Train one with `python -m alignment reward`."
            )
        state = load_file(version.folder / "adapter_model.safetensors")
        heads = {key: state.pop(key) for key in list(state) if ".score." in key}
        weight = next((value for key, value in heads.items() if key.endswith("weight")), None)
        config = LoraConfig.from_pretrained(str(version.folder))
        # The head is kept here, beside the adapter; and to PEFT this is one more adapter of a model that writes.
        config.modules_to_save, config.task_type, config.inference_mode = None, "CAUSAL_LM", True
        # PEFT asks for the base's configuration at this place; "starter" would be asked of the Hub.
        config.base_model_name_or_path = self.model.config._name_or_path
        self.model.add_adapter(name, config)
        expected = get_peft_model_state_dict(self.model, adapter_name=name).keys()
        if weight is None or set(expected) != set(state):
            raise DataError(
                f"The reward model {version.id} does not fit the base of the version to train. Train it from "
                "that version, with `python -m alignment reward --parent`."
            )
        set_peft_model_state_dict(self.model, state, adapter_name=name)
        bias = next((value for key, value in heads.items() if key.endswith("bias")), None)
        head = nn.Linear(weight.shape[1], 1, bias=bias is not None)
        head.load_state_dict({"weight": weight.float(), **({} if bias is None else {"bias": bias.float()})})
        self._reward_heads[name] = head.requires_grad_(False).to(self.model.device)

    @torch.no_grad()
    def reward(self, name: str, sequences: Sequence[Sequence[int]], at_once: int) -> list[float]:
        """The reward model's score of each prompt with its completion, read at the last token."""
        scores = [0.0] * len(sequences)
        order = sorted(range(len(sequences)), key=lambda row: len(sequences[row]))
        trunk = self.model.get_base_model().base_model
        with self._playing(name):
            for start in range(0, len(order), at_once):
                rows = order[start : start + at_once]
                ids, mask = (
                    one.to(self.model.device) for one in pad_right([sequences[row] for row in rows], 0)
                )
                states = trunk(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
                last = states[torch.arange(len(rows), device=states.device), mask.sum(dim=1) - 1]
                found = self._reward_heads[name](last.float()).squeeze(-1).tolist()
                for row, score in zip(rows, found, strict=True):
                    scores[row] = score
        return scores

    @contextmanager
    def _playing(self, adapter: str) -> Iterator[None]:
        self.model.set_adapter(adapter, inference_mode=True)
        try:
            yield
        finally:
            self.model.set_adapter(POLICY)

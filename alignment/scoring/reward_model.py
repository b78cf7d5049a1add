"""A reward model: a base with a LoRA adapter and one linear head that gives a conversation a score.

Its folder is a plain PEFT folder of a sequence classifier with one label: load the base by
`AutoModelForSequenceClassification` with `num_labels=1`, and the folder by `PeftModel.from_pretrained`. A head that was
trained alone has a bias, which such a classifier lacks: all scores are then higher or lower by the same number.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import LoraConfig, get_peft_model, set_peft_model_state_dict
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForSequenceClassification, set_seed

from alignment.data.batches import pad_right
from alignment.errors import DataError
from alignment.training.memory import base_model_of
from alignment.training.parent_version import OpenedParent, round_frozen
from alignment.training.processes import autocast, on_cpu
from assistant.bases.base import Base
from assistant.bases.base_source import checked_source
from assistant.registry.versions import Version
from assistant.serving import loading as models
from assistant.serving.bitsandbytes_compat import keep_trainable
from assistant.serving.peft_compat import apply_adapter, name_base

ROWS_AT_ONCE = 32
TOKENS_AT_ONCE = 16_384
"""Of a batch, padding included, unless one sequence is longer."""


def begin(parent: OpenedParent, recipe: Any) -> Any:
    """An untrained reward model: the parent's adapter with a head of zeros, both trainable.

    It begins from the parent's adapter because what helped to answer helps to judge (Ouyang et al. 2022, section 3.5),
    and it stays one adapter on the shared base, so that PPO holds the base once. With a head of zeros every score is 0
    and the first loss is log 2, whatever the base. A parent without adapter gets a new one, as the
    recipe, a RewardRecipe, describes it. Raises DataError if the parent's adapter changes layers that a classifier does
    not have.
    """
    version = parent.version
    core = _classifier(parent.base, parent.versions.home).requires_grad_(False)
    width = core.config.get_text_config().hidden_size
    core.score = torch.nn.Linear(width, 1, bias=bool(recipe.head_only))
    head = {name: torch.nn.init.zeros_(weights) for name, weights in core.score.named_parameters()}
    core.config.get_text_config().pad_token_id = _padding(parent.loaded.tokenizer)
    set_seed(recipe.seed)
    if version.manifest.adapter:
        parents = LoraConfig.from_pretrained(str(version.folder))
        config = LoraConfig(
            task_type="SEQ_CLS",
            r=parents.r,
            lora_alpha=parents.lora_alpha,
            target_modules=parents.target_modules,
            use_rslora=parents.use_rslora,
            lora_dropout=0.0,
            modules_to_save=["score"],
        )
    else:
        config = LoraConfig(
            task_type="SEQ_CLS",
            r=recipe.lora_r,
            lora_alpha=recipe.lora_alpha,
            lora_dropout=recipe.lora_dropout,
            target_modules=recipe.lora_target_modules or "all-linear",
            exclude_modules=["score"],
            modules_to_save=["score"],
        )
    model = get_peft_model(core, config)
    if version.manifest.adapter:
        # The parent's adapter has every weight but the head.
        state = load_file(version.folder / "adapter_model.safetensors")
        state |= {f"base_model.model.score.{name}": weights.detach() for name, weights in head.items()}
        unknown = set_peft_model_state_dict(model, state).unexpected_keys
        if unknown:
            raise DataError(
                f"The adapter of {version.id} changes layers that a reward model does not have ({unknown[0]}). "
                "Train the reward model from another parent."
            )
    name_base(model)
    return round_frozen(model)


def load(version: Version, home: Path) -> "Scorer":
    """A trained reward model, ready to score.

    Raises DataError if `version` is not a reward model, VersionError if its file does not hold what its base needs.
    """
    if version.manifest.stage != "reward":
        raise DataError(
            f"{version.id} is not a reward model: it was made by {version.manifest.stage!r}. Train one with "
            "`python -m alignment reward`."
        )
    base = version.manifest.base
    core = _classifier(base, home)
    core.config.get_text_config().pad_token_id = _padding(models.load_tokenizer(base, home))
    with safe_open(version.folder / "adapter_model.safetensors", framework="pt") as file:
        names = list(file.keys())
        if any(name.endswith(".score.bias") for name in names):
            core.score = torch.nn.Linear(core.score.in_features, 1)
    model = apply_adapter(core, version, trainable=False).requires_grad_(False)
    return Scorer(model if base.quantize else model.to(models.best_device()))


def check_same_tokens(parent: OpenedParent, version: Version) -> None:
    """Raises DataError if the reward model `version` reads other tokens than the parent writes."""
    tokenizer = models.load_tokenizer(version.manifest.base, parent.versions.home)
    if tokenizer.get_vocab() != parent.loaded.tokenizer.get_vocab():
        raise DataError(
            f"The reward model {version.id} stands on {version.manifest.base.name}, whose tokens are others than those "
            f"of {parent.version.id}. Train one with `python -m alignment reward --parent {parent.version.id}`."
        )


class Scorer:
    """Scores token ids of prompt and completion; above 0, a person more likely likes the reply than not."""

    def __init__(self, model: Any) -> None:
        self.model = model

    @property
    def window(self) -> int:
        """Longest sequence in tokens."""
        return models.window_of(self.model.config, "the reward model")

    @torch.no_grad()
    def __call__(self, sequences: Sequence[Sequence[int]]) -> list[float]:
        """The score of each sequence."""
        if not sequences:
            return []
        scores: list[float] = head_of(self.model)(self.read(sequences).to(self.model.device))[:, 0].tolist()
        return scores

    @torch.no_grad()
    def read(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """What the model makes of each sequence before its head scores it: float32 [sequences, width], on the CPU.

        Sequences of similar length go through the model together.
        """
        was_training = self.model.training
        self.model.eval()
        read = torch.zeros(len(sequences), base_model_of(self.model).config.get_text_config().hidden_size)
        order = sorted(range(len(sequences)), key=lambda row: len(sequences[row]))
        while order:
            # The last of so many is the longest of them.
            fitting = max(1, min(ROWS_AT_ONCE, TOKENS_AT_ONCE // len(sequences[order[:ROWS_AT_ONCE][-1]])))
            rows, order = order[:fitting], order[fitting:]
            ids, mask = pad_right([sequences[row] for row in rows], padding(self.model))
            read[rows] = self._read_batch(ids, mask).cpu()
        self.model.train(was_training)
        return read

    def _read_batch(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Hidden states float32 [rows, width] at the last token of ids [rows, tokens], padded on the right."""
        trunk, device = base_model_of(self.model).base_model, self.model.device
        with autocast(device):
            hidden = trunk(
                input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False
            ).last_hidden_state
        last = mask.to(device).sum(dim=1) - 1
        read: Tensor = hidden[torch.arange(len(ids), device=device), last].float()
        return read


def head_of(model: Any) -> torch.nn.Linear:
    """The head that scores; of a PEFT model the one that is saved with the adapter."""
    head: torch.nn.Linear = base_model_of(model).score.modules_to_save["default"]
    return head


def padding(model: Any) -> int:
    """The padding id; the head reads the last token that is not padding."""
    return int(model.config.get_text_config().pad_token_id)


def _padding(tokenizer: Any) -> int:
    # If the end token were the padding, the head would read the token before it. Any other id will do.
    end = tokenizer.eos_token_id
    if tokenizer.pad_token_id not in (None, end):
        return int(tokenizer.pad_token_id)
    return 0 if end != 0 else 1


def _classifier(base: Base, home: Path) -> Any:
    source, revision = checked_source(base, home)
    # The head is trained in full precision.
    squeezed = models.quantization_for(
        base, torch.float32, str(PartialState(cpu=on_cpu()).device), skip=["score"]
    )
    core = AutoModelForSequenceClassification.from_pretrained(
        source,
        num_labels=1,
        dtype=torch.float32,
        use_safetensors=True,
        trust_remote_code=False,
        **revision,
        **squeezed,
    )
    return keep_trainable(core)

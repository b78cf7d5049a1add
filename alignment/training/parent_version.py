"""The parent: the version that a stage continues, and its model as the stage trains it."""

import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from accelerate import PartialState
from peft import LoraConfig, get_peft_model
from transformers import set_seed

from alignment.errors import DataError, TrainingError
from alignment.training.flags import StageLocation
from alignment.training.processes import fast_bfloat16, on_cpu, say
from assistant.bases.base import Base, Bits
from assistant.bases.card_lookup import model_name
from assistant.free_memory import free_ram
from assistant.registry.first_version import add_first_version
from assistant.registry.versions import Version, Versions
from assistant.serving import loading
from assistant.serving.loading import Loaded
from assistant.settings import default_model


@dataclass(frozen=True)
class OpenedParent:
    """A home, the version that a stage continues, and that version's model."""

    versions: Versions
    version: Version
    loaded: Loaded
    base: Base
    """The base of parent and child during this stage: the parent's, quantized if that was asked for."""


def open_parent(location: StageLocation, quantize: Bits | None = None) -> OpenedParent:
    """Open the version that `location` names, else the released one, else the default model in a home without versions.

    With `quantize` its base is held in so many bits; a parent that was trained on a quantized base stands on such a
    base in any case. Raises DataError if the parent is a reward model, ModelError if its base has other bits,
    VersionError if the id that was asked for the new version cannot be given.
    """
    state = PartialState(cpu=on_cpu())
    if state.num_processes > 1:
        say(f"processes: {state.num_processes}, each takes its share of a batch")
    # One process adds the first version of a new home; the others then find it there.
    with state.main_process_first():
        versions = Versions(location.home)
        if location.output_version is not None:
            versions.check_new(location.output_version)
        parent = versions.open(
            location.parent or versions.released() or add_first_version(versions, default_model()).id
        )
    if parent.manifest.stage == "reward":
        raise DataError(
            f"{parent.id} is a reward model: it scores replies and writes none. Name another version with --parent."
        )
    base = loading.quantized(parent.manifest.base, quantize)
    if base.quantize:
        say(
            f"base: {model_name(base.name)} in {base.quantize}; the new version will be served on it so, its adapter "
            "unmerged"
        )
    if base != parent.manifest.base and parent.manifest.adapter:
        say(f"{parent.id} was trained on the whole base; as the reference it stands on the rounded one too")
    model = loading.load_for_training(parent, location.home, base, str(state.device))
    return OpenedParent(versions, parent, model, base)


def without_model(parent: OpenedParent) -> OpenedParent:
    """The parent, its model let go of: a stage that trains another one needs the memory."""
    return replace(parent, loaded=replace(parent.loaded, model=None))


def longest_row(parent: OpenedParent, recipe: Any) -> int:
    """Most tokens of a row to train on: the model's window, or the recipe's `max_length` if that is shorter."""
    return min(parent.loaded.window, recipe.max_length or parent.loaded.window)


def too_long(parent: OpenedParent, recipe: Any, count: int) -> str:
    """How many rows were left out as too long, for the line that counts rows: the limit, and what to do."""
    limit, window = longest_row(parent, recipe), parent.loaded.window
    if not count:
        return "0 too long"
    cause = "a larger --max_length takes them" if limit < window else "the model's window"
    return f"{count} too long (over {limit} tokens: {cause})"


def trainable_model(parent: OpenedParent, recipe: Any, full: bool, needs_reference: bool) -> tuple[Any, Any]:
    """The parent's model ready to train, and its reference model if the trainer cannot make one itself.

    By default the parent's LoRA adapter is trained, and the reference is None: TRL copies the adapter. A parent without
    adapter gets a new one as `recipe`, a LoraRecipe, says; its output is the base's, so that the reference is the base.
    With `full` all weights of the merged model are trained, and the reference is a frozen copy. Raises TrainingError if
    memory is too small.
    """
    model = parent.loaded.model
    if not full:
        if not parent.version.manifest.adapter:
            model = new_adapter_of(recipe, model)
        return round_frozen(model), None
    model = merged_model(parent)
    weights = sum(weight.numel() for weight in model.parameters())
    # float32: weights, gradients and AdamW's two moments, and the reference.
    needed = weights * (20 if needs_reference else 16)
    free = free_ram() if on_cpu() else torch.cuda.mem_get_info()[0]
    if needed > free:
        raise TrainingError(
            f"Training all {weights:,} weights takes about {needed / 2**30:.1f} GiB before any row is read, and "
            f"{free / 2**30:.1f} GiB are free. Leave --full out: a LoRA adapter takes a fraction of it."
        )
    return model, copy.deepcopy(model).requires_grad_(False) if needs_reference else None


def round_frozen(model: Any) -> Any:
    """`model` with the frozen float32 weights of its products in bfloat16, if training multiplies in bfloat16.

    Autocast keeps no rounded copy of a frozen weight: it rounds all of them in each micro-batch, and the head for each
    tile of logits. Rounded once, they give the same products. Embeddings and norms stay in float32, and so does the sum
    that runs through the layers.
    """
    if not fast_bfloat16():
        return model
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear) and layer.weight.dtype == torch.float32:
            weights = dict(layer.named_parameters(recurse=False))
            if not any(value.requires_grad for value in weights.values()):
                # A new parameter: the head's old one may be the embedding's too.
                for name, value in weights.items():
                    setattr(layer, name, torch.nn.Parameter(value.to(torch.bfloat16), requires_grad=False))
    return model


def merged_model(parent: OpenedParent) -> Any:
    """The parent's model with its adapter merged and all weights trainable. Raises DataError on a quantized base."""
    if parent.base.quantize:
        raise DataError(
            f"The base of this round is in {parent.base.quantize}: its weights are rounded and cannot be trained, and "
            "an adapter added to the whole base would give other answers. Train an adapter, or name a parent that "
            "was not trained on a quantized base."
        )
    model = parent.loaded.model
    return (model.merge_and_unload() if parent.version.manifest.adapter else model).requires_grad_(True)


def new_adapter_of(recipe: Any, model: Any) -> Any:
    """`model` with the new LoRA adapter that a recipe, its None fields filled in, describes."""
    return with_new_adapter(
        model,
        recipe.lora_r,
        recipe.lora_alpha,
        recipe.seed,
        recipe.lora_target_modules,
        getattr(recipe, "lora_dropout", 0.0),
    )


def with_new_adapter(
    model: Any,
    rank: int,
    alpha: int,
    seed: int,
    target_modules: list[str] | None = None,
    dropout: float = 0.0,
) -> Any:
    """`model` with a new LoRA adapter on the named layers, else on every linear one but the output.

    All of them are needed to learn as much as full fine-tuning does (Dettmers et al. 2023).

    Of its two matrices B is zero and A is drawn at random (Hu et al. 2021, section 4.1): the output is `model`'s own
    until B moves, and the same seed gives the same adapter.
    """
    set_seed(seed)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=rank,
        lora_alpha=alpha,
        target_modules=target_modules or "all-linear",
        lora_dropout=dropout,
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        # PEFT has no exception of its own for names that no layer has.
        if not target_modules:
            raise
        raise DataError(f"--lora_target_modules {' '.join(target_modules)}: {error}") from error

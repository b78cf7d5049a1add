"""Command-line flags: those that every stage has, and how a stage's own recipe becomes flags beside them."""

import argparse
import math
import sys
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from trl import TrlParser

from alignment.errors import FlagError, TrackerError
from assistant.settings import default_home

Recipe = TypeVar("Recipe")

TRACKERS = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
"""Trackers that curves can be sent to, each with the modules of which one must be installed."""


ABOVE_ZERO = ("learning_rate", "value_learning_rate", "epochs", "beta", "temperature", "memory")
LEAST = {
    "batch_size": 1,
    "updates": 1,
    "min_steps": 1,
    "answers": 2,
    "minibatches": 1,
    "max_new_tokens": 1,
    "max_length": 1,
    "lora_r": 1,
    "lora_alpha": 1,
    "evaluations": 0,
    "patience": 0,
}
"""Flags of which nothing can be trained with a smaller value."""


SOURCES = ("text", "demonstrations", "pairs", "prompts", "suite")
"""Flags of recipes that name what to learn from in the store's place."""


def flag(default: Any, help_text: str) -> Any:
    """A field of a recipe that is a flag: its default, and what `--help` says of it."""
    return field(default=default, metadata={"help": help_text})


@dataclass
class StageLocation:
    """Where a stage reads and writes."""

    home: Path = field(default_factory=default_home, metadata={"help": "folder of feedback and versions"})
    parent: str | None = field(
        default=None, metadata={"help": "version to continue; the released one if left out"}
    )
    output_version: str | None = field(
        default=None, metadata={"help": "id of the new version; the next free one if left out"}
    )
    snapshot: Path | None = field(
        default=None,
        metadata={"help": "folder of a snapshot to learn from; one of the store as it is now if left out"},
    )


@dataclass
class RunOptions:
    """How a stage is run and observed. None of this changes what one update learns."""

    dry_run: bool = field(
        default=False, metadata={"help": "show rows, steps, time, memory and examples; train nothing"}
    )
    evaluations: int = field(
        default=10,
        metadata={"help": "how often to measure the held-out loss and save a checkpoint"},
    )
    patience: int = field(
        default=3,
        metadata={
            "help": "stop after this many evaluations, and a pass, without a lower held-out loss; 0: never"
        },
    )
    keep_last: bool = field(
        default=False,
        metadata={
            "help": "keep the last weights, not those with the lowest held-out loss, and never stop early: then "
            "held-out rows can test the version"
        },
    )
    memory: float | None = field(
        default=None,
        metadata={
            "help": "most memory to hold, in GiB; as much as is free if left out, and as needed",
        },
    )
    report_to: str = field(
        default="none", metadata={"help": "also send curves to: tensorboard, trackio, wandb"}
    )

    def __post_init__(self) -> None:
        """Raises TrackerError if `report_to` is unknown or not installed."""
        if self.report_to == "none":
            return
        if self.report_to not in TRACKERS:
            raise TrackerError(
                f"There is no tracker {self.report_to!r}. Give --report_to {', '.join(TRACKERS)}, or leave it out: "
                "curves are written beside the version anyway."
            )
        if not any(find_spec(module) for module in TRACKERS[self.report_to]):
            raise TrackerError(
                f"{self.report_to} is not installed: pip install {self.report_to}. Or leave --report_to out: curves "
                "are written beside the version anyway."
            )


@dataclass
class LoraRecipe:
    """The fields of every recipe that may add a LoRA adapter, by PEFT's names.

    A recipe's rank, alpha, learning rate and passes are None until `sizes.for_parent` fills them in.
    """

    lora_r: int = flag(None, "LoRA rank of a new adapter; by the model's size if left out")
    lora_alpha: int = flag(None, "LoRA alpha of a new adapter; twice its rank if left out")
    lora_target_modules: list[str] | None = flag(
        None, "layers that a new adapter changes; all linear ones but the output if left out"
    )


def parse_flags(arguments: list[str], recipe: type[Recipe]) -> tuple[StageLocation, RunOptions, Recipe]:
    """The flags of a stage; `--config FILE.yaml` gives defaults for them. Raises FlagError for an unknown one.

    And for a number that nothing can be trained with.
    """
    parser = TrlParser(
        (StageLocation, RunOptions, recipe),
        allow_abbrev=False,
        # What the stage does stands where its recipe does.
        description=sys.modules[recipe.__module__].__doc__,
        formatter_class=_HelpFormat,
    )
    try:
        location, run, parsed = parser.parse_args_and_config(arguments)
    except ValueError as error:
        # The parser has no exception of its own for flags, or keys of a file, that it does not know.
        if "not used by the" not in str(error) and "Unknown" not in str(error):
            raise
        raise FlagError(str(error)) from error
    for given in (run, parsed):
        _check_numbers(given)
    if location.snapshot is not None and (source := source_given(parsed)):
        raise FlagError(f"--snapshot and --{source} both name what to learn from. Leave one of them out.")
    return location, run, parsed


class _HelpFormat(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults beside the flags, and the lines of the description as they are."""


def source_given(recipe: Any) -> str | None:
    """The flag of a recipe that names what to learn from in the store's place, if it is given."""
    return next((name for name in SOURCES if getattr(recipe, name, None)), None)


def _check_numbers(given: Any) -> None:
    for item in fields(given):
        value, least = getattr(given, item.name), LEAST.get(item.name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if item.name in ABOVE_ZERO and not 0 < value < math.inf:
            raise FlagError(f"--{item.name} is {value:g}: it must be a number above 0.")
        if not math.isfinite(value) or (least is not None and value < least):
            bound = "" if least is None else f" of {least} or more"
            raise FlagError(f"--{item.name} is {value:g}: it must be a number{bound}.")

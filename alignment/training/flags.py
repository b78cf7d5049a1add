"""Command-line flags: those that every stage has, and how a stage's own recipe becomes flags beside them."""

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

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


MEANINGS = {
    "alpha": "LoRA alpha: the adapter is scaled by alpha / rank",
    "beta": "strength of the pull towards the reference model",
    "clip": "how far a probability ratio may move in one update",
    "epochs": "passes over the rows",
    "full": "train all weights instead of an adapter",
    "gamma": "discount of later rewards",
    "generate_at_once": "answers that are generated in one batch; bounds memory",
    "kl_coef": "price of a nat of KL to the parent",
    "kl_horizon": "over how many answers the KL is steered",
    "lam": "lambda of generalised advantage estimation",
    "learning_rate": "peak learning rate",
    "loss_type": "form of the loss",
    "max_grad_norm": "gradients are cut to this norm",
    "max_new_tokens": "longest answer that is drawn, in tokens",
    "min_steps": "fewest updates: few rows are passed over more often",
    "minibatches": "steps in each pass over a batch",
    "optimizer": "optimiser",
    "preflight_prompts": "prompts that are tried before training",
    "preflight_samples": "answers to each of them",
    "rank": "LoRA rank of a new adapter",
    "save_steps": "updates between two checkpoints",
    "seed": "seed of every draw; the same one gives the same weights on a CPU",
    "temperature": "temperature at which answers are drawn",
    "updates": "updates in all",
    "value_clip": "how far a value may move in one update",
    "value_learning_rate": "peak learning rate of the value head",
    "warmup": "share of the updates in which the learning rate rises",
    "weight_decay": "AdamW's weight decay",
}
"""What a flag means in every stage that has it. A recipe's own docstrings add why its default is what it is."""


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
        metadata={"help": "folder of a snapshot to learn from; the store as it is now if left out"},
    )


@dataclass
class RunOptions:
    """How a stage is run and observed. None of this changes what one update learns."""

    dry_run: bool = field(
        default=False, metadata={"help": "show rows, steps, time, memory and examples; train nothing"}
    )
    evaluations: int = field(
        default=10, metadata={"help": "how often to measure the held-out loss and save a checkpoint"}
    )
    patience: int = field(
        default=3,
        metadata={"help": "stop after this many evaluations without a lower held-out loss; 0: never"},
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


def field_documentation(recipe: type) -> dict[str, str]:
    """For each field of a recipe, the first sentence of the docstring below it."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(recipe))).body
    assert isinstance(definition, ast.ClassDef)
    documentation = {}
    for statement, following in pairwise(definition.body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match following:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    sentence = re.split(r"(?<=[^.]\.)\s+(?=[A-Z])", " ".join(text.split()))[0]
                    # argparse reads % as the beginning of a placeholder.
                    documentation[statement.target.id] = sentence.rstrip(".").replace("%", "%%")
    return documentation


def parse_flags(arguments: list[str], recipe: type[Recipe]) -> tuple[StageLocation, RunOptions, Recipe]:
    """The flags of a stage; `--config FILE.yaml` gives defaults for them. Raises FlagError for an unknown one."""
    parser = TrlParser((StageLocation, RunOptions, recipe), allow_abbrev=False)
    reasons = field_documentation(recipe)
    for action in parser._actions:
        known = (action.help, MEANINGS.get(action.dest), reasons.get(action.dest))
        action.help = action.help if action.help else ". ".join(text for text in known if text)
    try:
        location, run, parsed = parser.parse_args_and_config(arguments)
    except ValueError as error:
        # The parser has no exception of its own for flags, or keys of a file, that it does not know.
        if "not used by the" not in str(error) and "Unknown" not in str(error):
            raise
        raise FlagError(str(error)) from error
    return location, run, parsed

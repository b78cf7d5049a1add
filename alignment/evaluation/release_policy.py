"""The owner's policy for evaluation, gate, live comparison and cycle, read from one YAML file.

    gate:
      margin: 0.05
      margins: {perplexity: 0.1}
    live:
      minimum_raters: 10
    cycle:
      release: trial

Every key has a default, and an unknown key is an error. `benchmarks/loop/gate_errors.py` and `live_errors.py`
measure the error rates that the defaults give.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from alignment.errors import PolicyError
from assistant.admin.cycle_rule import STAGES, CycleMinimums, CycleRule
from feedback_store import StoreError
from feedback_store.rows import Rules

RELEASES = ("at once", "trial", "by hand")
UNDECIDED = ("hold", "trial")
LEARN_FROM = ("released", "all")


@dataclass(frozen=True)
class GatePolicy:
    """When a candidate is promoted. Raises PolicyError for a value out of range."""

    alpha: float = 0.05
    """Probability, over all looks at one released version together, of promoting a candidate that is no better."""
    margin: float = 0.05
    """How much worse a guard of right-or-wrong values may be, as a share: 0.05 is five percentage points."""
    margins: Mapping[str, float] = field(default_factory=dict)
    """Margins of single guards by name, in the guard's own unit. A guard of real values needs one."""
    minimum_prompts: int = 30
    """Minimum number of held-out prompts; a measure on fewer decides nothing."""
    minimum_probes: int = 6
    """The same for corrections that are asked again and liked replies that are read again: people gave each by itself,
    and six that all hold are unlikely by chance (1 in 64)."""

    def __post_init__(self) -> None:
        _number("gate.alpha", self.alpha, 0, 0.5)
        _number("gate.margin", self.margin, 0, 1)
        _whole("gate.minimum_prompts", self.minimum_prompts, 2)
        _whole("gate.minimum_probes", self.minimum_probes, 2)
        if not isinstance(self.margins, Mapping):
            raise PolicyError("gate.margins must name guards with their margins, as in {perplexity: 0.1}.")
        for name, margin in self.margins.items():
            _number(f"gate.margins.{name}", margin, 0, float("inf"))


@dataclass(frozen=True)
class LivePolicy:
    """When a live comparison ends. Raises PolicyError for a value out of range."""

    alpha: float = 0.05
    """Probability of a false win, and also of a false rollback, however often the test is evaluated."""
    effect: float = 0.1
    """Difference between the arms' shares of thumbs up that the test detects soonest."""
    votes_per_rater: int = 5
    """How many ratings of one rater count, from the first."""
    minimum_votes: int = 30
    """Minimum number of counted ratings in each arm before the test decides."""
    minimum_raters: int = 10
    """Minimum number of raters in each arm before the test decides."""

    def __post_init__(self) -> None:
        _number("live.alpha", self.alpha, 0, 0.5)
        _number("live.effect", self.effect, 0, 1)
        _whole("live.votes_per_rater", self.votes_per_rater, 1)
        _whole("live.minimum_votes", self.minimum_votes, 2)
        _whole("live.minimum_raters", self.minimum_raters, 2)


@dataclass(frozen=True)
class EvaluatePolicy:
    """What two versions are compared on. Raises PolicyError for a value out of range."""

    suite: str = ""
    """File of tasks with their checks (JSON Lines), or "starter". Left out: the starter's suite for the starter; no
    tasks for another model, which is judged on people's prompts and general questions alone."""
    primary: Sequence[str] | None = None
    """Kinds of task whose right answers, and units, may show that a candidate is better. Other kinds are guards. Left
    out: three kinds of the starter's suite, and every kind of another."""
    each: int = 50
    """Tasks of each primary kind and language, in each thinking mode. At most as many as the suite has."""
    guarded: int = 15
    """Tasks of each other kind and language, in each thinking mode."""
    prompts: int = 200
    """Maximum number of held-out prompts of people that are answered."""
    general: int = 120
    """General questions that are answered where people's held-out prompts are fewer: together so many. The starter,
    which can answer none of them, is asked none."""
    retention: int = 150
    """Maximum number of fixed texts on which perplexity and KL are measured."""
    wordings: str = ""
    """File of further wordings of corrected prompts (JSON Lines), absolute or in the home, in which they are probed."""
    max_new_tokens: int | None = None
    """Longest answer; left out: 400 with the starter's suite, and 200 without, where a larger model answers prompts of
    which some have no natural end."""

    def __post_init__(self) -> None:
        if self.primary is not None:
            _texts("evaluate.primary", self.primary)
        for name in ("each", "guarded", "prompts", "retention"):
            _whole(f"evaluate.{name}", getattr(self, name), 1)
        for name in ("suite", "wordings"):
            if not isinstance(getattr(self, name), str):
                raise PolicyError(
                    f"evaluate.{name} is {getattr(self, name)!r}; it must be the name of a file."
                )
        if self.max_new_tokens is not None:
            _whole("evaluate.max_new_tokens", self.max_new_tokens, 1)
        _whole("evaluate.general", self.general, 0)


@dataclass(frozen=True)
class CyclePolicy(CycleMinimums):
    """When a cycle runs, which candidates it makes, and what it does with a promoted one.

    Raises PolicyError for a value out of range.
    """

    reward_accuracy: float = 0.6
    """PPO needs a reward model whose accuracy on held-out judgements has its whole 95 % interval above this."""
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Flags of the stages by name, "reward" included, as in {kto: {learning_rate: 0.0001}}."""
    release: str = "at once"
    """How a promoted candidate is released: "at once", after a live comparison ("trial"), or "by hand"."""
    undecided: str = "hold"
    """What happens where nothing shows that a candidate is better and every guard passes: "hold" it back, or let people
    decide in a live comparison ("trial")."""
    share: float = 0.2
    """Share of conversations that the candidate serves in a live comparison, above 0 and below 1."""

    def __post_init__(self) -> None:
        for name in (
            "minimum_feedback",
            "minimum_thumbs",
            "minimum_pairs",
            "minimum_corrections",
            "minimum_judgements",
        ):
            _whole(f"cycle.{name}", getattr(self, name), 1)
        _number("cycle.reward_accuracy", self.reward_accuracy, 0, 1)
        _number("cycle.share", self.share, 0, 1)
        _texts("cycle.stages", self.stages)
        if unknown := [stage for stage in self.stages if stage not in STAGES]:
            raise PolicyError(f"cycle.stages names {', '.join(unknown)}; known: {', '.join(STAGES)}.")
        if self.release not in RELEASES:
            raise PolicyError(f"cycle.release is {self.release!r}; it must be one of: {', '.join(RELEASES)}.")
        if self.undecided not in UNDECIDED:
            raise PolicyError(
                f"cycle.undecided is {self.undecided!r}; it must be one of: {', '.join(UNDECIDED)}."
            )
        if self.learn_from not in LEARN_FROM:
            raise PolicyError(
                f"cycle.learn_from is {self.learn_from!r}; it must be one of: {', '.join(LEARN_FROM)}."
            )
        known = ("reward", *STAGES)
        if not isinstance(self.recipes, Mapping) or not all(
            stage in known and isinstance(flags, Mapping) for stage, flags in self.recipes.items()
        ):
            raise PolicyError(f"cycle.recipes must name flags by stage, of {', '.join(known)}.")


@dataclass(frozen=True)
class Policy:
    """The whole file; each field is a section."""

    gate: GatePolicy = field(default_factory=GatePolicy)
    live: LivePolicy = field(default_factory=LivePolicy)
    evaluate: EvaluatePolicy = field(default_factory=EvaluatePolicy)
    cycle: CyclePolicy = field(default_factory=CyclePolicy)
    rules: Rules = field(default_factory=Rules)
    """How feedback becomes rows."""

    @property
    def rule(self) -> CycleRule:
        """When there is enough feedback for a cycle."""
        return CycleRule(self.cycle, self.rules)


def read_policy(path: Path) -> Policy:
    """Read a policy from a YAML file. Raises PolicyError that names the file and what is wrong in it."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PolicyError(f"The policy {path} cannot be read: {error}. Expected a YAML file.") from error
    try:
        sections = _known(Policy, raw, "the policy")
        return Policy(
            gate=GatePolicy(**_known(GatePolicy, sections.get("gate"), "gate")),
            live=LivePolicy(**_known(LivePolicy, sections.get("live"), "live")),
            evaluate=EvaluatePolicy(**_known(EvaluatePolicy, sections.get("evaluate"), "evaluate")),
            cycle=CyclePolicy(**_known(CyclePolicy, sections.get("cycle"), "cycle")),
            rules=_rules(_known(Rules, sections.get("rules"), "rules")),
        )
    except PolicyError as error:
        raise PolicyError(f"{path}: {error}") from error


def _known(section: type[Any], raw: object, where: str) -> dict[str, Any]:
    """`raw` as keyword arguments of `section`; an empty section has the defaults."""
    if raw is None:
        return {}
    names = [key.name for key in fields(section)]
    if not isinstance(raw, dict):
        raise PolicyError(f"{where} must hold keys and values. Known keys: {', '.join(names)}.")
    unknown = [str(key) for key in raw if key not in names]
    if unknown:
        raise PolicyError(
            f"unknown key {', '.join(unknown)} in {where}. Known keys: {', '.join(names)}. Correct or remove it."
        )
    return raw


def _rules(values: dict[str, Any]) -> Rules:
    try:
        return Rules(**values)
    except (StoreError, TypeError) as error:
        raise PolicyError(f"rules: {error}") from error


def _texts(name: str, value: object) -> None:
    if (
        isinstance(value, str)
        or not isinstance(value, Sequence)
        or not all(isinstance(x, str) for x in value)
    ):
        raise PolicyError(f"{name} is {value!r}; it must be a list of names.")


def _number(name: str, value: object, above: float, below: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not above < value < below:
        raise PolicyError(f"{name} is {value!r}; it must be a number between {above:g} and {below:g}.")


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise PolicyError(f"{name} is {value!r}; it must be a whole number of at least {least}.")

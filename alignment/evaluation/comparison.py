"""Two versions measured on the same held-out prompts: what the gate takes, and what people read.

    python -m alignment evaluate v2 --against v1 --home DIR

Measures, prompt by prompt and so in pairs: right answers and units on verifiable tasks, wins by reward models on
people's prompts and general questions, held-out votes, hygiene of every answer, perplexity and KL on fixed texts.

The starter is compared on its tasks, and the rest guards or is shown. Of another model right answers are known only
where its owner gives a suite, so that judges and people's held-out votes may show that a candidate is better.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from alignment.errors import ComparisonError
from alignment.evaluation import measures as measured
from alignment.evaluation.askable import note_of, without_unaskable
from alignment.evaluation.evaluation_set import EvaluationSet, cached_answers
from alignment.evaluation.gate import Evaluation
from alignment.evaluation.held_out_judgements import implicit_accuracy
from alignment.evaluation.measures import FIXED_MARGINS, GENERAL_MARGINS, MeasurePair
from alignment.evaluation.release_policy import GatePolicy
from alignment.evaluation.shares import Cell, cells
from alignment.scoring import judging
from assistant.events.describe import describe
from assistant.events.event import Event
from assistant.registry.versions import Version
from assistant.serving.loading import Loaded, load_for_serving
from feedback_store.stats.intervals import wilson


@dataclass(frozen=True)
class ShownShare:
    """A share that is shown and decides nothing, with its 95 % Wilson interval."""

    name: str
    count: int
    of: int
    low: float
    high: float
    version: str = ""
    """The reward model that judged, where the share is of its judgements."""


@dataclass(frozen=True)
class RewardShift:
    """What reward models gave both versions' answers to the same held-out prompts of people, in their order."""

    judge: str
    """The reward model's version, or those of several."""
    candidate: list[float]
    released: list[float]


@dataclass(frozen=True)
class VersionComparison:
    """Two versions on the same measures."""

    candidate: Evaluation
    released: Evaluation
    cells: dict[str, list[Cell]] = field(default_factory=dict)
    """By version id, for people."""
    shown: Sequence[ShownShare] = ()
    rewards: RewardShift | None = None
    """None without a judge or without prompts."""
    notes: Sequence[Event] = ()
    """What was not asked and not read, and why."""


def compare(
    candidate: Version,
    released: Version,
    home: Path,
    inputs: EvaluationSet,
    *,
    judges: Sequence[Version] = (),
    judges_decide: bool = False,
    cache: Path | None = None,
    more: Callable[[Loaded, Loaded], Sequence[MeasurePair]] | None = None,
) -> VersionComparison:
    """Measure both versions. Raises ComparisonError where nothing can be asked of both.

    `judges`: reward models that score answers to people's prompts; their wins count as a primary measure if
    `judges_decide`, and are shown otherwise. `cache`: a folder for answers, so that each version answers only once.
    `more`: gives more measures of the candidate's and the released version's models.
    """
    versions = (candidate, released)
    loaded = [load_for_serving(version, home) for version in versions]
    inputs, notes = _usable(inputs, loaded)
    if not inputs.tasks and (inputs.of_starter or not inputs.people):
        left_out = f": {describe(notes[0])}" if notes else "."
        raise ComparisonError(f"No prompt can be asked of both versions{left_out}")
    new, old = (
        cached_answers(cache, model, version.id, inputs)
        for model, version in zip(loaded, versions, strict=True)
    )
    measures = [*measured.tasks(new, old, inputs), *measured.hygiene(new, old)]
    shown, rewards = [], None
    if judges and inputs.people:
        asked = [prompt.messages for prompt in inputs.people]
        scored = judging.wins(judges, home, asked, new.people, old.people)
        rewards = RewardShift(", ".join(scored.judges), scored.candidate, scored.released)
        wins = measured.wins(scored.controlled)
        if judges_decide:
            measures.append(wins)
        else:
            share = _shown(f"wins by the reward model {rewards.judge}", wins[0].values.values())
            shown.append(replace(share, version=rewards.judge))
    if inputs.fixed:
        measures += measured.retention(loaded[0], loaded[1], inputs.fixed, inputs.of_starter)
    if more is not None:
        measures += more(*loaded)
    if inputs.judgements:
        agrees = implicit_accuracy(loaded[0].model, loaded[1].model, inputs.judgements)
        if agrees and not inputs.of_starter:
            measures.append(measured.held_out_votes(agrees))
        elif agrees:
            shown.append(_shown("held-out votes judged as people did (implicit reward)", agrees))
    if not any(first.kind == "primary" for first, _ in measures):
        notes.append(Event.of("nothing_can_decide"))
    return VersionComparison(
        Evaluation(candidate.id, [first for first, _ in measures]),
        Evaluation(released.id, [second for _, second in measures]),
        {answers.version: cells([*answers.thinking, *answers.direct]) for answers in (new, old)},
        shown,
        rewards,
        notes,
    )


def _usable(inputs: EvaluationSet, models: Sequence[Loaded]) -> tuple[EvaluationSet, list[Event]]:
    """What both models can be asked and can read, and what was left out."""
    asked, left_out = without_unaskable(inputs, models)
    window = min(loaded.window for loaded in models)
    fitting = [judgement for judgement in inputs.judgements if judgement.longest <= window]
    notes = []
    if left_out:
        notes.append(note_of(left_out, len(inputs.tasks) + len(inputs.people)))
    if unread := len(inputs.judgements) - len(fitting):
        notes.append(Event.of("held_out_votes_too_long", count=unread, of=len(inputs.judgements)))
    return replace(asked, judgements=fitting), notes


def with_margins(policy: GatePolicy, of_starter: bool = True) -> GatePolicy:
    """The policy with a margin for each guard that needs one of its own and that it does not name itself."""
    return replace(policy, margins={**(FIXED_MARGINS if of_starter else GENERAL_MARGINS), **policy.margins})


def _shown(name: str, values: Iterable[float | bool]) -> ShownShare:
    agrees = [bool(value) for value in values]
    share = wilson(sum(agrees), len(agrees))
    return ShownShare(name, share.count, share.of, share.low, share.high)

"""Occasionally good: what RLOO adds to kinds of task from never right to often right, by pass@8 before it."""

from typing import Any

from matplotlib.figure import Figure

from alignment.errors import TrainingError
from alignment.evaluation.answering import answer
from alignment.suites.starter_suite import select_tasks
from assistant.serving.loading import Loaded
from benchmarks.claims import intervals, plots
from benchmarks.claims.claim import ClaimTexts, Condition, Language, Measured, Report, Text, verdict_of
from benchmarks.claims.context import Context, load, run_stage
from benchmarks.claims.small_models import KIND_NAMES

KINDS = (
    "word_three_step",
    "duration",
    "addition",
    "subtraction",
    "ordering",
    "multiplication",
    "comparison",
    "division",
)
EACH, SAMPLES = 50, 8
NEVER, OCCASIONALLY = 0.05, 0.2
"""pass@8 below which a kind counts as never right, and from which it counts as occasionally right."""

TEXTS = {
    "en": ClaimTexts(
        claim="Reinforcement learning makes good answers likelier that the model already gives now and then. "
        "Where it never gives one, there is nothing to reinforce.",
        done="v1 without thinking, on eight kinds of task: it seldom or never gets some of them right at once, and "
        "others often. On each kind and seed, `rloo` with its defaults (60 updates of 8 practice tasks, 4 answers "
        "each) was rewarded by the checker. Before and after it, 100 held-out tasks (50 in each language) were "
        "answered once greedily and eight times at temperature 1; pass@8 is the share of tasks that any of the "
        "eight gets right. The stage refuses to train where none of 128 answers is right: then nothing is gained.",
        against="Kinds with pass@8 of 20 % and more that mostly do not gain, drawn or greedy, beyond their intervals "
        "and in every seed; or one with less than 5 % that was trained and does, in greedy answers.",
    ),
    "zh": ClaimTexts(
        claim="强化学习让模型本来偶尔就会给出的好回答变得更常见。如果它从来给不出好回答，就没有东西可以强化。",
        done="v1 不思考，做八类题：有的类别它几乎从来不能直接答对，有的经常答对。每个类别、每个种子用 `rloo` 的默认设置"
        "训练（60 次更新，每次 8 道练习题、每题 4 个回答），由检查器给奖励。训练前后，100 道留出题（中英文各 50）"
        "各贪心回答一次，再在温度 1 下回答八次；pass@8 是八次里至少答对一次的题目比例。"
        "如果 128 个回答没有一个对，该阶段会拒绝训练，提升即为零。",
        against="pass@8 达到 20% 的类别，抽样或贪心的回答大多没有超出区间、且每个种子都有的提升；"
        "或者某个低于 5% 的类别训练之后，贪心回答有这样的提升。",
    ),
}


def run(context: Context) -> Measured:
    """Measure, train and measure again, part by part: {kind: {seed: {"before", "after"}}}."""
    measured: Measured = {}
    for kind in KINDS[:: 4 if context.quick else 1]:
        measured[kind] = {}
        for seed in context.seeds:
            part = f"{kind}/seed-{seed}"
            before = context.once(f"{part}-before", answered, context, kind, seed, "v1")
            version = context.once(f"{part}-rloo", reinforce, context, kind, seed)
            after = context.once(f"{part}-after", answered, context, kind, seed, version) if version else None
            measured[kind][f"{seed}"] = {"before": before, "after": after}
    return measured


def reinforce(context: Context, kind: str, seed: int) -> str | None:
    """Train v1 on practice tasks of a kind; returns the new version, None where there is nothing to reinforce."""
    flags = [
        f"--suite={kind}",
        "--reward_functions=checker",
        "--thinking=off",
        "--parent=v1",
        f"--seed={seed}",
    ]
    if context.quick:
        flags += ["--updates=2", "--preflight_prompts=8"]
    try:
        return run_stage("rloo", context.home(f"seed-{seed}"), *flags)
    except TrainingError as error:
        print(error, flush=True)
        return None


def answered(context: Context, kind: str, seed: int, version: str) -> dict[str, list[int]]:
    """Of each held-out task, whether the greedy answer is right, and how many of the drawn ones are."""
    loaded: Loaded = load(context.home(f"seed-{seed}"), version)
    tasks = select_tasks((kind,), 5 if context.quick else EACH, seed)
    drawn = [answer(loaded, tasks, think=False, temperature=1.0, seed=number) for number in range(SAMPLES)]
    return {
        "greedy": [int(each.correct) for each in answer(loaded, tasks, think=False)],
        "drawn": [sum(each.correct for each in answers) for answers in zip(*drawn, strict=True)],
    }


def figures(seeds: dict[str, Any]) -> dict[str, intervals.Interval]:
    """A kind's figures over all its seeds; a task of a seed that was not trained gains nothing."""
    before = {
        name: [value for seed in seeds.values() for value in seed["before"][name]]
        for name in ("greedy", "drawn")
    }
    after = {
        name: [value for seed in seeds.values() for value in (seed["after"] or seed["before"])[name]]
        for name in ("greedy", "drawn")
    }
    return {
        "pass@8": intervals.share_of([int(value > 0) for value in before["drawn"]]),
        "before": intervals.share_of(before["greedy"]),
        "lift": intervals.difference(before["greedy"], after["greedy"]),
        "drawn lift": intervals.difference(
            [value / SAMPLES for value in before["drawn"]], [value / SAMPLES for value in after["drawn"]]
        ),
    }


def figures_by_kind(measured: Measured) -> list[tuple[str, dict[str, intervals.Interval]]]:
    """Each kind with its figures, the seldom right first."""
    by_kind = [(kind, figures(seeds)) for kind, seeds in measured.items()]
    return sorted(by_kind, key=lambda each: each[1]["pass@8"].value)


def lifts(seeds: dict[str, Any], name: str) -> list[float]:
    """The lift of a kind, greedy or drawn, in every seed that was trained."""
    return [figures({"": seed})[name].value for seed in seeds.values() if seed["after"]]


def gains_by_seed(seeds: dict[str, Any], name: str) -> str:
    """The gain of a kind's answers, greedy or drawn, in every seed that was trained, in points."""
    return ", ".join(f"{100 * value:+.0f}" for value in lifts(seeds, name)) or "–"


def gains(seeds: dict[str, Any], name: str) -> bool:
    """Whether a kind gained beyond the interval, and in every seed that was trained: one lucky training is no gain."""
    return figures(seeds)[name].low > 0 and all(value > 0 for value in lifts(seeds, name))


def table_rows(measured: Measured) -> list[list[Text | str]]:
    """The table, a kind a row."""
    rows: list[list[Text | str]] = []
    for kind, each in figures_by_kind(measured):
        seeds = measured[kind].values()
        rows.append(
            [
                KIND_NAMES[kind],
                each["pass@8"].percent,
                each["before"].percent,
                each["lift"].points,
                gains_by_seed(measured[kind], "lift"),
                each["drawn lift"].points,
                gains_by_seed(measured[kind], "drawn lift"),
                f"{sum(bool(seed['after']) for seed in seeds)} / {len(seeds)}",
            ]
        )
    return rows


def report(measured: Measured) -> Report:
    """pass@8 and lift of each kind, the seldom right first."""
    by_kind = figures_by_kind(measured)
    never = [kind for kind, each in by_kind if each["pass@8"].value < NEVER]
    good = [kind for kind, each in by_kind if each["pass@8"].value >= OCCASIONALLY]
    (never_gained, never_drawn), (good_gained, good_drawn) = (
        [sum(gains(measured[kind], name) for kind in kinds) for name in ("lift", "drawn lift")]
        for kinds in (never, good)
    )
    refused = sum(not seed["after"] for kind in never for seed in measured[kind].values())
    tries = sum(len(measured[kind]) for kind in never)
    conditions = [
        Condition(
            Text(
                "In most kinds that are right now and then (pass@8 of 20 % and more), right answers are drawn more "
                "often.",
                "多数偶尔答对的类别（pass@8 达到 20%），抽样的回答答对得更多。",
            ),
            good_drawn > len(good) / 2,
        ),
        Condition(
            Text(
                "In most of them the likeliest answer (greedy) is right more often.",
                "其中多数类别，最可能的回答（贪心）答对得更多。",
            ),
            good_gained > len(good) / 2,
        ),
    ]
    if refused < tries:
        # Where every training was refused, it is not measured that nothing is gained.
        never_gains = Text(
            "No kind that is practically never right (pass@8 below 5 %) gains.",
            "几乎从不答对的类别（pass@8 低于 5%）没有提升。",
        )
        conditions.append(Condition(never_gains, never_gained == 0))
    by_seed = {kind: gains_by_seed(measured[kind], "lift") for kind in good}
    between = [kind for kind, _ in by_kind if kind not in (*never, *good)]
    between_drawn = sum(gains(measured[kind], "drawn lift") for kind in between)
    return Report(
        verdict=verdict_of(conditions),
        conditions=conditions,
        plain=Text(
            f"v1 solves {len(good)} kinds of problem at least now and then. Practice made the answers that it draws "
            f"better in {good_drawn} of them, in every training, and the answer that it finds likeliest in "
            f"{good_gained}. Of {len(between)} kinds that it solves more seldom, {between_drawn} got better. Kinds "
            f"that it practically never solves: {len(never)}. There, {refused} of {tries} trainings could not even "
            "begin, because with no right answer there is nothing to make likelier.",
            f"v1 至少偶尔能做对的题有 {len(good)} 类。练习之后，每次训练都变好的：它抽样写出的回答有 {good_drawn} 类，"
            f"它认为最可能的回答有 {good_gained} 类。较少做对的 {len(between)} 类里，变好的有 {between_drawn} 类。"
            f"另有 {len(never)} 类它几乎从不做对：{tries} 次训练里有 "
            f"{refused} 次根本无从开始，因为没有答对的，就没有什么可以变得更可能。",
        ),
        finding=Text(
            f"Greedy answers gained beyond the interval, and in every seed, in {good_gained} of {len(good)} kinds with "
            f"pass@8 of 20 % and more, and in {never_gained} of {len(never)} with less than 5 %; answers drawn at "
            f"temperature 1, as they are in training, in {good_drawn} of {len(good)} and {never_drawn} of "
            f"{len(never)}. Gain of greedy answers by seed, points: "
            + "; ".join(f"{KIND_NAMES[kind].en} {gains}" for kind, gains in by_seed.items())
            + ".",
            f"贪心回答的提升超出区间、且每个种子都有提升的：pass@8 达到 20% 的 {len(good)} 类中有 {good_gained} 类，"
            f"低于 5% 的 {len(never)} 类中有 {never_gained} 类；像训练时那样在温度 1 下抽样的回答，"
            f"则分别有 {good_drawn} 类和 {never_drawn} 类。各种子贪心回答的提升（百分点）："
            + "；".join(f"{KIND_NAMES[kind].zh} {gains}" for kind, gains in by_seed.items())
            + "。",
        ),
        head=[
            Text("Kind, no thinking", "类别（不思考）"),
            Text("pass@8 before", "训练前 pass@8"),
            Text("right before, greedy", "训练前答对（贪心）"),
            Text("lift, greedy, points", "提升（贪心，百分点）"),
            Text("by seed", "各种子"),
            Text("lift, drawn, points", "提升（抽样，百分点）"),
            Text("by seed", "各种子"),
            Text("seeds trained", "训练了的种子"),
        ],
        rows=table_rows(measured),
    )


def draw(measured: Measured, figure: Figure, language: Language) -> None:
    """Lift of greedy and of drawn answers by kind, the seldom right on top."""
    axes = figure.subplots()
    by_kind = figures_by_kind(measured)
    axes.axvline(0, color=plots.GREY, lw=1)
    for name, of, colour, shift in (
        (Text("greedy answers", "贪心回答"), "lift", plots.GREEN, -0.15),
        (Text("drawn answers", "抽样的回答"), "drawn lift", plots.ORANGE, 0.15),
    ):
        lifts = [each[of] for _, each in by_kind]
        heights = [place + shift for place in range(len(lifts))]
        axes.plot(
            [100 * lift.value for lift in lifts], heights, "o", ms=5, color=colour, label=name.of(language)
        )
        for height, lift in zip(heights, lifts, strict=True):
            axes.plot([100 * lift.low, 100 * lift.high], [height, height], color=colour, lw=2)
    names = [f"{KIND_NAMES[kind].of(language)}, {100 * each['pass@8'].value:.0f} %" for kind, each in by_kind]
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set(
        xlabel=Text("gain of right answers, points", "答对率的提升，百分点").of(language),
        ylabel=Text("kind, and pass@8 before", "类别与训练前的 pass@8").of(language),
    )
    axes.legend()

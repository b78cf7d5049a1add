"""Two languages: what is taught in one works in another, where one base has read both. By kind of task."""

import itertools
from typing import Any

from matplotlib.figure import Figure

from alignment.starter import corpus
from alignment.suites.starter_suite import select_tasks, starter_kinds
from alignment.suites.task_file import Task
from benchmarks.claims import plots
from benchmarks.claims.claim import (
    LANGUAGES,
    ClaimTexts,
    Condition,
    Language,
    Measured,
    Report,
    Text,
    verdict_of,
)
from benchmarks.claims.context import Context
from benchmarks.claims.intervals import Interval
from benchmarks.claims.small_models import (
    KIND_NAMES,
    answer_tasks,
    count_right,
    declined,
    demonstrations,
    fine_tune,
    kinds_by_share,
    pooled,
    precise,
    ready,
    shared_base,
)

ROWS, LEARNING_RATE = 4_000, 1e-3
EACH, LIMIT = 16, 240
ARMS: dict[str, tuple[Language | None, Language | None]] = {
    "before": (None, None),
    "en": (None, "en"),
    "zh": (None, "zh"),
    "english base": ("en", "en"),
}
"""By name, the language of the raw text (None: both) and of the demonstrations (None: there are none)."""

TEXTS = {
    "en": ClaimTexts(
        claim="A model that has read several languages and is taught a task in one of them can do it in the others, "
        "because it represents what they share. One that has read a single language cannot.",
        done="1.2M bases were pretrained on a million tokens of raw text in English and Chinese, and the stage `sft` "
        "taught them (all weights) 4,000 demonstrations of every kind of task in English only, or in Chinese only. "
        "Beside them: the same bases before that, and bases that read as many tokens in English only, taught in "
        "English. Three seeds; each asked 16 held-out tasks of every kind in each language, greedy. A checker judges "
        "the answers; numbers and times count in any language. Wilson's intervals over 48 answers a kind and language.",
        against="Tasks in the language that was not taught which are answered right no more often than before, or no "
        "more often than by the base that never read that language; or less than half of what that language's own "
        "demonstrations give.",
    ),
    "zh": ClaimTexts(
        claim="读过几种语言的模型，用其中一种教会一个任务，用其他语言也能做，因为它表示的是它们共有的东西。"
        "只读过一种语言的模型做不到。",
        done="1.2M 的基座在 100 万词元的中英文原始文本上预训练，再由 `sft` 阶段（训练全部权重）"
        "用 4,000 条示范教所有种类的任务，只用英文或只用中文。"
        "对照：同样的基座在此之前；以及只读了同样多英文、再用英文教的基座。"
        "三个种子，每个回答每类每种语言 16 道留出任务，贪心解码，由检查器判断；数字和时间用哪种语言写都算对。"
        "每类每种语言 48 个回答，区间用 Wilson 法。",
        against="用没有教过的语言提问时，答对的并不比教之前多，或者并不比从没读过那种语言的基座多；"
        "或者收获不到用它自己的示范所得的一半。",
    ),
}
NAMES = {"en": Text("English", "英文"), "zh": Text("Chinese", "中文")}
ASKED = {"en": Text("asked in English", "用英文提问"), "zh": Text("asked in Chinese", "用中文提问")}
ALL = Text("all kinds", "所有种类")


def run(context: Context) -> Measured:
    """Teach and ask, one part an arm and a seed."""
    return {
        arm: [
            context.once(f"{arm.replace(' ', '-')}-{seed}", teach_and_ask, context, arm, seed)
            for seed in context.seeds
        ]
        for arm in ARMS
    }


def teach_and_ask(context: Context, arm: str, seed: int) -> dict[str, list[int]]:
    """Right answers and tasks by kind and language, after the arm's demonstrations."""
    read, taught = ARMS[arm]
    model = precise(shared_base(context, seed, read))
    if taught is not None:
        draw = kinds_by_share(corpus.ANSWERED_KINDS)
        rows = itertools.islice(demonstrations(seed, draw, (taught,)), 16 if context.quick else ROWS)
        work = context.folder / "work" / f"{arm.replace(' ', '-')}-{seed}"
        model, _ = fine_tune(model, list(rows), seed, work, LEARNING_RATE)
    tasks = select_tasks(starter_kinds(), 1 if context.quick else EACH, seed)
    return count_right(answer_tasks(ready(model), tasks, 16 if context.quick else LIMIT), cell)


def cell(task: Task) -> str:
    """The name under which a task is counted."""
    return f"{task.kind} {task.language}"


def accuracy(seeds: list[dict[str, list[int]]], language: Language, kind: str | None = None) -> Interval:
    """The share of right answers in a language over all seeds, of one kind or of all."""
    return pooled(
        counts
        for cells in seeds
        for name, counts in cells.items()
        if name.split()[1] == language and kind in (None, name.split()[0])
    )


def by_kind(seeds: list[dict[str, list[int]]], language: Language) -> list[dict[str, list[int]]]:
    """The counts of the tasks in one language, by kind, for each seed."""
    return [
        {name.split()[0]: counts for name, counts in cells.items() if name.split()[1] == language}
        for cells in seeds
    ]


def kinds_of(measured: Measured) -> list[str]:
    """The kinds of task, in the suite's order."""
    return list(dict.fromkeys(name.split()[0] for name in measured["before"][0]))


def transfers(measured: Measured, language: Language, kind: str | None = None) -> bool:
    """Whether the other language's demonstrations lift this language above what the base did before."""
    other = "zh" if language == "en" else "en"
    return accuracy(measured[other], language, kind).low > accuracy(measured["before"], language, kind).high


def report(measured: Measured) -> Report:
    """Accuracy by kind and language for every arm, and where the other language's demonstrations help."""
    rows: list[list[Text | str]] = [
        [
            KIND_NAMES[kind] if kind else ALL,
            *(accuracy(measured[arm], language, kind).percent for language in LANGUAGES for arm in ARMS),
        ]
        for kind in (None, *kinds_of(measured))
    ]
    own, other = (
        {language: accuracy(measured[arms[language]], language) for language in LANGUAGES}
        for arms in ({"en": "en", "zh": "zh"}, {"en": "zh", "zh": "en"})
    )
    alone = accuracy(measured["english base"], "zh")
    by_declining = declined(by_kind(measured["zh"], "zh"))
    learns = all(own[language].low > 0.5 for language in LANGUAGES)
    conditions = [
        Condition(
            Text(
                "Taught in the same language, it answers most questions right: there is something to transfer.",
                "用同一种语言教，它能答对多数问题：有东西可以迁移。",
            ),
            learns,
        ),
        Condition(
            Text("Teaching in Chinese lifts tasks in English.", "用中文教，英文任务有提升。"),
            transfers(measured, "en"),
        ),
        Condition(
            Text("Teaching in English lifts tasks in Chinese.", "用英文教，中文任务有提升。"),
            transfers(measured, "zh"),
        ),
        Condition(
            Text("It lifts them above a model that never read Chinese.", "提升之后高于从没读过中文的模型。"),
            other["zh"].low > alone.high,
        ),
        Condition(
            Text(
                "Teaching in the other language is worth at least half of teaching in the same.",
                "用另一种语言教，至少有用同一种语言教的一半效果。",
            ),
            all(other[language].value >= own[language].value / 2 for language in LANGUAGES),
        ),
    ]
    cells = [(kind, language) for kind in kinds_of(measured) for language in LANGUAGES]
    helped = sum(transfers(measured, language, kind) for kind, language in cells)
    return Report(
        # That there is something to transfer is no sign that it is; without it nothing is.
        verdict=verdict_of(conditions[1:]) if learns else "untested",
        conditions=conditions,
        plain=Text(
            f"Of 100 questions in Chinese, a model taught to answer in English only answers {other['zh'].of_hundred} "
            f"right, one taught in Chinese {own['zh'].of_hundred}{by_declining.en}, and "
            f"one that never read Chinese {alone.of_hundred}. "
            f"Taken by itself, {helped or 'none'} of {len(cells)} pairs of kind and language is surely helped by the "
            "other language's examples."
            + ("" if learns else " A model that learns so little has little to carry over."),
            f"100 个中文问题，只用英文教过回答的模型答对 {other['zh'].of_hundred} 个，用中文教的答对 "
            f"{own['zh'].of_hundred} 个{by_declining.zh}，从没读过中文的答对 {alone.of_hundred} 个。"
            f"分开来看，在 {len(cells)} 个“种类与语言”的组合中，"
            + (
                f"能确定另一种语言的例子有帮助的有 {helped} 个。"
                if helped
                else "没有一个能确定另一种语言的例子有帮助。"
            )
            + ("" if learns else "学到的这么少，能带到另一种语言的也就很少。"),
        ),
        finding=Text(
            f"Chinese tasks: {other['zh'].percent} right when taught in English, {own['zh'].percent} in Chinese, and "
            f"{alone.percent} by a base that read English only. English tasks: {other['en'].percent} when taught in "
            f"Chinese, {own['en'].percent} in English. Teaching in the other language helps in {helped} of "
            f"{len(cells)} pairs of kind and language.",
            f"中文任务：用英文教答对 {other['zh'].percent}，用中文教 {own['zh'].percent}，只读过英文的基座 "
            f"{alone.percent}。英文任务：用中文教 {other['en'].percent}，用英文教 {own['en'].percent}。"
            f"在 {len(cells)} 个“种类与语言”的组合中，用另一种语言教有帮助的有 {helped} 个。",
        ),
        head=[Text("Kind", "种类"), *(column(language, arm) for language in LANGUAGES for arm in ARMS)],
        rows=rows,
    )


def column(language: Language, arm: str) -> Text:
    """The head of a column: the language of the tasks, and how the model was made."""
    made = {
        "before": Text("not taught", "没有教过"),
        "en": Text("taught in English", "用英文教"),
        "zh": Text("taught in Chinese", "用中文教"),
        "english base": Text("read and taught in English only", "只用英文读和教"),
    }[arm]
    asked = ASKED[language]
    return Text(f"{asked.en}, {made.en}", f"{asked.zh}，{made.zh}")


def draw(measured: Measured, figure: Figure, language: Language) -> None:
    """One panel a language of the tasks: accuracy by kind for each arm."""
    panels: Any = figure.subplots(1, 2, sharey=True)
    kinds = kinds_of(measured)
    for axes, asked in zip(panels, LANGUAGES, strict=True):
        for number, (arm, colour) in enumerate(
            zip(ARMS, (plots.GREY, plots.GREEN, plots.ORANGE, plots.BLUE), strict=True)
        ):
            figures = [accuracy(measured[arm], asked, kind) for kind in kinds]
            heights = [place + 0.18 * (number - 1.5) for place in range(len(kinds))]
            name = column(asked, arm).of(language).split(", " if language == "en" else "，")[1]
            axes.plot([100 * each.value for each in figures], heights, "o", ms=3.5, color=colour, label=name)
            for height, each in zip(heights, figures, strict=True):
                axes.plot([100 * each.low, 100 * each.high], [height, height], color=colour, lw=1)
        axes.set(
            title=ASKED[asked].of(language),
            xlabel=Text("right answers, percent", "答对的百分比").of(language),
            xlim=(-2, 100),
        )
    panels[0].set_yticks(range(len(kinds)), [KIND_NAMES[kind].of(language) for kind in kinds], fontsize=8)
    panels[0].invert_yaxis()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)

"""Scarce pairs: accuracy by number of demonstrations, with and without pretraining. What does raw text save?"""

import itertools

from matplotlib.figure import Figure

from alignment.suites.starter_suite import select_tasks
from benchmarks.claims import plots
from benchmarks.claims.claim import ClaimTexts, Condition, Language, Measured, Report, Text, verdict_of
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
    new_model,
    pooled,
    precise,
    ready,
    shared_base,
)

COUNTS = (0, 50, 500, 5_000, 50_000)
SHARES = {"concept": 30.0, "identity": 20.0, "smalltalk": 20.0, "outside": 30.0}
"""Kinds with short answers, in percent of the demonstrations: a row has some 40 tokens."""
LEARNING_RATE = 1e-3
EACH, LIMIT = 25, 64

TEXTS = {
    "en": ClaimTexts(
        claim="Questions with good answers have to be written by people, and are few; raw text needs nobody. A model "
        "that has read raw text first learns to answer from few pairs; without, even many pairs teach it less.",
        done="A 1.2M model was fine-tuned by the stage `sft` (all weights, the same rate) on 0, 50, 500, 5,000 and "
        "50,000 demonstrations: once after pretraining on a million tokens of raw text, once from random weights. "
        "That text is made for this project, and two thirds of its sections are worked examples: questions with their "
        "solutions, in other words than the tasks. So the model has read answers, as one has that read textbooks. "
        "Three seeds, each with its own text, demonstrations and 200 held-out tasks: 25 of four kinds in each language "
        "(concepts, itself, small talk, what it declines), whose wording no training text has. Answers are greedy, and "
        "a checker judges them. Wilson's intervals over the three seeds' 600 answers.",
        against="As many right answers without pretraining as with it, at every number of pairs; or pretraining that "
        "saves less than nine of ten pairs: 5,000 with it that teach less than 50,000 without.",
    ),
    "zh": ClaimTexts(
        claim="问题和好的回答要靠人来写，数量很少；原始文本不用人标注。先读过原始文本的模型，"
        "用少量成对数据就能学会回答；没有读过的，成对数据再多也学得更少。",
        done="用 `sft` 阶段微调一个 1.2M 的模型（训练全部权重，学习率相同），示范数为 0、50、500、5,000 和 50,000："
        "一次先在 100 万词元的原始文本上预训练，一次从随机权重开始。这些文本是为本项目生成的，三分之二的段落是例题，"
        "即问题带解答，措辞与留出任务不同。所以模型像读过课本那样读过答案。三个种子，"
        "各有自己的文本、示范和 200 道留出任务：四类，中英文各 25 道（概念、它自己、寒暄、它会婉拒的），"
        "其措辞不在任何训练文本中。"
        "贪心解码，由检查器判断对错。区间是三个种子共 600 个回答的 Wilson 区间。",
        against="无论有多少成对数据，不预训练都答对一样多；或者预训练省下的成对数据不到九成："
        "预训练后 5,000 对学到的还不如不预训练的 50,000 对。",
    ),
}
NAMES = {
    "pretrained": Text("pretrained on raw text", "先读原始文本"),
    "random": Text("from random weights", "从随机权重开始"),
}


def run(context: Context) -> Measured:
    """Fine-tune and ask, one part a number of rows, a beginning and a seed."""
    counts = (0, 16) if context.quick else COUNTS
    return {
        start: {
            str(count): [
                context.once(f"{start}-{count}-{seed}", teach_and_ask, context, start, count, seed)
                for seed in context.seeds
            ]
            for count in counts
        }
        for start in NAMES
    }


def teach_and_ask(context: Context, start: str, count: int, seed: int) -> dict[str, list[int]]:
    """Right answers and tasks by kind, after fine-tuning on `count` demonstrations."""
    if start == "random":
        model = new_model("1.2M", seed)
    else:
        base = shared_base(context, seed)
        model = precise(base)
    if count:
        rows = list(itertools.islice(demonstrations(seed, kinds_by_share(SHARES)), count))
        work = context.folder / "work" / f"{start}-{count}-{seed}"
        model, _ = fine_tune(model, rows, seed, work, LEARNING_RATE)
    tasks = select_tasks(tuple(SHARES), 2 if context.quick else EACH, seed)
    return count_right(answer_tasks(ready(model), tasks, 16 if context.quick else LIMIT))


def accuracy(seeds: list[dict[str, list[int]]]) -> Interval:
    """The share of right answers over all seeds and kinds."""
    return pooled(counts for kinds in seeds for counts in kinds.values())


def report(measured: Measured) -> Report:
    """Accuracy by number of demonstrations, and how many pretraining saves."""
    curves = {
        start: {int(count): accuracy(seeds) for count, seeds in counts.items()}
        for start, counts in measured.items()
    }
    with_text, without = curves["pretrained"], curves["random"]
    counts = [count for count in with_text if count]
    most = counts[-1]
    better = [count for count in counts if with_text[count].low > without[count].high]
    tenth = max(count for count in with_text if count <= most / 10)
    conditions = [
        Condition(
            Text(
                "From some number of demonstrations more is learned after pretraining than without.",
                "在某个示范数上，预训练后学到的比不预训练多。",
            ),
            bool(better),
        ),
        Condition(
            Text(
                f"After pretraining, a tenth of {most:,} demonstrations teaches as much as {most:,} without.",
                f"预训练后，{most:,} 条示范的十分之一学到的不少于不预训练的 {most:,} 条。",
            ),
            with_text[tenth].value >= without[most].value,
        ),
    ]
    rows: list[list[Text | str]] = [
        [f"{count:,}", *(curves[start][count].percent for start in NAMES)] for count in with_text
    ]
    middle = counts[len(counts) // 2]
    by_declining = declined(measured["pretrained"][str(middle)])
    return Report(
        verdict=verdict_of(conditions),
        conditions=conditions,
        plain=Text(
            f"Taught by {middle:,} written answers, a model that had read raw text before answers "
            f"{with_text[middle].of_hundred} of 100 questions right{by_declining.en}; one that had not, "
            f"{without[middle].of_hundred}. "
            f"Taught by {most:,}, they answer {with_text[most].of_hundred} and {without[most].of_hundred}.",
            f"用 {middle:,} 条写好的回答来教，先读过原始文本的模型 100 个问题答对 {with_text[middle].of_hundred} 个"
            f"{by_declining.zh}，没读过的答对 {without[middle].of_hundred} 个；用 {most:,} 条来教，分别答对 "
            f"{with_text[most].of_hundred} 个和 {without[most].of_hundred} 个。",
        ),
        finding=Text(
            f"With {middle:,} demonstrations {with_text[middle].percent} of the answers are right after pretraining, "
            f"{without[middle].percent} without. {tenth:,} after pretraining teach {with_text[tenth].percent}, "
            f"{most:,} without it {without[most].percent}.",
            f"用 {middle:,} 条示范时，预训练后答对 {with_text[middle].percent}，不预训练答对 "
            f"{without[middle].percent}。预训练后的 {tenth:,} 条示范教到 {with_text[tenth].percent}，"
            f"不预训练的 {most:,} 条教到 {without[most].percent}。",
        ),
        head=[Text("Demonstrations", "示范数"), *NAMES.values()],
        rows=rows,
    )


def draw(measured: Measured, figure: Figure, language: Language) -> None:
    """Accuracy by number of demonstrations, over all kinds and by kind."""
    left, right = figure.subplots(1, 2)
    counts = [int(count) for count in measured["pretrained"]]
    places = list(range(len(counts)))
    for (start, name), colour in zip(NAMES.items(), (plots.GREEN, plots.ORANGE), strict=True):
        curve = [accuracy(seeds) for seeds in measured[start].values()]
        plots.line(left, places, curve, name.of(language), colour, 100)
    kinds = list(measured["pretrained"]["0"][0])
    middle = counts[1:][len(counts[1:]) // 2]
    for number, (start, colour) in enumerate((("pretrained", plots.GREEN), ("random", plots.ORANGE))):
        shares = [accuracy([{kind: seed[kind]} for seed in measured[start][str(middle)]]) for kind in kinds]
        heights = [place + 0.36 * number for place in range(len(kinds))]
        right.barh(heights, [100 * share.value for share in shares], 0.34, color=colour)
    left.set(
        xlabel=Text("demonstrations", "示范数").of(language),
        ylabel=Text("right answers, percent", "答对的百分比").of(language),
        ylim=(0, 100),
    )
    left.set_xticks(places, [f"{count:,}" for count in counts])
    right.set_yticks(
        [place + 0.18 for place in range(len(kinds))], [KIND_NAMES[kind].of(language) for kind in kinds]
    )
    right.invert_yaxis()
    right.set(
        title=Text(f"by kind, {middle:,} demonstrations", f"按种类，{middle:,} 条示范").of(language),
        xlim=(0, 100),
    )
    left.legend()

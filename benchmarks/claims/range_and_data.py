"""Range and data: models of three sizes on 1, 3, 10 and 100 % of one text. Which underfit, and which overfit?"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks.claims import intervals, plots
from benchmarks.claims.claim import ClaimTexts, Condition, Language, Measured, Report, Text, verdict_of
from benchmarks.claims.context import Context
from benchmarks.claims.intervals import Interval
from benchmarks.claims.small_models import SHAPES, new_model, pretrain_model, raw_text, text_loss

PERCENT = (1, 3, 10, 100)
BLOCK = 128
TOKENS = 800 * BLOCK
"""The whole text, and what every model reads, however little text there is."""
HELD_OUT_BLOCKS = 256
MEASURED_BLOCKS = 256
"""Most blocks on which the training loss is measured, spread over the text."""

TEXTS = {
    "en": ClaimTexts(
        claim="The architecture sets the range of functions that training can reach. A small range underfits: it "
        "cannot even fit its own text well. A large one fits little text by heart: its training loss falls while its "
        "loss on other text rises.",
        done="Models of 0.3M, 1.2M and 4.9M parameters were pretrained from nothing by the stage `pretrain` on 1, 3, "
        "10 and 100 % of 102,400 tokens of the starter's raw text, in each of three seeds: other text, other initial "
        "weights. Every model reads 102,400 tokens, so that 1 % is read a hundred times, and all have the same "
        "settings. Training loss is that of the text that was read, held-out loss that of 32,768 other tokens, both "
        "in nats a token after training. Intervals resample the three seeds.",
        against="On all of the text, a training loss of the small range that is no higher than the large one's. Or "
        "on 1 % of it, a gap between held-out and training loss that is no wider for the large range than for the "
        "small one; or a gap that more text does not close.",
    ),
    "zh": ClaimTexts(
        claim="架构划定了训练能够到达的函数范围。范围小就会欠拟合：连自己的训练文本都拟合不好。"
        "范围大而文本少，模型就会背下来：训练损失下降，在其他文本上的损失却上升。",
        done="用 `pretrain` 阶段从零预训练 0.3M、1.2M 和 4.9M 参数的模型，分别用入门模型原始文本 102,400 个词元中的 "
        "1%、3%、10% 和 100%，各三个种子，文本和初始权重都不同。每个模型都读 102,400 个词元，所以 1% 的文本要读一百遍；"
        "设置全都相同。训练损失在读过的文本上测，留出损失在另外 32,768 个词元上测，都是训练结束后每个词元的奈特数。"
        "区间对三个种子重抽样。",
        against="用全部文本时，小范围的训练损失并不比大范围的高；或者只用 1% 的文本时，"
        "大范围的留出损失与训练损失之差并不比小范围的大；或者文本变多，这个差也不缩小。",
    ),
}


def run(context: Context) -> Measured:
    """Train every size on every share of the text, one part a model."""
    percents = (10, 100) if context.quick else PERCENT
    return {
        size: {
            str(percent): [
                context.once(f"{size}-{percent}-{seed}", losses, context, size, percent, seed)
                for seed in context.seeds
            ]
            for percent in percents
        }
        for size in SHAPES
    }


def losses(context: Context, size: str, percent: int, seed: int) -> dict[str, float]:
    """Training and held-out loss of one model, before and after its training."""
    tokens = 40 * BLOCK if context.quick else TOKENS
    held_out_tokens = (8 if context.quick else HELD_OUT_BLOCKS) * BLOCK
    ids = raw_text(seed, tokens + held_out_tokens)
    held_out, training = ids[tokens:], share_of(ids[:tokens], percent)
    before = text_loss(new_model(size, seed), held_out, HELD_OUT_BLOCKS, BLOCK)
    work = context.folder / "work" / f"{size}-{percent}-{seed}"
    model, _ = pretrain_model(size, training, seed, work, tokens, BLOCK)
    return {
        "before": before,
        "training": text_loss(model, training, MEASURED_BLOCKS, BLOCK),
        "held_out": text_loss(model, held_out, HELD_OUT_BLOCKS, BLOCK),
    }


def share_of(ids: np.ndarray, percent: int) -> np.ndarray:
    """The first blocks of `ids` that make up so many percent of them, at least one."""
    return ids[: max(1, len(ids) // BLOCK * percent // 100) * BLOCK]


def figures(measured: Measured, quantity: str) -> dict[str, list[Interval]]:
    """By size, a figure for every share of the text: "training" or "held_out" loss, or the "gap" between them."""

    def value(seed: dict[str, float]) -> float:
        return seed["held_out"] - seed["training"] if quantity == "gap" else seed[quantity]

    return {
        size: [intervals.mean([value(seed) for seed in seeds]) for seeds in shares.values()]
        for size, shares in measured.items()
    }


def report(measured: Measured) -> Report:
    """Losses of every model, and whether small ranges underfit and large ones overfit."""
    training, held_out, gap = (figures(measured, name) for name in ("training", "held_out", "gap"))
    sizes, percents = list(measured), list(measured[next(iter(measured))])
    small, large = sizes[0], sizes[-1]
    # Intervals that do not overlap.
    underfits = training[small][-1].low > training[large][-1].high
    overfits = gap[large][0].low > gap[small][0].high
    closes = all(gaps[-1].high < gaps[0].low for gaps in gap.values())
    conditions = [
        Condition(
            Text(
                "The smallest model fits all of the text worse than the largest.",
                "最小的模型对全部文本的拟合不如最大的。",
            ),
            underfits,
        ),
        Condition(
            Text(
                f"On {percents[0]} % of the text the largest model overfits more than the smallest.",
                f"只用 {percents[0]}% 的文本时，最大的模型比最小的更过拟合。",
            ),
            overfits,
        ),
        Condition(
            Text("With all of the text every model overfits less.", "用全部文本时，每个模型都较少过拟合。"),
            closes,
        ),
    ]
    rows: list[list[Text | str]] = [
        [size, f"{percent} %", str(training[size][place]), str(held_out[size][place]), str(gap[size][place])]
        for size in sizes
        for place, percent in enumerate(percents)
    ]
    return Report(
        verdict=verdict_of(conditions),
        conditions=conditions,
        plain=Text(
            "Loss says how badly a text is predicted: 0 would be perfect. Reading all of the text, the smallest model "
            f"comes down to {training[small][-1].value:.2f} and the largest to {training[large][-1].value:.2f}. "
            f"Reading {percents[0]} % of it over and over, the largest comes to {training[large][0].value:.2f} on what "
            f"it read, and to {held_out[large][0].value:.2f} on text that it never saw.",
            "损失表示文本预测得有多差，0 表示预测得毫无差错。读全部文本，最小的模型降到 "
            f"{training[small][-1].value:.2f}，最大的降到 {training[large][-1].value:.2f}。"
            f"反复读其中 {percents[0]}%，最大的模型在读过的文本上是 {training[large][0].value:.2f}，"
            f"在没见过的文本上是 {held_out[large][0].value:.2f}。",
        ),
        finding=Text(
            f"On all of the text the training loss is {training[small][-1]} for {small} and {training[large][-1]} "
            f"for {large}. On {percents[0]} % of it, held-out less training loss is {gap[small][0]} for {small} and "
            f"{gap[large][0]} for {large}; on all of it, {gap[large][-1]} for {large}.",
            f"用全部文本时，{small} 的训练损失是 {training[small][-1]}，{large} 的是 {training[large][-1]}。"
            f"只用 {percents[0]}% 时，留出损失减训练损失，{small} 是 {gap[small][0]}，{large} 是 {gap[large][0]}；"
            f"用全部文本时 {large} 是 {gap[large][-1]}。",
        ),
        head=[
            Text("Parameters", "参数量"),
            Text("Of the text", "文本比例"),
            Text("Training loss", "训练损失"),
            Text("Held-out loss", "留出损失"),
            Text("Gap", "差"),
        ],
        rows=rows,
    )


def draw(measured: Measured, figure: Figure, language: Language) -> None:
    """Training and held-out loss by the share of the text, one panel a size."""
    sizes = list(measured)
    panels: Any = figure.subplots(1, len(sizes), sharey=True)
    percents = [int(percent) for percent in measured[sizes[0]]]
    for axes, size in zip(panels, sizes, strict=True):
        for quantity, label, colour in (
            ("training", Text("training", "训练"), plots.GREEN),
            ("held_out", Text("held out", "留出"), plots.ORANGE),
        ):
            plots.line(axes, percents, figures(measured, quantity)[size], label.of(language), colour)
        axes.set(
            title=Text(f"{size} parameters", f"{size} 参数").of(language),
            xscale="log",
            xlabel=Text("percent of the text", "文本的百分比").of(language),
        )
        axes.set_xticks(percents, [str(percent) for percent in percents])
        axes.minorticks_off()
    # Once every panel is drawn: they share the axis, and its limits.
    panels[0].set_ylim(0, None)
    panels[0].set_ylabel(Text("loss, nats a token", "每个词元的损失（奈特）").of(language))
    panels[-1].legend()

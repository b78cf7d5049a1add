"""Loss and optimisation: a sweep of learning rate and LoRA rank for SFT. Where is it flat, where does it diverge?"""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from alignment.data.demonstration_rows import tokenize_demonstrations
from alignment.errors import TrainingError
from alignment.stages.sft import SFTRecipe
from benchmarks.claims import intervals, plots
from benchmarks.claims.claim import ClaimTexts, Condition, Language, Measured, Report, Text, verdict_of
from benchmarks.claims.context import Context
from benchmarks.claims.intervals import Interval
from benchmarks.claims.small_models import (
    TALK,
    WINDOW,
    demonstrations,
    fine_tune_adapter,
    kinds_by_share,
    precise,
    shared_base,
    tokenizer,
)

RATES = (1e-4, 5e-4, 1.5e-3, 3e-3, 6e-3, 1.2e-2, 5e-2, 0.2)
RANKS = (4, 32)
WARMUPS = (0.0, 0.1, 0.3)
"""Beside the stage's own 0.03, at its own learning rate for small models, 1.5e-3, and rank 32."""
RATE, RANK, WARMUP = 1.5e-3, 32, 0.03
ROWS, HELD_OUT = 1_000, 200
FLAT = 1.1
"""A setting is in the flat region if its held-out loss is at most a tenth above the best one."""

TEXTS = {
    "en": ClaimTexts(
        claim="Training searches for the function of the range with the least loss, and the learning rate decides "
        "whether it gets there: too low and it does not arrive, too high and it diverges. Between them is a wide flat "
        "region. Not every setting matters as much: the length of the warm-up, for one, does not.",
        done="The stage `sft` taught 1.2M bases 1,000 demonstrations of concepts, itself, small talk and what it "
        "declines, as a LoRA adapter in one pass with AdamW: eight learning rates from 1e-4 to 0.2 by two ranks (4 and "
        "32), and at the stage's own rate (1.5e-3) also four lengths of warm-up. Three seeds, each with its own base "
        "and demonstrations. The held-out loss is that of 200 other demonstrations, after training, in nats a token; "
        "intervals resample the seeds. Diverged: the loss is not finite, or higher than before training.",
        against="No learning rate that diverges or none that falls short; a flat region (at most a tenth above the "
        "best loss) narrower than a factor of two; or warm-up that changes the loss more than the learning rate does.",
    ),
    "zh": ClaimTexts(
        claim="训练就是在范围里找损失最小的函数，能不能找到由学习率决定：太小走不到，太大就发散。"
        "两者之间有一大片平坦区域。不是每个设置都这么要紧：比如预热的长度就不是。",
        done="`sft` 阶段用 1,000 条示范（概念、它自己、寒暄、它会婉拒的）教 1.2M 的基座，"
        "训练一个 LoRA 适配器，AdamW，读一遍：八种学习率（1e-4 到 0.2）乘两种秩（4 和 32）；"
        "在该阶段自己的学习率 1.5e-3 上还试了四种预热长度。三个种子，各有自己的基座和示范。"
        "留出损失是训练后另外 200 条示范上每个词元的奈特数，区间对种子重抽样。"
        "发散是指损失不是有限数，或者比训练前还高。",
        against="没有会发散的学习率，或者没有太小的；平坦区域（损失最多比最好的高一成）的宽度不到两倍；"
        "或者预热长度对损失的影响比学习率还大。",
    ),
}
DIVERGED = Text("diverged", "发散")


def run(context: Context) -> Measured:
    """Train every setting, one part a seed and a setting."""
    grid = [(rate, rank, WARMUP) for rank in RANKS for rate in RATES]
    settings = grid + [(RATE, RANK, warmup) for warmup in WARMUPS]
    if context.quick:
        settings = [(RATE, RANK, WARMUP), (RATES[-1], RANK, WARMUP), (RATE, RANK, WARMUPS[-1])]
    return {
        "before": [context.once(f"before-{seed}", loss_before, context, seed) for seed in context.seeds],
        "settings": [
            {
                "rate": rate,
                "rank": rank,
                "warmup": warmup,
                "losses": [
                    context.once(
                        f"{rate:g}-rank-{rank}-warmup-{warmup:g}-{seed}",
                        loss_after,
                        context,
                        SFTRecipe(learning_rate=rate, lora_r=rank, warmup=warmup, seed=seed),
                    )
                    for seed in context.seeds
                ],
            }
            for rate, rank, warmup in settings
        ],
    }


def rows_of(context: Context, seed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Demonstrations to train on, and others that are not among them."""
    count, held_out = (32, 16) if context.quick else (ROWS, HELD_OUT)
    drawn = demonstrations(seed, kinds_by_share(dict.fromkeys(TALK, 1.0)))
    training = list(itertools.islice(drawn, count))
    seen = {str(row["messages"]) for row in training}
    others = (row for row in drawn if str(row["messages"]) not in seen)
    return training, list(itertools.islice(others, held_out))


def loss_before(context: Context, seed: int) -> float:
    """Held-out loss of a seed's base."""
    return completion_loss(precise(shared_base(context, seed)), rows_of(context, seed)[1])


def loss_after(context: Context, recipe: SFTRecipe) -> float | None:
    """Held-out loss of a new adapter after training it as the recipe says. None if the loss was not finite."""
    training, held_out = rows_of(context, recipe.seed)
    name = f"{recipe.learning_rate:g}-{recipe.lora_r}-{recipe.warmup:g}-{recipe.seed}"
    base = precise(shared_base(context, recipe.seed))
    try:
        model, _ = fine_tune_adapter(base, training, replace(recipe), context.folder / "work" / name)
    except TrainingError:
        return None
    loss = completion_loss(model, held_out)
    return loss if math.isfinite(loss) else None


@torch.no_grad()
def completion_loss(model: Any, rows: list[dict[str, Any]]) -> float:
    """Mean cross-entropy in nats of a completion's token, over all completions together."""
    model.eval()
    data, _ = tokenize_demonstrations(rows, tokenizer(), WINDOW)
    total = tokens = 0.0
    for row in data:
        count = sum(label != -100 for label in row["labels"])
        ids, labels = (torch.tensor([row[name]]) for name in ("input_ids", "labels"))
        total += float(model(input_ids=ids, labels=labels).loss) * count
        tokens += count
    return total / tokens


def figure_of(setting: dict[str, Any], before: list[float]) -> Interval | None:
    """The loss of a setting over its seeds; None if it diverged in any of them."""
    losses = setting["losses"]
    if any(loss is None or loss > start for loss, start in zip(losses, before, strict=True)):
        return None
    return intervals.mean(losses)


def flat_region(curve: dict[float, Interval | None]) -> list[float]:
    """The learning rates around the best one whose loss is at most FLAT times the best."""
    rates = sorted(curve)
    good = {rate: figure.value for rate in rates if (figure := curve[rate]) is not None}
    best = min(good, key=lambda rate: good[rate])
    below = itertools.takewhile(
        lambda rate: good.get(rate, np.inf) <= FLAT * good[best], reversed(rates[: rates.index(best)])
    )
    above = itertools.takewhile(
        lambda rate: good.get(rate, np.inf) <= FLAT * good[best], rates[rates.index(best) :]
    )
    return sorted([*below, *above])


def curves_of(
    measured: Measured,
) -> tuple[dict[int, dict[float, Interval | None]], dict[float, Interval | None]]:
    """Losses by rank and learning rate; and by warm-up, at the stage's own rate and rank."""
    figures = [(each, figure_of(each, measured["before"])) for each in measured["settings"]]
    ranks = sorted({each["rank"] for each, _ in figures})
    curves = {
        rank: {each["rate"]: f for each, f in figures if each["rank"] == rank and each["warmup"] == WARMUP}
        for rank in ranks
    }
    warmups = {each["warmup"]: f for each, f in figures if (each["rate"], each["rank"]) == (RATE, RANK)}
    return curves, dict(sorted(warmups.items()))


def table_rows(
    curves: dict[int, dict[float, Interval | None]], warmups: dict[float, Interval | None]
) -> list[list[Text | str]]:
    """The table: every learning rate and rank, then every other warm-up."""
    rows: list[list[Text | str]] = []
    for name, figures in [
        *((f"{rate:g}, {rank}, {WARMUP:g}", curves[rank][rate]) for rank in curves for rate in curves[rank]),
        *((f"{RATE:g}, {RANK}, {warmup:g}", f) for warmup, f in warmups.items() if warmup != WARMUP),
    ]:
        rows.append([*name.split(", "), str(figures) if figures else DIVERGED])
    return rows


def report(measured: Measured) -> Report:
    """Losses of every setting, the flat region, what diverged, and how little warm-up changes."""
    curves, warmups = curves_of(measured)
    curve = curves[RANK]
    flat = flat_region(curve)
    diverged = [rate for rate, figure in curve.items() if figure is None]
    good = [figure.value for figure in curve.values() if figure is not None]
    warm = [figure.value for figure in warmups.values() if figure is not None]
    too_low = min(curve) not in flat
    wide = max(flat) / min(flat) >= 2
    insensitive = len(warm) == len(warmups) and max(warm) - min(warm) < max(good) - min(good)
    conditions = [
        Condition(
            Text("A learning rate that is too high makes the loss diverge.", "学习率太高，损失会发散。"),
            bool(diverged),
        ),
        Condition(
            Text("One that is too low learns less.", "学习率太低，学得较少。"),
            too_low,
        ),
        Condition(
            Text(
                "Between them is a flat region of at least a factor of two.",
                "两者之间有一段平坦区域，宽度至少两倍。",
            ),
            wide,
        ),
        Condition(
            Text(
                f"Warm-up, tried at a learning rate of {RATE:g}, matters less than the learning rate.",
                f"预热长度（在学习率 {RATE:g} 上试的）的影响比学习率小。",
            ),
            insensitive,
        ),
    ]
    lowest = curve[min(curve)]
    cost_of_lowest = lowest.value - min(good) if lowest else math.nan
    spread = max(warm) - min(warm) if warm else math.nan
    first = f"{min(diverged):g}" if diverged else ""
    low, high = min(curves), max(curves)
    by_rank = max(
        abs(one.value - other.value)
        for rate, one in curves[low].items()
        if one is not None and (other := curves[high][rate]) is not None
    )
    return Report(
        verdict=verdict_of(conditions),
        conditions=conditions,
        plain=Text(
            f"An adapter of rank {RANK} ends about equally well with a learning rate from {min(flat):g} to "
            f"{max(flat):g}. "
            + (f"From {first} on it breaks the model. " if diverged else "")
            + f"With {min(curve):g} the loss ends {cost_of_lowest:.2f} higher than with the best.",
            f"秩为 {RANK} 的适配器，学习率从 {min(flat):g} 到 {max(flat):g}，训练结果差不多一样好。"
            + (f"从 {first} 起会把模型训坏。" if diverged else "")
            + f"用 {min(curve):g} 时，最后的损失比最好的高 {cost_of_lowest:.2f}。",
        ),
        finding=Text(
            f"At rank {RANK} the loss is flat from a learning rate of {min(flat):g} to {max(flat):g} (best: "
            f"{min(good):.2f}; before training: {intervals.mean(measured['before'])}), and "
            + (f"diverges from {first} on" if diverged else "diverges nowhere")
            + f"; over all that do not diverge it spans {max(good) - min(good):.2f} nats. Warm-up from "
            f"{min(warmups):g} to {max(warmups):g} changes it, at {RATE:g}, by {spread:.2f}, a rank of {low} instead "
            f"of {high} by up to {by_rank:.2f} at the same rate.",
            f"秩为 {RANK} 时，学习率从 {min(flat):g} 到 {max(flat):g} 损失几乎不变（最好 {min(good):.2f}；训练前 "
            f"{intervals.mean(measured['before'])}），"
            + (f"从 {first} 起发散" if diverged else "没有发散")
            + f"；不发散的学习率之间相差 {max(good) - min(good):.2f} 奈特。预热从 {min(warmups):g} 到 "
            f"{max(warmups):g}（学习率 {RATE:g}），只差 {spread:.2f}；"
            f"同一学习率下，秩由 {high} 改为 {low} 最多差 {by_rank:.2f}。",
        ),
        head=[
            Text("Learning rate", "学习率"),
            Text("LoRA rank", "LoRA 秩"),
            Text("Warm-up, share of updates", "预热占更新数的比例"),
            Text("Held-out loss", "留出损失"),
        ],
        rows=table_rows(curves, warmups),
    )


def draw(measured: Measured, figure: Figure, language: Language) -> None:
    """Held-out loss by learning rate for each rank, and by warm-up."""
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    curves, warmups = curves_of(measured)
    before = intervals.mean(measured["before"]).value
    for (rank, curve), colour in zip(curves.items(), (plots.ORANGE, plots.GREEN), strict=False):
        good = {rate: each for rate, each in curve.items() if each is not None}
        name = Text(f"rank {rank}", f"秩 {rank}").of(language)
        plots.line(left, list(good), list(good.values()), name, colour)
        bad = [rate for rate in curve if rate not in good]
        # On top, because a loss that diverged has no height.
        words = Text(f"rank {rank}, diverged", f"秩 {rank}，发散").of(language)
        height = 0.97 - 0.05 * list(curves).index(rank)
        left.plot(
            bad,
            [height] * len(bad),
            "x",
            color=colour,
            ms=8,
            label=words,
            transform=left.get_xaxis_transform(),
        )
    for axes in (left, right):
        axes.axhline(before, color=plots.GREY, ls=":", lw=1)
    kept = {warmup: each for warmup, each in warmups.items() if each is not None}
    plots.line(right, list(kept), list(kept.values()), "", plots.GREEN)
    left.set(
        xscale="log",
        xlabel=Text("learning rate", "学习率").of(language),
        ylabel=Text("held-out loss, nats a token", "留出损失，每个词元的奈特数").of(language),
    )
    words = Text("before training", "训练前").of(language)
    right.text(max(kept), before, words, ha="right", va="bottom", color=plots.GREY)
    right.set(xlabel=Text("warm-up, share of updates", "预热占更新数的比例").of(language))
    left.legend()

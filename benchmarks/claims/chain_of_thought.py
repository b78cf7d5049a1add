"""Chain of thought: answers with and without steps before them, by the number of steps that a problem takes."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from alignment.evaluation.answering import EvaluatedAnswer, answer
from alignment.suites.starter_suite import select_tasks
from alignment.suites.task_file import Task
from benchmarks.claims import intervals, plots
from benchmarks.claims.claim import ClaimTexts, Condition, Language, Measured, Report, Text, verdict_of
from benchmarks.claims.context import Context, load

STEPS = {
    "starter": {1: "word_one_step", 2: "word_two_step", 3: "word_three_step"},
    "smollm2": {1: "sum of 2", 2: "sum of 3", 3: "sum of 4", 4: "sum of 5"},
}
EACH, SUMS, LIMIT = 100, 60, 96
EXAMPLES = ((5, 8, 4), (9, 3, 7, 6))
"""The sums that SmolLM2 is shown worked, before it gets its own."""

TEXTS = {
    "en": ClaimTexts(
        claim="A model that writes its steps before the answer solves problems of several steps that it cannot solve "
        "at once, because each step is easy to predict from the ones before. The price is more tokens.",
        done="The starter answered 200 held-out word problems of each of one, two and three steps (100 in each "
        "language), with thinking and without. SmolLM2, which has no thinking mode, added 60 sums each of two to "
        "five numbers below ten, that is one to four steps. It was shown two worked sums before: with their "
        "intermediate sums (as in Wei et al. 2022, chain-of-thought prompting), or with their results alone. Greedy. "
        "Differences are paired, and their intervals resample problems.",
        against="No gain beyond the interval on problems of two and more steps.",
    ),
    "zh": ClaimTexts(
        claim="模型先写出步骤再给答案，就能做出一下子做不出的多步题，因为每一步都容易从前面的步骤预测出来。"
        "代价是要写更多词元。",
        done="入门模型做一步、两步、三步的留出应用题各 200 道（中英文各 100），思考和不思考各做一遍。"
        "SmolLM2 没有思考模式，让它做两个到五个十以内的数相加，也就是一到四步，各 60 道。做题前给它看两道做好的加法："
        "一种写出中间的和（即 Wei 等 2022 的思维链提示），另一种只写结果。贪心解码。差按题配对，区间对题目重抽样。",
        against="两步和更多步的题上，没有超出区间的提升。",
    ),
}
NAMES = {
    "starter": Text("starter, word problems", "入门模型，应用题"),
    "smollm2": Text("SmolLM2, sums", "SmolLM2，加法"),
}
SELDOM = 0.1
"""Share of right answers below which a model can hardly answer."""
MODES = {"steps": Text("with steps", "先写步骤"), "at once": Text("at once", "直接回答")}


def run(context: Context) -> Measured:
    """Answer everything in both modes, one part a model: {model: {steps: {mode: {"right", "tokens"}}}}."""
    return {
        "starter": context.once("starter", word_problems, context),
        "smollm2": context.once("smollm2", sums, context),
    }


def word_problems(context: Context) -> dict[str, Any]:
    """The starter's answers to word problems."""
    loaded = load(context.home("starter"))
    measured = {}
    for steps, kind in STEPS["starter"].items():
        tasks = select_tasks((kind,), 3 if context.quick else EACH, seed=1)
        measured[f"{steps}"] = {mode: outcome(answer(loaded, tasks, think=mode == "steps")) for mode in MODES}
    return measured


def sums(context: Context) -> dict[str, Any]:
    """SmolLM2's answers to sums."""
    loaded = load(context.home("smollm2", "smollm2"))
    measured = {}
    for steps in (1, 2) if context.quick else STEPS["smollm2"]:
        rng = random.Random(f"sums {steps}")
        drawn = [
            tuple(rng.randint(1, 9) for _ in range(steps + 1)) for _ in range(2 if context.quick else SUMS)
        ]
        measured[f"{steps}"] = {
            mode: outcome(
                answer(
                    loaded, [sum_task(numbers, mode) for numbers in drawn], think=False, max_new_tokens=LIMIT
                )
            )
            for mode in MODES
        }
    return measured


def sum_task(numbers: Sequence[int], mode: str) -> Task:
    """A sum as a task, after the worked examples."""
    messages = []
    for example in EXAMPLES:
        messages += [
            {"role": "user", "content": question(example)},
            {"role": "assistant", "content": worked(example, mode)},
        ]
    messages.append({"role": "user", "content": question(numbers)})
    checks = {"correct": [{"checker": "number", "value": sum(numbers)}]}
    return Task("sum", "en", tuple(messages), worked(numbers, mode), checks)


def question(numbers: Sequence[int]) -> str:
    """What a sum is asked as."""
    return f"What is {' + '.join(map(str, numbers))}?"


def worked(numbers: Sequence[int], mode: str) -> str:
    """A sum's right answer, with its intermediate sums or without."""
    lines, total = [], numbers[0]
    for number in numbers[1:]:
        lines.append(f"{total} + {number} = {total + number}")
        total += number
    return "\n".join([*(lines if mode == "steps" else []), f"The answer is {total}."])


def outcome(answers: Sequence[EvaluatedAnswer]) -> dict[str, list[int]]:
    """Whether each answer is right, and how many tokens it took, its steps and END included."""
    return {
        "right": [int(each.correct) for each in answers],
        "tokens": [len(each.completion_ids) for each in answers],
    }


def one_step_caveat(measured: Measured) -> Text:
    """Says that the starter cannot do without steps at all, if so; else empty."""
    right = measured["starter"]["1"]["at once"]["right"]
    if intervals.share_of(right).high >= SELDOM:
        return Text("", "")
    return Text(
        " The starter can hardly answer even one step at once, so that its gain says little about the number of steps.",
        "入门模型连一步的题也几乎不能直接答对，所以它的提升说明不了步数的影响。",
    )


def in_plain_words(measured: Measured, right: Mapping[str, Sequence[tuple[str, str, str]]]) -> Text:
    """The headline; `right`: by model, the numbers of steps with right answers of 100, at once and with steps."""
    caveat, english, chinese = one_step_caveat(measured), [], []
    for model, ((steps, at_once, with_steps), *others) in right.items():
        name = NAMES[model]
        first = f"{steps} {'step' if steps == '1' else 'steps'}: {at_once} at once and {with_steps} with written steps"
        rest = [f"of {steps}: {at_once} and {with_steps}" for steps, at_once, with_steps in others]
        english.append(f"{name.en[0].upper()}{name.en[1:]} of {'; '.join([first, *rest])}.")
        each = [
            f"{steps} 步题直接答对 {at_once}、写步骤 {with_steps}"
            for steps, at_once, with_steps in right[model]
        ]
        chinese.append(f"{name.zh}：{'，'.join(each)}。")
    return Text(
        f"Right answers of 100. {' '.join(english)}{caveat.en}",
        f"每 100 道题答对多少。{''.join(chinese)}{caveat.zh}",
    )


def report(measured: Measured) -> Report:
    """Right answers and tokens of both modes by the number of steps, and their differences."""
    rows: list[list[Text | str]] = []
    conditions: list[Condition] = []
    findings = []
    plain: dict[str, list[tuple[str, str, str]]] = {}
    for model, by_steps in measured.items():
        for steps, modes in by_steps.items():
            right = {mode: intervals.share_of(each["right"]) for mode, each in modes.items()}
            tokens = {mode: intervals.mean(each["tokens"]) for mode, each in modes.items()}
            gain = intervals.difference(modes["at once"]["right"], modes["steps"]["right"])
            if int(steps) > 1:
                conditions.append(
                    Condition(
                        Text(
                            f"Steps help beyond the interval: {NAMES[model].en} of {steps} steps.",
                            f"写步骤的帮助超出区间：{NAMES[model].zh} {steps} 步。",
                        ),
                        gain.low > 0,
                    )
                )
                findings.append((model, steps, gain.points))
            counts = [right[mode].of_hundred for mode in ("at once", "steps")]
            plain.setdefault(model, []).append((steps, *counts))
            rows.append(
                [
                    NAMES[model],
                    steps,
                    right["at once"].percent,
                    right["steps"].percent,
                    gain.points,
                    f"{tokens['at once']}",
                    f"{tokens['steps']}",
                ]
            )
    return Report(
        verdict=verdict_of(conditions),
        conditions=conditions,
        plain=in_plain_words(measured, plain),
        finding=Text(
            "Points gained by steps: "
            + "; ".join(f"{NAMES[model].en} of {steps} steps {points}" for model, steps, points in findings)
            + ".",
            "写步骤的提升（百分点）："
            + "；".join(f"{NAMES[model].zh} {steps} 步 {points}" for model, steps, points in findings)
            + "。",
        ),
        head=[
            Text("Model", "模型"),
            Text("Steps", "步数"),
            Text("right at once", "直接答对"),
            Text("right with steps", "写步骤答对"),
            Text("gain, points", "提升，百分点"),
            Text("tokens at once", "直接回答的词元"),
            Text("tokens with steps", "写步骤的词元"),
        ],
        rows=rows,
    )


def draw(measured: Measured, figure: Figure, language: Language) -> None:
    """Right answers by the number of steps, one panel a model."""
    for axes, (model, by_steps) in zip(figure.subplots(1, 2, sharey=True), measured.items(), strict=True):
        for (mode, name), colour in zip(MODES.items(), (plots.GREEN, plots.ORANGE), strict=True):
            shares = [intervals.share_of(modes[mode]["right"]) for modes in by_steps.values()]
            plots.line(axes, list(map(int, by_steps)), shares, name.of(language), colour, scale=100)
        axes.set(
            title=NAMES[model].of(language),
            xlabel=Text("steps of the problem", "题目的步数").of(language),
            xticks=list(map(int, by_steps)),
            ylim=(-2, 102),
        )
    figure.axes[0].set_ylabel(Text("right, %", "答对，%").of(language))
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)

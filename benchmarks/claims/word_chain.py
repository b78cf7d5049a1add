"""Word chain: one question at temperature 1, fifty times. How many answers differ, and how unsure is each position?"""

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import zip_longest
from statistics import fmean
from typing import Any

import torch
from matplotlib.figure import Figure

from alignment.corrections.anchors import expectations
from alignment.evaluation.answering import served_prompt
from alignment.generation import generate
from alignment.suites.starter_suite import select_tasks
from assistant.bases.built_in_cards import SMOLLM2_CARD
from assistant.serving import prompt
from assistant.serving.loading import Loaded, end_tokens
from benchmarks.claims import intervals, plots
from benchmarks.claims.claim import ClaimTexts, Condition, Language, Measured, Report, Text, verdict_of
from benchmarks.claims.context import Context, load

TIMES, LIMIT = 50, 192
KINDS = ("addition", "comparison", "concept", "division", "identity", "outside", "smalltalk", "word_two_step")
POSITIONS = 24
"""First positions whose entropy is shown: few of the starter's answers are longer."""
ROWS_AT_ONCE = 25
"""Answers whose distributions are held at once: SmolLM2's take 5 MB each."""

TEXTS = {
    "en": ClaimTexts(
        claim="A language model is a word chain: it has a distribution over the next token, draws one, appends it, "
        "and goes on until it draws END. So the same question gets different answers.",
        done="The starter got 16 questions (one held-out task of eight kinds in each language) and SmolLM2 the four "
        "examples of its card, 50 times each at temperature 1, without thinking, up to 192 tokens. The entropy is "
        "that of the whole distribution from which a token was drawn. The 50 answers make 25 pairs that share no "
        "answer; how many of them differ is a share. Intervals resample questions: of four they say little.",
        against="Fifty equal answers to most questions; most answers going on to the limit instead of drawing END; or "
        "different answers at temperature 0, where nothing is drawn.",
    ),
    "zh": ClaimTexts(
        claim="语言模型就是文字接龙：它给出下一个词元的概率分布，抽一个接上去，再抽下一个，直到抽到“结束”。"
        "所以同一个问题会得到不同的回答。",
        done="入门模型回答 16 个问题（八类留出题，中英文各一道），SmolLM2 回答说明卡上的四个例子，"
        "每个问题在温度 1 下各问 50 次，不思考，最多 192 个词元。熵是抽取每个词元时整个分布的熵。"
        "50 个回答两两配成 25 对，没有回答重复使用；看其中多少对不同。"
        "区间对问题重抽样；只有四个问题时，区间说明不了多少。",
        against="多数问题的 50 个回答都一样；多数回答一直写到上限也不抽“结束”；或者温度为 0、什么也不抽时，"
        "回答仍然不同。",
    ),
}
NAMES = {
    "starter": Text("starter, 4.9M", "入门模型，4.9M"),
    "smollm2": Text("SmolLM2, 135M", "SmolLM2，135M"),
}


def run(context: Context) -> Measured:
    """Ask both models' questions, one part a question."""
    return {model: ask_all(context, model) for model in NAMES}


def ask_all(context: Context, model: str) -> list[dict[str, Any]]:
    """What the answers to each of a model's questions were."""
    if model == "smollm2":
        questions = list(SMOLLM2_CARD.texts["en"].examples)
    else:
        questions = [task.question for task in select_tasks(KINDS, each=1, seed=1)]
    times, limit = (6, 16) if context.quick else (TIMES, LIMIT)

    @cache
    def loaded() -> Loaded:
        return load(context.home(model, model))

    return [
        context.once(f"{model}-{number}", lambda text=question: ask(loaded(), text, times, limit))
        for number, question in enumerate(questions[: 2 if context.quick else None], 1)
    ]


def ask(loaded: Loaded, question: str, times: int, limit: int) -> dict[str, Any]:
    """Ask one question `times` times at temperature 1, and twice at temperature 0."""
    prompt_ids = served_prompt(loaded, [{"role": "user", "content": question}], False, limit)
    ends = end_tokens(loaded.model, loaded.tokenizer)
    drawn = generate(loaded.model, [prompt_ids] * times, [limit] * times, ends, 1.0, range(times))
    greedy = generate(loaded.model, [prompt_ids] * 2, [limit] * 2, ends)
    texts = [prompt.decode(loaded.tokenizer, ids) for ids in drawn]
    return {
        "question": question,
        "times": times,
        "different": len(set(texts)),
        "pairs": times // 2,
        "pairs_differ": sum(first != second for first, second in zip(texts[::2], texts[1::2], strict=True)),
        "ended": sum(ids[-1] in ends for ids in drawn),
        "greedy_differ": greedy[0] != greedy[1],
        "entropy": entropies(loaded, prompt_ids, drawn),
        "commonest": Counter(texts).most_common(3),
    }


@torch.no_grad()
def entropies(loaded: Loaded, prompt_ids: list[int], answers: Sequence[list[int]]) -> list[float]:
    """The entropy of the next token in nats by its position, as the mean over the answers that are that long."""
    by_answer = []
    for start in range(0, len(answers), ROWS_AT_ONCE):
        rows = [(prompt_ids, ids[:POSITIONS]) for ids in answers[start : start + ROWS_AT_ONCE]]
        for expected in expectations(loaded.model, rows):
            by_answer.append((-(expected.exp() * expected).sum(-1)).tolist())
    positions = zip_longest(*by_answer)
    return [
        round(sum(kept) / len(kept), 4)
        for kept in ([value for value in position if value is not None] for position in positions)
    ]


def report(measured: Measured) -> Report:
    """How many answers differ, how many pairs do, and how many answers end."""
    rows, ends = [], {}
    for model, questions in measured.items():
        times = questions[0]["times"]
        different = intervals.mean([question["different"] for question in questions])
        # Answers to one question are alike, so that questions are resampled, and not answers.
        pairs, ended = (
            intervals.mean([question[count] / question[of] for question in questions])
            for count, of in (("pairs_differ", "pairs"), ("ended", "times"))
        )
        ends[NAMES[model]] = ended
        entropy = intervals.mean([fmean(question["entropy"]) for question in questions])
        rows.append(
            [
                NAMES[model],
                f"{len(questions)}",
                f"{different} / {times}",
                pairs.percent,
                ended.percent,
                f"{entropy}",
            ]
        )
    every = [question for questions in measured.values() for question in questions]
    several = sum(question["different"] > 1 for question in every)
    at_zero = sum(question["greedy_differ"] for question in every)
    conditions = [
        Condition(
            Text(
                "Most questions get different answers at temperature 1.",
                "温度 1 时，多数问题得到不同的回答。",
            ),
            several > len(every) / 2,
        ),
        Condition(
            Text(
                "No question gets different answers at temperature 0.", "温度 0 时，没有问题得到不同的回答。"
            ),
            at_zero == 0,
        ),
        Condition(
            Text("Most answers of each model end by END.", "每个模型的多数回答以“结束”收尾。"),
            all(share.value > 0.5 for share in ends.values()),
        ),
    ]
    return Report(
        # Without different answers there is no chance in it, whatever the others say.
        verdict=verdict_of(conditions) if conditions[0].is_met else "not held",
        conditions=conditions,
        plain=Text(
            f"Of {len(every)} questions that were asked {every[0]['times']} times over, {several} got different "
            f"answers. With drawing switched off (temperature 0), {at_zero or 'none'} did.",
            f"{len(every)} 个问题各问 {every[0]['times']} 遍，{several} 个得到了不同的回答；"
            + (f"不抽样（温度 0）时有 {at_zero} 个。" if at_zero else "不抽样（温度 0）时一个也没有。"),
        ),
        finding=Text(
            f"{several} of {len(every)} questions got more than one answer at temperature 1, and {at_zero} at "
            f"temperature 0. Ended by END: "
            + "; ".join(f"{name.en} {share.percent}" for name, share in ends.items())
            + ".",
            f"温度为 1 时，{len(every)} 个问题中有 {several} 个得到不止一种回答；温度为 0 时有 {at_zero} 个。"
            "以“结束”收尾：" + "；".join(f"{name.zh} {share.percent}" for name, share in ends.items()) + "。",
        ),
        head=[
            Text("Model", "模型"),
            Text("Questions", "问题数"),
            Text("Different answers to a question", "一个问题的不同回答数"),
            Text("Two answers differ", "两个回答不同"),
            Text("Ended by END", "以“结束”收尾"),
            Text("Entropy of a token, first 24, nats", "前 24 个词元的平均熵（奈特）"),
        ],
        rows=rows,
    )


def draw(measured: Measured, figure: Figure, language: Language) -> None:
    """Entropy by position, and the different answers to each question."""
    left, right = figure.subplots(1, 2)
    place = 0
    for (model, questions), colour in zip(measured.items(), plots.COLOURS, strict=False):
        positions = zip_longest(*(question["entropy"] for question in questions))
        # A mean over one question has no interval.
        several = [[value for value in position if value is not None] for position in positions]
        means = [intervals.mean(values) for values in several if len(values) > 1]
        plots.line(left, range(1, len(means) + 1), means, NAMES[model].of(language), colour)
        counts = sorted(question["different"] for question in questions)
        right.barh(range(place, place + len(counts)), counts, color=colour, label=NAMES[model].of(language))
        place += len(counts) + 1
    left.set(
        xlabel=Text("position of the token in the answer", "词元在回答中的位置").of(language),
        ylabel=Text("how undecided: entropy, nats", "有多不确定：熵（奈特）").of(language),
        ylim=(0, None),
    )
    times = next(iter(measured.values()))[0]["times"]
    right.set(
        xlabel=Text(f"different answers of {times}", f"{times} 个回答中有几种").of(language),
        ylabel=Text("question", "问题").of(language),
        yticks=[],
        xlim=(0, times),
    )
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)

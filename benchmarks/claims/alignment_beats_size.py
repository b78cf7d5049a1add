"""Alignment against size: an aligned model of 1.2M parameters and an unaligned one of 4.9M answer the same tasks."""

import itertools
import random
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.figure import Figure
from peft import PeftModel

from alignment.data.token_pairs import TokenPair
from alignment.evaluation.answering import EvaluatedAnswer
from alignment.generation import generate
from alignment.stages import dpo
from alignment.stages.sft import SFTRecipe
from alignment.starter import corpus, suite_files
from alignment.suites.starter_suite import select_tasks, starter_kinds
from alignment.suites.task_file import Task, judge
from alignment.training.sizes import for_size
from assistant.bases.base import STARTER_FOLDER
from assistant.serving import prompt
from assistant.serving.loading import Loaded, end_tokens
from benchmarks.claims import intervals, plots
from benchmarks.claims.claim import ClaimTexts, Condition, Language, Measured, Report, Text, verdict_of
from benchmarks.claims.context import Context
from benchmarks.claims.intervals import Interval
from benchmarks.claims.small_models import (
    DECLINED,
    KIND_NAMES,
    TALK,
    answer_tasks,
    demonstrations,
    fine_tune_adapter,
    keep_model,
    kinds_by_share,
    precise,
    ready,
    shared_base,
    tokenizer,
    without_checkpoints,
)

ROWS, EACH, LIMIT, SHOTS = 6_000, 16, 240, 2
PRACTICE_EACH, TRIES = 12, 4
AT_ONCE = 64
HEADINGS = {"en": ("worked example", "notes"), "zh": ("例题", "笔记")}
"""Of the sections of raw text that hold questions with their steps, and questions without."""

TEXTS = {
    "en": ClaimTexts(
        claim="Ouyang et al. (2022, InstructGPT) found that people prefer the answers of an aligned model of 1.3 "
        "billion parameters to those of an unaligned one of 175 billion. Training towards what people want does more "
        "for the answers than more parameters do.",
        done="The unaligned model is the starter's base: 4.9M parameters, 14 million tokens of raw text. It is asked "
        "as the app asks, and once more as its own raw text goes on: after two solved questions of the same kind and "
        "language (prompted, as the paper prompts GPT-3). The aligned model has 1.2M parameters and read a million "
        "tokens; the stage `sft` taught it 6,000 demonstrations, and `dpo` pairs of its own answers, sampled on 408 "
        "tasks of the training side, one right and one wrong each. Three seeds; 544 held-out tasks of 17 kinds each, "
        "greedy. The judge is a checker that sees the answer and not whose it is. Shares have Wilson's intervals; "
        "differences resample tasks.",
        against="An aligned small model that gets no more held-out tasks right than the large one that is asked in the "
        "same way: then it did not hold. Or no more than that one prompted by two examples: then it held in part.",
    ),
    "zh": ClaimTexts(
        claim="Ouyang 等人（2022，InstructGPT）发现，比起 1750 亿参数的未对齐模型，人更喜欢 13 亿参数的对齐模型的回答。"
        "朝着人想要的方向训练，对回答的帮助比更多的参数更大。",
        done="未对齐的模型是入门模型的基座：4.9M 参数，1400 万词元的原始文本。一次按应用的方式提问，"
        "一次照它读过的原始文本的样子，接在两道同类同语言、已解好的题之后（像论文提示 GPT-3 那样）。"
        "对齐的模型有 1.2M 参数，读过 100 万词元；`sft` 阶段教它 6,000 条示范，`dpo` 阶段用它自己的成对回答："
        "在训练一侧的 408 道题上抽样，每对一个对、一个错。三个种子，各 17 类 544 道留出任务，贪心解码。"
        "裁判是检查器，只看回答，不知道是谁答的。比例用 Wilson 区间，差对任务重抽样。",
        against="对齐的小模型答对的留出任务并不比用同样方式提问的大模型多：那就不成立。或者并不比先看两个例子的大模型多："
        "那就部分成立。",
    ),
}
NAMES = {
    "large": Text("4.9M, unaligned", "4.9M，未对齐"),
    "large-prompted": Text("4.9M, unaligned, prompted by two examples", "4.9M，未对齐，先给两个例子"),
    "small": Text("1.2M, unaligned", "1.2M，未对齐"),
    "small-sft": Text("1.2M, SFT", "1.2M，SFT"),
    "small-aligned": Text("1.2M, SFT and DPO", "1.2M，SFT 和 DPO"),
}
ALIGNED, LARGE = "small-aligned", ("large", "large-prompted")
"""The kind of questions that are answered right by declining them."""
COLOURS = {
    "large": plots.GREY,
    "large-prompted": plots.ORANGE,
    "small": plots.BLUE,
    "small-sft": plots.BLUE,
    ALIGNED: plots.GREEN,
}


def run(context: Context) -> Measured:
    """Train and ask, one part a model and a seed."""
    return {
        "kinds": [task.kind for task in tasks_of(context, 1)],
        "right": {
            model: [context.once(f"{model}-{seed}", ask, context, model, seed) for seed in context.seeds]
            for model in NAMES
        },
        "pairs": [len(pairs_of(context, seed)) for seed in context.seeds],
    }


def tasks_of(context: Context, seed: int) -> list[Task]:
    """A seed's held-out tasks; their kinds are in the same order for every seed."""
    return select_tasks(starter_kinds(), 1 if context.quick else EACH, seed)


def ask(context: Context, model: str, seed: int) -> list[int]:
    """For each of the seed's tasks, whether the model answers it right: 1 or 0."""
    tasks, loaded = tasks_of(context, seed), ready(OPEN[model](context, seed))
    if model == "large-prompted":
        return ask_prompted(loaded, tasks, seed, limit_of(context))
    return [int(each.correct) for each in answer_tasks(loaded, tasks, limit_of(context))]


def ask_prompted(loaded: Loaded, tasks: Sequence[Task], seed: int, limit: int) -> list[int]:
    """The same, each task as the next section of a raw text."""
    rng, ends = random.Random(f"shots {seed}"), end_tokens(loaded.model, loaded.tokenizer)
    texts = [section_prompt(task, rng) for task in tasks]
    prompts = loaded.tokenizer(texts, add_special_tokens=False).input_ids
    right = [0] * len(tasks)
    order = sorted(range(len(tasks)), key=lambda place: len(prompts[place]))
    for start in range(0, len(order), AT_ONCE):
        batch = order[start : start + AT_ONCE]
        completions = generate(loaded.model, [prompts[place] for place in batch], [limit] * len(batch), ends)
        for place, ids in zip(batch, completions, strict=True):
            text = prompt.decode(loaded.tokenizer, [token for token in ids if token not in ends])
            reply = prompt.parse(text, think=True)
            right[place] = int(judge(tasks[place], reply.answer).correct)
    return right


def section_prompt(task: Task, rng: random.Random) -> str:
    """Sections of raw text as the starter's corpus has them: solved questions of the task's kind, then the task."""
    language: Language = "zh" if task.language == "zh" else "en"
    heading = HEADINGS[language][task.kind in TALK]
    sections = []
    for _ in range(SHOTS):
        drawn = corpus.task(rng, language, task.kind, "train")
        thought = "" if task.kind in TALK else f"<think>\n{drawn.thought}\n</think>\n\n"
        sections.append(
            f"<|im_start|>{heading}\n{_joined(drawn.messages)}\n{thought}{drawn.answer}<|im_end|>"
        )
    return "\n".join([*sections, f"<|im_start|>{heading}\n{_joined(task.messages)}\n"])


def _joined(messages: Sequence[dict[str, str]]) -> str:
    return "\n".join(message["content"] for message in messages)


def limit_of(context: Context) -> int:
    """Most tokens of an answer."""
    return 16 if context.quick else LIMIT


def with_sft(context: Context, seed: int) -> Any:
    """The 1.2M base with the adapter that SFT taught, trainable."""
    folder = context.folder / "models" / f"sft-{seed}"
    draw = kinds_by_share(corpus.ANSWERED_KINDS)
    rows = list(itertools.islice(demonstrations(seed, draw), 16 if context.quick else ROWS))
    # The starter's first course.
    recipe = SFTRecipe(optimizer="muon", learning_rate=6e-3, seed=seed, save_steps=200)
    base = shared_base(context, seed)
    keep_model(folder, lambda work: fine_tune_adapter(precise(base), rows, recipe, work))
    return PeftModel.from_pretrained(precise(base), str(folder), is_trainable=True)


def with_dpo(context: Context, seed: int) -> Any:
    """The model of `with_sft`, its adapter trained on pairs of its own answers."""
    model, pairs = with_sft(context, seed), pairs_of(context, seed)
    if not pairs:
        return model
    recipe = for_size(dpo.DPORecipe(seed=seed), "dpo", 1e6, new_adapter=False)
    work = context.folder / "work" / f"dpo-{seed}"
    without_checkpoints(work, dpo.train(model, tokenizer(), pairs, recipe, work))
    return model


OPEN: dict[str, Callable[[Context, int], Any]] = {
    "large": lambda context, seed: precise(STARTER_FOLDER / "base"),
    "large-prompted": lambda context, seed: precise(STARTER_FOLDER / "base"),
    "small": lambda context, seed: precise(shared_base(context, seed)),
    "small-sft": with_sft,
    "small-aligned": with_dpo,
}


def pairs_of(context: Context, seed: int) -> list[TokenPair]:
    """Pairs of the SFT model's own answers to tasks of the training side, sampled once."""
    rows = context.once(f"pairs-{seed}", sample_pairs, context, seed)
    return [TokenPair(**row) for row in rows]


def sample_pairs(context: Context, seed: int) -> list[dict[str, Any]]:
    """A right and a wrong one of several answers to each task, where there are both."""
    each = 1 if context.quick else PRACTICE_EACH
    tasks = suite_files.suite(starter_kinds(), each, seed, "train", "claims")
    loaded = ready(with_sft(context, seed))
    tries = [answer_tasks(loaded, tasks, limit_of(context), 1.0, number) for number in range(TRIES)]
    return [pair for answers in zip(*tries, strict=True) if (pair := pair_of(answers))]


def pair_of(answers: Sequence[EvaluatedAnswer]) -> dict[str, Any] | None:
    """The first right answer that ended, over the first wrong one; None where one of them is missing."""
    right = next((each for each in answers if each.correct and each.ended), None)
    wrong = next((each for each in answers if not each.correct and each.completion_ids), None)
    if right is None or wrong is None:
        return None
    return {
        "messages": list(right.task.messages),
        "prompt_ids": list(right.prompt_ids),
        "chosen_ids": list(right.completion_ids),
        "rejected_ids": list(wrong.completion_ids),
    }


def right_of(measured: Measured, model: str, kind: str | None = None) -> list[int]:
    """Whether each task of all seeds was answered right by a model, of one kind or of all."""
    return [
        right
        for seed in measured["right"][model]
        for right, of in zip(seed, measured["kinds"], strict=True)
        if kind in (None, of)
    ]


def accuracy(measured: Measured, model: str, kind: str | None = None) -> Interval:
    """The share of right answers."""
    right = right_of(measured, model, kind)
    return intervals.share_of(right)


def report(measured: Measured) -> Report:
    """Shares of right answers, and how often only the aligned model or only the large one is right."""
    mine = right_of(measured, ALIGNED)
    gains = [intervals.difference(right_of(measured, model), mine) for model in LARGE]
    plain, prompted = (accuracy(measured, model).percent for model in LARGE)
    pairs = list(zip(mine, right_of(measured, LARGE[0]), strict=True))
    only_mine, only_other = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    decided = only_mine + only_other
    wins = intervals.share(only_mine, decided).percent if decided else "–"
    rows: list[list[Text | str]] = []
    kinds: list[str | None] = [None, *dict.fromkeys(measured["kinds"])]
    for kind in kinds:
        name = Text("all kinds", "所有种类") if kind is None else KIND_NAMES[kind]
        rows.append([name, *(accuracy(measured, model, kind).percent for model in NAMES)])
    asked = [
        place for place, kind in enumerate(measured["kinds"] * len(measured["pairs"])) if kind != DECLINED
    ]
    answered = {
        model: intervals.share_of([right_of(measured, model)[place] for place in asked])
        for model in (ALIGNED, LARGE[0])
    }
    aligned, sft = accuracy(measured, ALIGNED).percent, accuracy(measured, "small-sft").percent
    counts = [str(count) for count in measured["pairs"]]
    conditions = [
        Condition(
            Text("It beats the large model that is asked in the same way.", "胜过用同样方式提问的大模型。"),
            gains[0].low > 0,
        ),
        Condition(
            Text(
                "It does so without the questions that are to be declined, too.",
                "不算应当婉拒的问题，也是如此。",
            ),
            answered[ALIGNED].low > answered[LARGE[0]].high,
        ),
        Condition(
            Text("It beats the large model that is shown two solved examples.", "胜过先看两道例题的大模型。"),
            gains[1].low > 0,
        ),
    ]
    return Report(
        # A small model that loses to the large one asked in the same way is enough against the claim.
        verdict=verdict_of(conditions) if conditions[0].is_met else "not held",
        conditions=conditions,
        plain=Text(
            f"Of 100 questions the small aligned model answers {accuracy(measured, ALIGNED).of_hundred} right, and "
            f"the unaligned one of four times its size {accuracy(measured, LARGE[0]).of_hundred}. Shown two solved "
            f"examples first, the large one answers {accuracy(measured, LARGE[1]).of_hundred} right. Before DPO, "
            f"the small one answers {accuracy(measured, 'small-sft').of_hundred}. "
            "Without the questions that are to be declined, the first two answer "
            f"{answered[ALIGNED].of_hundred} and {answered[LARGE[0]].of_hundred}.",
            f"100 个问题，对齐的小模型答对 {accuracy(measured, ALIGNED).of_hundred} 个，四倍大的未对齐模型答对 "
            f"{accuracy(measured, LARGE[0]).of_hundred} 个。先给大模型看两道解好的例题，它答对 "
            f"{accuracy(measured, LARGE[1]).of_hundred} 个。DPO 之前，小模型答对 "
            f"{accuracy(measured, 'small-sft').of_hundred} 个。不算应当婉拒的问题，前两个答对 "
            f"{answered[ALIGNED].of_hundred} 个和 {answered[LARGE[0]].of_hundred} 个。",
        ),
        finding=Text(
            f"The aligned 1.2M model is right on {aligned} of the tasks, the unaligned 4.9M one on {plain} "
            f"(a gain of {gains[0].points} points); where only one of them is right, it is the aligned one in {wins} "
            f"of {decided} tasks. Much of that is declining: without the questions that are to be declined it is "
            f"{answered[ALIGNED].percent} against {answered[LARGE[0]].percent}. Prompted by two examples, the "
            f"unaligned one is right on {prompted} ({gains[1].points} points). SFT alone reaches {sft}; DPO had "
            f"{', '.join(counts)} pairs.",
            f"对齐的 1.2M 模型答对 {aligned}，未对齐的 4.9M 模型答对 {plain}（相差 {gains[0].points} 个百分点）；"
            f"两者只有一个答对的 {decided} 道题中，答对的是对齐模型的占 {wins}。"
            f"其中很多是婉拒：不算应当婉拒的问题，是 {answered[ALIGNED].percent} 对 "
            f"{answered[LARGE[0]].percent}。"
            f"先给两个例子时，未对齐的答对 {prompted}"
            f"（{gains[1].points} 个百分点）。只做 SFT 答对 {sft}；DPO 用了 {'、'.join(counts)} 对。",
        ),
        head=[Text("Kind", "种类"), *NAMES.values()],
        rows=rows,
    )


def draw(measured: Measured, figure: Figure, language: Language) -> None:
    """Right answers of each model over all kinds, and by kind for the aligned and the large model."""
    left, right = figure.subplots(1, 2)
    breaks = {", prompted": ",\nprompted", "，先给": "，\n先给"}
    names = [name.of(language) for name in NAMES.values()]
    for before, after in breaks.items():
        names = [name.replace(before, after) for name in names]
    plots.rows(
        left, names, [accuracy(measured, model) for model in NAMES], [COLOURS[model] for model in NAMES], 100
    )
    kinds = list(dict.fromkeys(measured["kinds"]))
    for model, shift in (("large", -0.25), ("large-prompted", 0), (ALIGNED, 0.25)):
        colour = COLOURS[model]
        figures = [accuracy(measured, model, kind) for kind in kinds]
        heights = [place + shift for place in range(len(kinds))]
        right.plot(
            [100 * each.value for each in figures],
            heights,
            "o",
            ms=3.5,
            color=colour,
            label=NAMES[model].of(language),
        )
        for height, each in zip(heights, figures, strict=True):
            right.plot([100 * each.low, 100 * each.high], [height, height], color=colour, lw=1)
    right.set_yticks(range(len(kinds)), [KIND_NAMES[kind].of(language) for kind in kinds], fontsize=8)
    right.invert_yaxis()
    for place in range(0, len(kinds), 2):
        right.axhspan(place - 0.5, place + 0.5, color="#f2f2f2", lw=0, zorder=0)
    for axes in (left, right):
        axes.set(xlabel=Text("right answers, percent", "答对的百分比").of(language), xlim=(-3, 103))
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)

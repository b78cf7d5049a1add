"""Base and assistant: the same questions to the base, the SFT version and the aligned version. Who answers?"""

import re
from collections import Counter

import numpy as np
import torch
from matplotlib.figure import Figure

from alignment.generation import generate
from alignment.suites.starter_suite import select_tasks, starter_kinds
from alignment.suites.task_file import Task, judge
from assistant.registry.versions import Versions
from assistant.serving import prompt
from assistant.serving.loading import Loaded, end_tokens, load_base
from benchmarks.claims import intervals, plots
from benchmarks.claims.claim import ClaimTexts, Condition, Language, Measured, Report, Text, verdict_of
from benchmarks.claims.context import Context, load, run_stage
from benchmarks.loop.simulated_people import People, chat_and_rate

EACH, THUMBS, LIMIT, BATCH = 6, 150, 240, 128
FORMS = ("text", "chat")
DOES = ("answers right", "asks on", "something else")

TEXTS = {
    "en": ClaimTexts(
        claim="A base model continues a text. Asked a question, it may go on with more questions, because questions "
        "often follow questions. Supervised fine-tuning makes it answer; alignment makes it answer as people like.",
        done="The base has read notes, tables, and questions with their solutions. "
        "Per seed, 192 held-out questions (six of 16 kinds in each language) went to the starter's base, to v1 "
        "(SFT of that base) and to a version that `kto` trained on 150 simulated thumbs for v1's answers to word "
        "problems, one thumb in ten wrong; people like a right answer that names its unit. Each question was asked "
        "in two forms: as bare text, as in the base's training, and in the form of a chat, thinking. Greedy, up to "
        "240 tokens. Outside of its thought, a reply asks on if its first line is a question; else it answers right if "
        "it passes the task's checks; all else, wrong answers too, is something else.",
        against="The base answers as often as v1 does, in either form; or it never asks on; or the aligned version "
        "answers right less often than v1, beyond the intervals, or names the unit no more often.",
    ),
    "zh": ClaimTexts(
        claim="基座模型只会续写。你问它一个问题，它可能接着写出更多问题，因为文本里问题后面常常还是问题。"
        "监督微调让它学会回答，对齐让它按人们喜欢的方式回答。",
        done="基座读过笔记、表格和带解答的问题。"
        "每个种子用 192 道留出题（16 类，中英文各六道），分别问入门模型的基座、v1（对该基座做监督微调），"
        "以及一个对齐版本：`kto` 用 150 个模拟的赞踩训练，评的是 v1 对应用题的回答，十个里有一个评错；"
        "人们喜欢答对并写出单位的回答。每道题问两遍：一遍是裸文本，和基座训练时一样；一遍是对话格式，开启思考。"
        "贪心解码，最多 240 个词元。不算思考部分：回复的第一行是问句，就算接着提问；否则通过该题的检查就算答对；"
        "其余都算别的内容，答错也在内。",
        against="在任一形式中，基座回答得和 v1 一样多；或者它从不接着提问；"
        "或者对齐版本比 v1 答对得少，且超出区间，或写单位的次数没有变多。",
    ),
}
NAMES = {
    "base": Text("base", "基座"),
    "v1": Text("SFT, v1", "监督微调，v1"),
    "aligned": Text("aligned", "对齐"),
}
FORM_NAMES = {"text": Text("bare text", "裸文本"), "chat": Text("chat", "对话")}
ASKED_BY = {"text": Text("by bare text", "用裸文本"), "chat": Text("in a chat", "在对话中")}
DOES_NAMES = {
    "answers right": Text("answers right", "答对"),
    "asks on": Text("asks on", "接着提问"),
    "something else": Text("something else", "别的内容"),
}


def run(context: Context) -> Measured:
    """Align and ask, one part a seed and version: {seed: {version: {form: counts}}}."""
    measured: Measured = {}
    for seed in context.seeds:
        version = context.once(f"seed-{seed}/thumbs-and-kto", align, context, seed)
        measured[f"{seed}"] = {
            name: context.once(f"seed-{seed}/{name}", ask_all, context, seed, name, version) for name in NAMES
        }
    return measured


def align(context: Context, seed: int) -> str:
    """Let people chat with v1 and rate it, and train on their thumbs; returns the new version."""
    home = context.home(f"seed-{seed}")
    chat_and_rate(home, 24 if context.quick else THUMBS, People(), seed)
    return run_stage(
        "kto", home, f"--seed={seed}", *(["--epochs=1", "--min_steps=2"] if context.quick else [])
    )


def ask_all(context: Context, seed: int, name: str, aligned: str) -> dict[str, dict[str, int]]:
    """How often a version did what, by form."""
    home = context.home(f"seed-{seed}")
    if name == "base":
        loaded = load_base(Versions(home).open("v1").manifest.base, home, torch.float32)
    else:
        loaded = load(home, aligned if name == "aligned" else "v1")
    # A follow-up question alone, as text, says too little.
    kinds = [kind for kind in starter_kinds() if kind != "follow_up"]
    tasks = select_tasks(kinds, 1 if context.quick else EACH, seed)
    return {form: ask(loaded, tasks, form, 48 if context.quick else LIMIT) for form in FORMS}


def ask(loaded: Loaded, tasks: list[Task], form: str, limit: int) -> dict[str, int]:
    """How many replies do what, and how many of those to word problems name the unit."""
    tokenizer, counts = loaded.tokenizer, Counter({"replies": len(tasks)})
    prompts = [
        tokenizer(task.question, add_special_tokens=False).input_ids
        if form == "text"
        else prompt.render(tokenizer, task.messages, think=True)
        for task in tasks
    ]
    ends = end_tokens(loaded.model, tokenizer)
    for start in range(0, len(tasks), BATCH):
        batch = tasks[start : start + BATCH]
        completions = generate(loaded.model, prompts[start : start + BATCH], [limit] * len(batch), ends)
        for task, ids in zip(batch, completions, strict=True):
            reply = without_thought(prompt.decode(tokenizer, ids))
            verdict = judge(task, reply)
            counts[
                "asks on" if asks(reply) else "answers right" if verdict.correct else "something else"
            ] += 1
            counts["unit asked"] += verdict.has_unit is not None
            counts["unit named"] += bool(verdict.has_unit)
    return dict(counts)


def without_thought(text: str) -> str:
    """What a reply shows: without its thoughts, one that the limit cut off too, and without the question's own mark."""
    return re.sub(r"<think>.*?(</think>|$)", "", text.lstrip(" ?？"), flags=re.DOTALL).strip()


def asks(reply: str) -> bool:
    """Whether the first line is a question, as in a text that goes on with more questions."""
    return reply.partition("\n")[0].rstrip().endswith(("?", "？"))


def pooled(measured: Measured, name: str, form: str) -> Counter[str]:
    """A version's counts over all seeds."""
    return sum((Counter(seed[name][form]) for seed in measured.values()), Counter[str]())


def conditions_of(figures: dict[tuple[str, str, str], intervals.Interval]) -> list[Condition]:
    """What had to be seen, from the shares by form, version and what it does."""
    right = {(form, name): figures[form, name, "answers right"] for form in FORMS for name in NAMES}
    asked = {form: figures[form, "base", "asks on"] for form in FORMS}
    return [
        *(
            Condition(
                Text(
                    f"Asked {ASKED_BY[form].en}, v1 answers more right than the base.",
                    f"{ASKED_BY[form].zh}提问时，v1 答对的比基座多。",
                ),
                right[form, "base"].high < right[form, "v1"].low,
            )
            for form in FORMS
        ),
        Condition(
            Text(
                "The base asks on, instead of answering, more often than v1.",
                "基座比 v1 更常接着提问而不回答。",
            ),
            all(asked[form].low > figures["chat", "v1", "asks on"].high for form in FORMS),
        ),
        Condition(
            Text(
                "The aligned version answers no fewer right than v1, within the intervals.",
                "在区间之内，对齐版本答对的不比 v1 少。",
            ),
            right["chat", "aligned"].high >= right["chat", "v1"].low,
        ),
        Condition(
            Text(
                "The aligned version names the unit more often, as people like it.",
                "对齐版本更常写出单位，这正是人们喜欢的。",
            ),
            figures["chat", "aligned", "unit"].low > figures["chat", "v1", "unit"].high,
        ),
    ]


def report(measured: Measured) -> Report:
    """What each version does with each form, and whether the differences are beyond the intervals."""
    rows: list[list[Text | str]] = []
    figures: dict[tuple[str, str, str], intervals.Interval] = {}
    for form in FORMS:
        for name, text in NAMES.items():
            counts = pooled(measured, name, form)
            for does in DOES:
                figures[form, name, does] = intervals.share(counts[does], counts["replies"])
            unit = intervals.share(counts["unit named"], counts["unit asked"])
            figures[form, name, "unit"] = unit
            by_seed = ", ".join(
                f"{100 * seed[name][form].get('answers right', 0) / seed[name][form]['replies']:.0f}"
                for seed in measured.values()
            )
            cells = [figures[form, name, does].percent for does in DOES]
            rows.append([FORM_NAMES[form], text, *cells, by_seed, unit.percent])
    right = {(form, name): figures[form, name, "answers right"] for form in FORMS for name in NAMES}
    asked = {form: figures[form, "base", "asks on"] for form in FORMS}
    conditions = conditions_of(figures)
    return Report(
        verdict=verdict_of(conditions),
        conditions=conditions,
        plain=Text(
            f"Of 100 questions asked in a chat, the base answers {right['chat', 'base'].of_hundred} right, the version "
            f"taught to answer (v1) {right['chat', 'v1'].of_hundred}, and the one that simulated people's thumbs "
            f"trained on top {right['chat', 'aligned'].of_hundred}. Asked by bare text, as its own texts go on, the "
            f"base answers {right['text', 'base'].of_hundred} right and v1 {right['text', 'v1'].of_hundred}.",
            f"在对话里问 100 个问题，基座答对 {right['chat', 'base'].of_hundred} 个，学过回答的版本（v1）答对 "
            f"{right['chat', 'v1'].of_hundred} 个，再用模拟的人的赞踩训练过的版本答对 "
            f"{right['chat', 'aligned'].of_hundred} 个。像它读过的文本那样用裸文本问，基座答对 "
            f"{right['text', 'base'].of_hundred} 个，v1 答对 {right['text', 'v1'].of_hundred} 个。",
        ),
        finding=Text(
            f"Asked in a chat, thinking, the base answers right {right['chat', 'base'].percent}, v1 "
            f"{right['chat', 'v1'].percent}, the aligned version {right['chat', 'aligned'].percent}; asked by bare "
            f"text, the base {right['text', 'base'].percent} and v1 {right['text', 'v1'].percent}. The base asks on in "
            f"{asked['chat'].percent} of chats and {asked['text'].percent} of bare texts.",
            f"用对话格式问（开启思考）：基座答对 {right['chat', 'base'].percent}，v1 {right['chat', 'v1'].percent}，"
            f"对齐版本 {right['chat', 'aligned'].percent}；用裸文本问：基座 {right['text', 'base'].percent}，"
            f"v1 {right['text', 'v1'].percent}。基座接着提问的比例：对话 {asked['chat'].percent}，"
            f"裸文本 {asked['text'].percent}。",
        ),
        head=[
            Text("Asked as", "提问形式"),
            Text("Version", "版本"),
            *(DOES_NAMES[does] for does in DOES),
            Text("right by seed, %", "各种子答对，%"),
            Text("names the unit", "写出单位"),
        ],
        rows=rows,
    )


def draw(measured: Measured, figure: Figure, language: Language) -> None:
    """Bars of what each version does, one panel a form, with the interval of its right answers."""
    for axes, form in zip(figure.subplots(1, 2, sharey=True), FORMS, strict=True):
        left = np.zeros(len(NAMES))
        counts = [pooled(measured, name, form) for name in NAMES]
        for does, colour in zip(DOES, (plots.GREEN, plots.ORANGE, plots.GREY), strict=True):
            shares = np.array([100 * each[does] / each["replies"] for each in counts])
            names = [name.of(language) for name in NAMES.values()]
            axes.barh(names, shares, left=left, color=colour, label=DOES_NAMES[does].of(language))
            left += shares
        right = [intervals.share(each["answers right"], each["replies"]) for each in counts]
        for place, each in enumerate(right):
            axes.plot([100 * each.low, 100 * each.high], [place, place], color="black", lw=1.5, marker="|")
        axes.set(title=FORM_NAMES[form].of(language), xlabel="%", xlim=(0, 100))
    # The axis is shared.
    figure.axes[0].invert_yaxis()
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)

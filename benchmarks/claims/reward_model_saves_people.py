"""A reward model saves people: what ratings teach directly, and through a reward model that scores new answers."""

import random
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from alignment.evaluation.answering import answer
from alignment.scoring import reward_model
from alignment.starter.corpus import task
from alignment.starter.suite_files import suite_task
from alignment.starter.tasks.drawn_task import LANGUAGES
from alignment.suites.starter_suite import select_tasks
from alignment.suites.task_file import Task
from assistant.registry.versions import Versions
from assistant.serving import prompt
from assistant.serving.loading import load_tokenizer
from benchmarks.claims import intervals, plots
from benchmarks.claims.claim import ClaimTexts, Condition, Language, Measured, Report, Text, verdict_of
from benchmarks.claims.context import Context, load, run_stage
from benchmarks.loop.simulated_people import People, chat_and_rate, likes
from benchmarks.training.rated_home import rate_rows
from feedback_store import FeedbackStore

KIND = "word_one_step"
RATINGS = (50, 150, 500)
PROMPTS, ANSWERS, EACH = 250, 20, 100

TEXTS = {
    "en": ClaimTexts(
        claim="Rating is work. A reward model learns from few ratings what people like, and then rates as many new "
        "answers as one wants: from the same ratings more is learned through it than directly.",
        done="Simulated people chatted with v1 about one-step word problems, thinking, and gave 50, 150 and 500 "
        "thumbs, one in ten wrong; they like a right answer that names its unit. Directly: `kto` on these thumbs. "
        "Through a reward model: `reward` on the same thumbs scored 5,000 new answers of v1 (twenty to each of 250 "
        "new problems), and one pass of `kto` learned from the best and the worst of each twenty. Lift is the gain of "
        "liked greedy answers on 200 held-out problems a seed. Agreement is how often the reward model's score has the "
        "sign of the thumb that an answer of v1 to these problems deserves.",
        against="With few ratings, 50 and 150, nothing more learned through the reward model than directly: beyond the "
        "interval of the difference, and in every seed.",
    ),
    "zh": ClaimTexts(
        claim="评价要花力气。奖励模型从少量评价学会人们喜欢什么，然后想评多少新回答都行：同样的评价，"
        "经过它学到的比直接学到的多。",
        done="模拟的人和 v1 聊一步应用题（开启思考），分别给出 50、150、500 个赞踩，十个里有一个评错；"
        "人们喜欢答对并写出单位的回答。直接学：用这些赞踩做 `kto`。经奖励模型学：用同样的赞踩做 `reward`，"
        "给 v1 的 5000 个新回答打分（250 道新题，每题二十个），再用每二十个里最好和最差的做一遍 `kto`。"
        "提升是每个种子 200 道留出题上受喜欢的贪心回答增加了多少。一致率是奖励模型打分的正负与 v1 对这些题的"
        "回答应得的赞踩相同的比例。",
        against="评价很少（50 和 150 个）时，经奖励模型学到的并不比直接学到的多："
        "差值没有超出区间，或者不是每个种子都多。",
    ),
}
BEFORE = Text("before", "训练前")
WAYS = {"direct": Text("directly", "直接"), "through": Text("through a reward model", "经奖励模型")}


def run(context: Context) -> Measured:
    """Rate, train both ways and ask, part by part: {seed: {"v1", ratings: {"direct", "through", "agrees"}}}."""
    measured: Measured = {}
    for seed in context.seeds:
        part = f"seed-{seed}"
        home = context.home(part)
        result = {"v1": context.once(f"{part}/v1", liked, context, home, "v1", seed)}
        context.once(f"{part}/new-answers", new_answers, context, home, seed)
        for count in (16,) if context.quick else RATINGS:
            # The store grows: what comes after these ratings is trained before there are more.
            context.once(f"{part}/ratings-{count}", rate, home, count, seed)
            direct = context.once(f"{part}/kto-{count}", train, context, "kto", home, seed)
            judge = context.once(f"{part}/reward-{count}", train, context, "reward", home, seed)
            scored = context.home(f"{part}-scored-{count}")
            context.once(f"{part}/score-{count}", score, context, home, scored, judge, seed)
            through = context.once(
                f"{part}/kto-scored-{count}", train, context, "kto", scored, seed, "--epochs=1"
            )
            result[f"{count}"] = {
                "direct": context.once(f"{part}/direct-{count}", liked, context, home, direct, seed),
                "through": context.once(f"{part}/through-{count}", liked, context, scored, through, seed),
                "agrees": context.once(f"{part}/agrees-{count}", agrees, context, home, judge, seed),
            }
        measured[f"{seed}"] = result
    return measured


def rate(home: Path, count: int, seed: int) -> dict[str, int]:
    """Let people chat with v1 until the store has `count` thumbs; returns how many are up."""
    with FeedbackStore.open_home(home) as store:
        missing = count - sum(store.counts()["ratings"][side] for side in ("up", "down"))
    # The seed depends on the missing thumbs, so that no question comes twice.
    chat_and_rate(home, missing, People(kinds=(KIND,), answers=1), seed=1000 * seed + missing)
    with FeedbackStore.open_home(home) as store:
        ratings = store.counts()["ratings"]
    return {"up": ratings["up"], "of": ratings["up"] + ratings["down"]}


def train(context: Context, stage: str, home: Path, seed: int, *flags: str) -> str:
    """Train v1 on the ratings of a home; returns the new version."""
    quick = ["--epochs=1", "--min_steps=2"] if context.quick else []
    return run_stage(stage, home, "--parent=v1", f"--seed={seed}", *flags, *quick)


def held_out(context: Context, seed: int) -> list[Task]:
    """The problems on which everything is measured."""
    return select_tasks((KIND,), 4 if context.quick else EACH, seed)


def liked(context: Context, home: Path, version: str, seed: int) -> list[int]:
    """Whether people like each greedy answer to the held-out problems."""
    answers = answer(load(home, version), held_out(context, seed), think=True)
    return [int(likes(each.task, each.answer)) for each in answers]


def new_answers(context: Context, home: Path, seed: int) -> list[dict[str, Any]]:
    """v1's answers to new problems from the training side, drawn at temperature 1."""
    rng = random.Random(f"new answers {seed}")
    prompts, times = (6, 3) if context.quick else (PROMPTS, ANSWERS)
    tasks = [suite_task(task(rng, LANGUAGES[number % 2], KIND, "train")) for number in range(prompts)]
    loaded = load(home)
    replies = answer(loaded, [each for each in tasks for _ in range(times)], True, temperature=1.0, seed=seed)
    return [
        {
            "messages": list(each.messages),
            "replies": [
                {"thought": reply.thought, "answer": reply.answer}
                for reply in replies[times * number : times * (number + 1)]
            ],
        }
        for number, each in enumerate(tasks)
    ]


def score(context: Context, home: Path, scored: Path, judge: str, seed: int) -> dict[str, int]:
    """Score all new answers, and store the best and the worst to each problem with a thumb up and a thumb down."""
    version = Versions(home).open(judge)
    scorer, tokenizer = reward_model.load(version, home), load_tokenizer(version.manifest.base, home)
    rows = []
    asked = context.once(f"seed-{seed}/new-answers", new_answers, context, home, seed)
    for each in asked:
        prompt_ids = prompt.render(tokenizer, each["messages"], think=True)
        scores = scorer(
            [[*prompt_ids, *prompt.completion(tokenizer, **reply, think=True)] for reply in each["replies"]]
        )
        ranked = [
            reply for _, reply in sorted(zip(scores, each["replies"], strict=True), key=lambda pair: pair[0])
        ]
        sides = {"messages": each["messages"], "think": True, "right": ranked[-1], "wrong": ranked[0]}
        rows += [{**sides, "label": True}, {**sides, "label": False}] if max(scores) > min(scores) else []
    rate_rows(scored, "v1", tokenizer, rows)
    return {"scored": sum(len(each["replies"]) for each in asked), "rows": len(rows)}


def agrees(context: Context, home: Path, judge: str, seed: int) -> list[int]:
    """Whether the reward model's score of each drawn answer to the held-out problems has the right sign."""
    drawn = answer(load(home), held_out(context, seed), think=True, temperature=1.0, seed=seed)
    scorer = reward_model.load(Versions(home).open(judge), home)
    scores = scorer([[*each.prompt_ids, *each.completion_ids] for each in drawn])
    return [
        int((value > 0) == likes(each.task, each.answer)) for each, value in zip(drawn, scores, strict=True)
    ]


def pooled(measured: Measured, *path: str) -> list[int]:
    """The values at `path` of all seeds, one seed after the other."""
    values = []
    for seed in measured.values():
        for name in path:
            seed = seed[name]
        values += seed
    return values


def counts_of(measured: Measured) -> list[str]:
    """The numbers of ratings that were measured."""
    return [name for name in next(iter(measured.values())) if name != "v1"]


def report(measured: Measured) -> Report:
    """Lift both ways, their difference, and the reward model's agreement, by the number of ratings."""
    rows: list[list[Text | str]] = []
    before = pooled(measured, "v1")
    more: dict[str, intervals.Interval] = {}
    liked_after: dict[str, list[str]] = {}
    lifts: dict[str, list[list[float]]] = {}
    for count in counts_of(measured):
        direct, through = (pooled(measured, count, way) for way in WAYS)
        more[count] = intervals.difference(direct, through)
        liked_after[count] = [intervals.share_of(values).of_hundred for values in (direct, through)]
        agreement = pooled(measured, count, "agrees")
        lifts[count] = [
            [fmean(seed[count][way]) - fmean(seed["v1"]) for way in WAYS] for seed in measured.values()
        ]
        by_seed = "; ".join(" / ".join(f"{100 * value:+.0f}" for value in both) for both in lifts[count])
        rows.append(
            [
                count,
                intervals.difference(before, direct).points,
                intervals.difference(before, through).points,
                more[count].points,
                by_seed,
                intervals.share_of(agreement).percent,
            ]
        )
    conditions = [
        Condition(
            Text(
                f"With {count} ratings more is learned through the reward model than directly, in every seed.",
                f"{count} 个评价时，经奖励模型比直接学到的多，每个种子都是。",
            ),
            each.low > 0 and all(through > direct for direct, through in lifts[count]),
        )
        for count, each in list(more.items())[:2]
    ]
    share = intervals.share_of(before)
    return Report(
        verdict=verdict_of(conditions),
        conditions=conditions,
        plain=Text(
            f"Before, simulated people like {share.of_hundred} of 100 answers. After learning from their thumbs: "
            + "; ".join(
                f"{count} thumbs, {both[0]} directly and {both[1]} through a reward model that rates in their place"
                if count == next(iter(liked_after))
                else f"{count} thumbs, {both[0]} directly and {both[1]} through it"
                for count, both in liked_after.items()
            )
            + ".",
            f"训练前，100 个回答里模拟的人喜欢 {share.of_hundred} 个。"
            "从他们的赞踩学了以后："
            + "；".join(
                f"{count} 个赞踩，直接学 {both[0]} 个，经代人打分的奖励模型学 {both[1]} 个"
                for count, both in liked_after.items()
            )
            + "。",
        ),
        finding=Text(
            f"People like {share.percent} of v1's answers. Points more through the reward model than directly: "
            + "; ".join(f"{count} ratings {each.points}" for count, each in more.items())
            + ".",
            f"人们喜欢 v1 回答的 {share.percent}。经奖励模型比直接多提升的百分点："
            + "；".join(f"{count} 个评价 {each.points}" for count, each in more.items())
            + "。",
        ),
        head=[
            Text("Ratings", "评价数"),
            Text("lift directly, points", "直接的提升，百分点"),
            Text("lift through a reward model", "经奖励模型的提升"),
            Text("difference", "差值"),
            Text("both lifts by seed", "各种子的两种提升"),
            Text("agreement with held-out ratings", "与留出评价的一致率"),
        ],
        rows=rows,
    )


def draw(measured: Measured, figure: Figure, language: Language) -> None:
    """Liked answers by the number of ratings, both ways; and the reward model's agreement."""
    left, right = figure.subplots(1, 2)
    counts = counts_of(measured)
    places = list(map(int, counts))
    before = pooled(measured, "v1")
    for (way, name), colour in zip(WAYS.items(), (plots.ORANGE, plots.GREEN), strict=True):
        liked_answers = [pooled(measured, count, way) for count in counts]
        shares = [intervals.share_of(values) for values in liked_answers]
        plots.line(left, places, shares, name.of(language), colour, scale=100)
    left.axhline(100 * sum(before) / len(before), color=plots.GREY, ls=":", label=BEFORE.of(language))
    agreement = [pooled(measured, count, "agrees") for count in counts]
    shares = [intervals.share_of(values) for values in agreement]
    plots.line(right, places, shares, "", plots.BLUE, scale=100)
    left.set(ylabel=Text("liked answers, %", "受喜欢的回答，%").of(language), ylim=(0, 102))
    right.set(
        ylabel=Text("agreement with held-out ratings, %", "与留出评价的一致率，%").of(language),
        ylim=(40, 102),
    )
    for axes in (left, right):
        axes.set(
            xlabel=Text("ratings", "评价数").of(language), xscale="log", xticks=places, xticklabels=counts
        )
        axes.minorticks_off()
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)

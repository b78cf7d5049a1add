"""`docs/claims.md`, `docs/claims.zh.md` and what the tour shows, made from the results of all claims alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from assistant.page.i18n.languages import TOUR_LANGUAGES
from benchmarks.claims.claim import LANGUAGES, Language, Report, Text
from benchmarks.claims.plots import save
from feedback_store.atomic_files import write_atomically

Result = dict[str, Any]
"""A claim's file: what was measured, by which command, when, on which machine, and the log of its parts."""

FILES: dict[Language, str] = {"en": "claims.md", "zh": "claims.zh.md"}
PLOTS: dict[Language, str] = {"en": "{name}.svg", "zh": "{name}.zh.svg"}
SUMMARY = "summary.json"
"""Beside the results: what the tour shows of each, see `assistant.page.tour.claim_results`."""

TITLE = Text("The claims, measured", "逐条测量这些说法")
INTRODUCTION = Text(
    "Every claim about how a text predictor becomes an assistant can be put to the test here, on models that fit a "
    "laptop. `python -m benchmarks.claims` measures them all, `python -m benchmarks.claims NAME` one of them; "
    "what was measured lies in the folder `docs/claims`, and this page is made from it. Brackets hold 95 % intervals: "
    "Wilson's for shares, the bootstrap over tasks for means and differences, or over the three seeds where it is "
    "said, which are few. They say how far a figure might be off if other tasks had been asked; a new training run can "
    "differ by more, so that figures by seed stand beside them where that matters. Trained figures come from three "
    "seeds, each with data and held-out tasks of its own. Nothing "
    "was tuned on the tasks reported here. What had to be seen for a claim to hold stands below each, and whether it "
    "was (✓ or ✗): with all of it the claim held, with some of it in part, with none of it not; and where a "
    "model learned too little for the question to arise, the claim could not be tested. What "
    "would have spoken against a claim is told beside that: where one of it was seen, the claim held in part at best. "
    "[中文](claims.zh.md)",
    "一个会续写的模型怎样变成助手，关于这件事的每个说法都可以在这里检验，用的模型在笔记本电脑上就能跑。"
    "`python -m benchmarks.claims` 测量全部说法，`python -m benchmarks.claims NAME` 只测其中一个；"
    "测得的数据在文件夹 `docs/claims` 里，本页由它们生成。方括号里是 95% 区间：比例用 Wilson 法，"
    "均值和差用对任务（注明处是对三个种子，种子很少）的自助法。区间说的是换一批题会差多少；重新训练一次，差别可能更大，"
    "所以在要紧处另列各种子的数。凡是训练得来的数都用了三个种子，每个种子有自己的数据和留出任务。"
    "没有任何设置是在这里报告的任务上调出来的。每个说法下面列出它成立所需的条件，"
    "✓ 表示满足，✗ 表示不满足：全部满足就算成立，只满足一部分就算部分成立，"
    "全不满足就算不成立；如果模型学到的太少，谈不上成立与否，就算没能检验。旁边还写着什么情况会与它相反：看到了其中一种，最多算部分成立。[English](claims.md)",
)
WORDS = Text(
    "**Words.** *Pretraining* is reading raw text, which makes a *base*; *SFT* (supervised fine-tuning) is learning "
    "from questions with answers, the *demonstrations*; a *stage* is a command that trains; `kto` learns from thumbs, "
    "`dpo` from pairs of a better and a worse answer, and `rloo` from scores of its own answers (reinforcement). The "
    "*starter* is the model of 4.9 million parameters that is made here from nothing; *v1* is the starter after SFT. "
    "An *adapter* is the small part of a model that is trained while the rest stays as it is, and its *rank* says how "
    "large that part is. *Warm-up* is the share of training in which the learning rate rises. A *seed* fixes every "
    "random draw, so that three seeds are three trainings. A *greedy* answer takes the likeliest token each time; a "
    "*drawn* one takes each as often as its probability says, which a low *temperature* sharpens. *pass@8* is the "
    "share of tasks that at least one of eight drawn answers solves. *Nats* measure surprise: at 0.7 nats a token had "
    "a probability of a half. *Held-out* texts and tasks are those that training never saw. *Lift* is what was "
    "gained.",
    "**用词。** *预训练*是读原始文本，得到*基座*；*SFT*（监督微调）是从带回答的问题（*示范*）里学；*阶段*是训练用"
    "的命令；`kto` 从赞踩学，`dpo` 从一好一差的回答对学，`rloo` 从自己的回答得到的分数学（强化）。*入门模型*是这"
    "里从零做出来的 490 万参数的模型，*v1* 是做过 SFT 的入门模型。*适配器*是模型里被训练的一小部分，其余不动，*秩"
    "*是它的大小。*预热*是学习率上升的那段训练。*种子*决定每次随机抽取，三个种子就是三次训练。*贪心*回答每次取概"
    "率最大的词元；*抽取*的回答按概率抽，*温度*越低越集中。*pass@8* 是抽八个回答至少有一个答对的任务比例。*奈特*"
    "衡量意外程度：0.7 奈特相当于概率一半。*留出*的文本和任务是训练从没见过的。*提升*是增加了多少。",
)
TOOK = Text(
    "All of it took {minutes:.0f} minutes of processor time; what each claim took stands below its table.",
    "全部测量用了 {minutes:.0f} 分钟处理器时间，每个说法用了多久写在它的表格下面。",
)
QUICK = Text(
    '**A quick run: far too small to say anything. It only shows that the program works. The sizes under "What was '
    'done" are those of a full run.**',
    "**这是快速运行，规模太小，说明不了什么，只用来确认程序能跑通。“做了什么”里的数量是完整运行的。**",
)
HEAD = (Text("Claim", "说法"), Text("Did it hold?", "成立吗？"), Text("What was seen", "看到了什么"))
VERDICTS = {
    "held": Text("It held.", "成立。"),
    "partly": Text("It held in part.", "部分成立。"),
    "not held": Text("It did not hold.", "不成立。"),
    "untested": Text("It could not be tested.", "没能检验。"),
}
FIGURES = Text("The figures that decide.", "关键数字。")
MARKS = {True: "✓", False: "✗"}
CLAIM = Text("The claim.", "说法。")
DONE = Text("What was done.", "做了什么。")
AGAINST = Text("What would have spoken against it.", "什么结果是反证。")
MADE = Text(
    "`{command}`, {date}, {cores} cores of an {cpu}, {minutes} minutes of processor time.",
    "`{command}`，{date}，{cpu}，{cores} 核，处理器时间 {minutes} 分钟。",
)
MISSING = Text("Not measured yet: `{command}`.", "尚未测量：`{command}`。")


def command(name: str) -> str:
    """The command that measures a claim."""
    return f"python -m benchmarks.claims {name}"


def read_results(folder: Path, names: Sequence[str]) -> dict[str, Result]:
    """The results that are there, by claim."""
    paths = {name: folder / f"{name}.json" for name in names}
    return {
        name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()
    }


def make_reports(claims: Mapping[str, ModuleType], results: Mapping[str, Result]) -> dict[str, Report]:
    """The reports of the results, by claim: summary and documents are made from one set."""
    return {name: claims[name].report(result["measured"]) for name, result in results.items()}


def write(docs: Path, claims: Mapping[str, ModuleType]) -> None:
    """Draw every plot, and write summary and documents below `docs`, from the results in its folder `claims`."""
    results = read_results(docs / "claims", list(claims))
    reports = make_reports(claims, results)
    for language in LANGUAGES:
        for name, result in results.items():
            claim, measured = claims[name], result["measured"]
            plot = docs / "images" / "claims" / PLOTS[language].format(name=name)
            save(lambda figure, c=claim, m=measured, of=language: c.draw(m, figure, of), plot)
        write_atomically(docs / FILES[language], document(claims, results, reports, language))
    (docs / "claims").mkdir(exist_ok=True)
    text = json.dumps(summary(results, reports), ensure_ascii=False, indent=1)
    write_atomically(docs / "claims" / SUMMARY, text + "\n")


def summary(results: Mapping[str, Result], reports: Mapping[str, Report]) -> dict[str, Any]:
    """Of each measured claim, by its name: verdict, plain words, conditions and figures by language, command, date."""
    return {
        name: {
            "verdict": report.verdict,
            "conditions": [
                {"is_met": condition.is_met, **{code: condition.text.of(code) for code in LANGUAGES}}
                for condition in report.conditions
            ],
            "plain": {language: _spaced(report.plain.of(language), language) for language in LANGUAGES},
            "finding": {language: _spaced(report.finding.of(language), language) for language in LANGUAGES},
            "command": results[name]["command"],
            "date": results[name]["date"],
        }
        for name, report in reports.items()
    }


def document(
    claims: Mapping[str, ModuleType],
    results: Mapping[str, Result],
    reports: Mapping[str, Report],
    language: Language,
) -> str:
    """The whole document, in Markdown: all claims in one table, then a section each."""
    quick = any(result["quick"] for result in results.values())
    overview = [[text.of(language) for text in HEAD]]
    for name in claims:
        title = f"[{TOUR_LANGUAGES[language].titles[name]}](#{name.replace('_', '-')})"
        if report := reports.get(name):
            overview.append([title, VERDICTS[report.verdict].of(language), report.plain.of(language)])
        else:
            overview.append([title, "", MISSING.of(language).format(command=command(name))])
    parts = [
        f"# {TITLE.of(language)}",
        INTRODUCTION.of(language),
        WORDS.of(language),
        TOOK.of(language).format(minutes=sum(result["minutes"] for result in results.values())),
        *([QUICK.of(language)] if quick else []),
        table(overview),
        *(
            section(name, claim, results.get(name), reports.get(name), language)
            for name, claim in claims.items()
        ),
    ]
    return _spaced("\n\n".join(parts), language) + "\n"


def section(
    name: str, claim: ModuleType, result: Result | None, report: Report | None, language: Language
) -> str:
    """One claim: what it says, what came out, the plot and the table, and how it was measured."""
    texts, title = claim.TEXTS[language], TOUR_LANGUAGES[language].titles[name]
    parts = [
        # The anchor is the claim's name in both languages.
        f'<a id="{name.replace("_", "-")}"></a>\n\n## {title}',
        f"**{CLAIM.of(language)}** {texts.claim}",
    ]
    if result is None or report is None:
        parts.append(MISSING.of(language).format(command=command(name)))
    else:
        cells = [[_cell(cell, language) for cell in row] for row in (report.head, *report.rows)]
        parts += [
            f"**{VERDICTS[report.verdict].of(language)}** {report.plain.of(language)}",
            "\n".join(
                f"- {MARKS[condition.is_met]} {condition.text.of(language)}"
                for condition in report.conditions
            ),
            f"**{FIGURES.of(language)}** {report.finding.of(language)}",
            f"![{title}](images/claims/{PLOTS[language].format(name=name)})",
            table(cells),
            MADE.of(language).format(**result, **result["machine"]),
        ]
    parts += [f"**{DONE.of(language)}** {texts.done}", f"**{AGAINST.of(language)}** {texts.against}"]
    return "\n\n".join(parts)


def table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first row is its head."""
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def _spaced(text: str, language: Language) -> str:
    """`text` with its percent signs as the language sets them: "5 %", in Chinese "5%"."""
    return text.replace(" %", "%") if language == "zh" else text


def _cell(cell: Text | str, language: Language) -> str:
    return cell.of(language) if isinstance(cell, Text) else cell

"""循环所说的话的中文：每一句英文及其译文。

What the loop says is written once, in English, where it is found out (`alignment`), and kept in homes for years. Each
sentence stands here with its Chinese; places in braces are filled with what stands there, itself in Chinese where it
is known. What is not here stays English.
"""

import re
from functools import cache

from assistant.page.i18n.error_chinese import ERRORS

_MEASURES = {
    "right, thinking": "答对（思考）",
    "right, no thinking": "答对（不思考）",
    "right, other kinds, thinking": "答对其他类题目（思考）",
    "names the unit, thinking": "写出单位（思考）",
    "wins by the reward model": "评分模型认为更好",
    "wins by the reward model {version}": "评分模型 {version} 认为更好",
    "ends": "回答写完",
    "is not empty": "回答不为空",
    "does not repeat itself": "没有重复",
    "keeps the language": "语言一致",
    "is not much longer": "没有长很多",
    "surprise at fixed texts": "对固定文本的意外程度",
    "KL on fixed texts": "固定文本上的 KL 散度",
    "held-out votes judged as people did (implicit reward)": "隐含奖励与留出评价一致",
}
_GATE = {
    "{measure} ({kind}): {difference} points {interval} on {prompts} prompts, {gained} gained, {lost} lost; {finding}":
        "{measure}（{kind}）：{difference} 个百分点 {interval}，共 {prompts} 题，得 {gained}，失 {lost}；{finding}",
    "{measure} ({kind}): {difference} {interval} on {prompts} prompts, {gained} gained, {lost} lost; {finding}":
        "{measure}（{kind}）：{difference} {interval}，共 {prompts} 题，得 {gained}，失 {lost}；{finding}",
    "better; p = {p}, needed {level}": "更好；p = {p}，要求 {level}",
    "not shown to be better; p = {p}, needed {level}": "没有证明更好；p = {p}，要求 {level}",
    "worse: the whole interval lies below zero": "变差：整个区间低于零",
    "worse: the whole interval lies below zero and reaches the margin of {margin}":
        "变差：整个区间低于零，并触及允许的限度 {margin}",
    "not worse than the margin of {margin}": "没有变差，超不出允许的限度 {margin}",
    "undecided: the interval holds both zero and the margin of {margin}":
        "无法判断：区间同时包含零和允许的限度 {margin}",
    "too few prompts: at least {count} must be answered by both": "题目太少：两个版本都要回答至少 {count} 题",
    "{verdict} {candidate} against {released} (look {number})":
        "{verdict}：第 {number} 次比较 {candidate} 与 {released}",
    "promote": "通过",
    "hold": "待定",
    "reject": "未通过",
    "primary": "必须变好",
    "guard": "不可变差",
}  # fmt: skip
_CYCLE = {
    "too little new feedback: {votes} new votes, {needed} are needed. {missing} more, and a cycle begins.":
        "新的反馈太少：有 {votes} 个新评价，需要 {needed} 个。再有 {missing} 个就会开始循环。",
    "no new candidate while a live comparison is under way": "在线对比进行时不训练新的候选版本",
    "going on with cycle {number}, which has not ended": "继续没有完成的第 {number} 次循环",
    "snapshot {snapshot}: {list}": "快照 {snapshot}：{list}",
    "of {version}'s answers {snapshot}: {list}": "关于 {version} 的回答 {snapshot}：{list}",
    "suspect: {rater}, {what}: {reasons}": "值得留意：{rater}，{what}：{reasons}",
    "report: {path}": "报告：{path}",
    "cycle {number}: {what}.": "第 {number} 次循环：{what}。",
    "cycle {number}: {what}": "第 {number} 次循环：{what}",
    "nothing was released: {why}": "没有发布新版本：{why}",
    "{version} is released": "已发布 {version}",
    "{version} serves a share of conversations, and people's thumbs decide":
        "{version} 先服务一部分对话，由用户的评价决定",
    "{version} is promoted and waits: {why}": "{version} 已通过，等待发布：{why}",
    "no candidate was promoted": "没有候选版本通过",
    "{other} was released meanwhile; {version} was compared with {old}, and is not served":
        "期间发布了 {other}；{version} 是与 {old} 比较的，所以不投入使用",
    "release it with `{command}`": "用 `{command}` 发布",
    "no reward models: {why}": "没有训练评分模型：{why}",
    "no {stage}: {why}": "没有运行 {stage}：{why}",
    "{have} of {needed} {what}; {missing} more are needed": "{what} {have} / {needed}，还需要 {missing}",
    "all {count} thumbs point {way}, and it learns from the difference": "{count} 个评价全是{way}，而它要从差别中学习",
    "all thumbs point one way, and it learns from the difference": "所有评价都一样，而它要从差别中学习",
    "there are no reward models to learn from": "没有可用的评分模型",
    "the judge {version} is right on {share} % of held-out votes for sure, and more than {needed} % are needed":
        "评分模型 {version} 在留出评价上有把握的正确率是 {share}%，需要超过 {needed}%",
    "{version}, a reward model, is not there any more: it judged nothing": "评分模型 {version} 已不存在，没有参加评判",
    "{version} is not there any more: it was compared with nothing": "{version} 已不存在，没有参加比较",
    "pairs": "偏好对",
    "thumbs": "赞和踩",
    "pairs and thumbs": "偏好对与赞踩",
    "reward": "评分模型",
    "up": "赞",
    "down": "踩",
}  # fmt: skip
_REPORT = {
    "Cycle {number}": "第 {number} 次循环",
    "Began {when}, released then: {version}. New votes: {votes}. Snapshot {snapshot}: {list}.":
        "开始于 {when}，当时使用 {version}。新评价：{votes}。快照 {snapshot}：{list}。",
    "Left out by the rules: {list}.": "按规则略去：{list}。",
    "{count} {rows} by {rule}": "{count} 条{rows}（{rule}）",
    "{count} unpaired": "{count} 条赞踩",
    "{count} preference": "{count} 个偏好对",
    "{count} demonstration": "{count} 条示范",
    "{count} prompt": "{count} 个提问",
    "unpaired": "赞踩",
    "preference": "偏好对",
    "demonstration": "示范",
    "prompt": "提问",
    "Raters who stand out": "值得留意的评价者",
    "Nobody.": "没有。",
    "Reward models: {list}.": "评分模型：{list}。",
    "{version} (half {half})": "{version}（{half} 半）",
    "{version}, by {stage}: {verdict}": "{version}，由 {stage} 训练：{verdict}",
    "Look {number} at {version}:": "第 {number} 次与 {version} 比较：",
    "What was not done": "没有做的事",
    "Seconds: {list}.": "用时（秒）：{list}。",
    "snapshot {seconds}": "快照 {seconds}",
    "judges {seconds}": "评分模型 {seconds}",
    "suspects {seconds}": "评价者 {seconds}",
    "candidates {seconds}": "候选版本 {seconds}",
    "decisions {seconds}": "门槛 {seconds}",
    "outcome {seconds}": "发布 {seconds}",
    "measure": "指标",
    "kind": "要求",
    "better by": "变好多少",
    "95 % interval": "95% 区间",
    "gained": "得",
    "lost": "失",
    "prompts": "题数",
    "{measure}: {share} {interval} of {count} (shown only)": "{measure}：{share} {interval}，共 {count}（仅供参考）",
}  # fmt: skip
_RATERS = {
    "`{rater}`: {what}: {reasons}": "`{rater}`：{what}：{reasons}",
    "against the others": "与其他人相反",
    "against the judges": "与评分模型相反",
    "flood": "评价过多",
    "copies": "重复",
    "contradicts themselves": "自相矛盾",
    "agrees with {whom} on {right} of {of} votes (p = {p}): flipped labels?":
        "{of} 个评价中只有 {right} 个与{whom}一致（p = {p}）：是否把赞踩弄反了？",
    "the others": "其他人",
    "reward models that learned from other prompts": "用其他提问训练的评分模型",
    "gave {count} of all {of} votes, {share} %, as one of {raters} raters":
        "在 {raters} 个评价者中，一人给出全部 {of} 个评价中的 {count} 个（{share}%）",
    "gave {count} votes within {seconds} seconds": "在 {seconds} 秒内给出 {count} 个评价",
    "judged the same answer to the same question {count} times": "对同一问题的同一回答评价了 {count} 次",
    "says the same as {rater} of {count} texts, {odd} times against all others":
        "对 {count} 个回答与 {rater} 的评价相同，其中 {odd} 次与其他所有人相反",
    "called {both} of {again} texts that they judged more than once both good and bad":
        "在多次评价过的 {again} 个回答中，有 {both} 个既赞又踩",
}  # fmt: skip
_TRIAL = {
    "{difference} points {interval}: candidate {up} of {votes} thumbs up by {raters} raters, "
    "released {rup} of {rvotes} by {rraters}; {finding}":
        "{difference} 个百分点 {interval}：候选版本 {votes} 个评价中 {up} 个赞（{raters} 人），"
        "正在使用的版本 {rvotes} 个中 {rup} 个赞（{rraters} 人）；{finding}",
    "no difference yet: candidate {up} of {votes} thumbs up by {raters} raters, "
    "released {rup} of {rvotes} by {rraters}; {finding}":
        "还没有差别：候选版本 {votes} 个评价中 {up} 个赞（{raters} 人），"
        "正在使用的版本 {rvotes} 个中 {rup} 个赞（{rraters} 人）；{finding}",
    "too little to decide: {list}": "还不足以判断：{list}",
    "the candidate has {have} of {floor} {what}": "候选版本有 {have} / {floor} {what}",
    "the released version has {have} of {floor} {what}": "正在使用的版本有 {have} / {floor} {what}",
    "votes": "个评价",
    "raters": "个评价者",
    "people like the candidate more, and would without any one rater":
        "人们更喜欢候选版本，去掉任何一个评价者也是如此",
    "people like the candidate less, and would without any one rater":
        "人们更不喜欢候选版本，去掉任何一个评价者也是如此",
    "clear of zero only by one rater's votes": "只靠一个评价者才与零有别",
    "undecided: the interval holds zero": "无法判断：区间包含零",
    "{what}; the clock stands before {when}, when it began: thumbs on replies until then do not count":
        "{what}；时钟早于它开始的时间 {when}：在那之前的回答得到的评价不计入",
    "{version} is the released version": "{version} 就是正在使用的版本",
    "{version} was released meanwhile, which was no part of it": "期间发布了不参与对比的 {version}",
    "{version} is not there any more": "{version} 已不存在",
    "somebody stopped it": "有人停止了它",
    "{candidate} is being compared with {released}: {what}": "{candidate} 正与 {released} 对比：{what}",
    "the live comparison of {candidate} with {released} has ended ({verdict}): {why}":
        "{candidate} 与 {released} 的在线对比已结束（{verdict}）：{why}",
    "candidate wins": "候选版本胜出",
    "roll back": "候选版本被撤下",
    "void": "作废",
    "stopped": "已停止",
}  # fmt: skip
_PLAN = {
    "{home} has no version yet: a cycle would make v1 from the starter, and find no feedback":
        "{home} 还没有版本：循环会用自带的模型建立 v1，并且没有反馈可学",
    "would go on with cycle {number}; done: {list}": "会继续第 {number} 次循环；已完成：{list}",
    "nothing yet": "还没有",
    "snapshot": "快照",
    "judges": "评分模型",
    "candidates": "候选版本",
    "decisions": "门槛",
    "new votes: {votes}; {needed} are needed": "新评价：{votes}；需要 {needed}",
    "rows to train on: {up} thumbs up, {down} thumbs down, {pairs} pairs":
        "可用于训练：赞 {up}，踩 {down}，偏好对 {pairs}",
    "ppo: would run if a judge is right on more than {share} % of held-out votes":
        "ppo：如果评分模型在留出评价上的正确率超过 {share}%，就会运行",
    "{stage}: would run": "{stage}：会运行",
    "{stage}: would not run: {why}": "{stage}：不会运行：{why}",
    "dry run: nothing was written": "只是预览，没有写入任何东西",
}  # fmt: skip
SENTENCES = {**_MEASURES, **_GATE, **_TRIAL, **_PLAN, **_CYCLE, **_REPORT, **_RATERS, **ERRORS}
_APART = {"list": (", ", "，"), "reasons": ("; ", "；")}
"""Places that hold several: what stands between them in English and in Chinese."""
_VERBATIM = {"command", "details", "rater", "when", "home", "path"}
_ONE_WORD = {"version", "other", "old", "candidate", "released", "stage", "snapshot"}
_MARKS = re.compile(r"(#+ |- |\*\*)?(.*?)(\*\*)?")


def in_chinese(text: str) -> str:
    """A sentence of the loop's in Chinese; any other text as it is."""
    for pattern, chinese in _patterns():
        if found := pattern.fullmatch(text):
            return chinese.format(**{name: _place(name, value) for name, value in found.groupdict().items()})
    return text


def report_in_chinese(markdown: str) -> str:
    """A cycle's report, line by line, and its tables cell by cell."""
    return "\n".join(_line(line) for line in markdown.splitlines())


def _line(line: str) -> str:
    if line.startswith("|"):
        return "|".join(
            f" {in_chinese(cell.strip())} " if cell.strip(" -") else cell for cell in line.split("|")
        )
    marks = _MARKS.fullmatch(line)
    if marks is None:
        return line
    before, text, after = marks.groups(default="")
    return f"{before}{in_chinese(text)}{after}"


def _place(name: str, value: str) -> str:
    if name in _VERBATIM:
        return value
    if name in _APART:
        apart, together = _APART[name]
        return together.join(in_chinese(part) for part in value.split(apart))
    return in_chinese(value)


@cache
def _patterns() -> list[tuple[re.Pattern[str], str]]:
    """The longest fixed text first: it says the most of what a sentence is."""

    def fixed(english: str) -> int:
        return len(re.sub(r"{\w+}", "", english))

    def place(found: re.Match[str]) -> str:
        return f"(?P<{found[1]}>{'[^ :]+' if found[1] in _ONE_WORD else '.+?'})"

    return [
        (re.compile(re.sub(r"\\{(\w+)\\}", place, re.escape(english))), chinese)
        for english, chinese in sorted(SENTENCES.items(), key=lambda pair: -fixed(pair[0]))
    ]

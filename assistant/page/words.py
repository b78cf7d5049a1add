"""Every word the page shows, in English and Chinese, from one place.

A language is one `Words` value. A missing translation is therefore a missing argument, which fails on import;
the tests also look for empty texts and for page code that shows a text of its own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """The texts of one language. Fields ending in `_format` have named places for `str.format`."""

    code: str
    tagline: str
    new_conversation: str
    other_language: str
    switch_language: str
    version_format: str
    conversation: str

    greeting: str
    greeting_more: str
    examples_label: str
    examples: tuple[str, ...]

    message_label: str
    message_placeholder: str
    think: str
    send: str
    stop: str
    footnote: str

    you: str
    assistant: str
    waiting: str
    thinking: str
    thought: str
    thought_for_format: str
    no_answer: str
    finish_reasons: dict[str, str]

    copy: str
    copied: str
    retry: str
    undo: str
    edit: str
    edit_label: str
    resend: str
    cancel: str

    good: str
    bad: str
    ask_good: str
    ask_bad: str
    reasons_good: dict[str, str]
    reasons_bad: dict[str, str]
    comment_label: str
    comment_placeholder: str
    finish: str
    withdraw: str
    thanks: str
    withdrawn: str

    empty_message: str
    busy: str
    error_title: str
    unknown_reply: str
    lost_conversation: str
    unexpected: str


ENGLISH = Words(
    code="en",
    tagline="Chat. Give a thumb. The next version learns from it.",
    new_conversation="New conversation",
    other_language="中文",
    switch_language="切换到中文",
    version_format="Version {version} is answering",
    conversation="Conversation",
    greeting="What would you like to work out?",
    greeting_more="A small model that learns from your thumbs. It is best at sums, short word problems, "
    "and how machines learn.",
    examples_label="Examples to try",
    examples=(
        "What is 347 + 285?",
        "Calculate 34 × 12.",
        "Anna buys 4 bags of apples with 6 in each bag. Then 5 of the apples are eaten. How many apples are left?",
        "What is overfitting?",
        "What is a reward model?",
        "What is a token?",
    ),
    message_label="Your message",
    message_placeholder="Ask something…",
    think="Think step by step",
    send="Send",
    stop="Stop",
    footnote="Enter sends, Shift+Enter starts a new line. Answers can be wrong; your thumb says so.",
    you="You",
    assistant="Assistant",
    waiting="Waiting for the first words…",
    thinking="Thinking…",
    thought="Thought",
    thought_for_format="Thought for {seconds} s",
    no_answer="No answer was written.",
    finish_reasons={
        "stopped": "stopped",
        "length": "cut off at the length limit",
        "error": "broken off by an error",
    },
    copy="Copy the answer",
    copied="Copied",
    retry="Answer again",
    undo="Take back this exchange",
    edit="Edit your message",
    edit_label="Your edited message",
    resend="Send again",
    cancel="Cancel",
    good="Good answer",
    bad="Bad answer",
    ask_good="What was good about it?",
    ask_bad="What was wrong with it?",
    reasons_good={"correct": "Correct", "clear": "Clear", "helpful": "Helpful", "other": "Something else"},
    reasons_bad={
        "wrong": "Wrong",
        "unclear": "Unclear",
        "off_topic": "Off topic",
        "too_long": "Too long",
        "too_short": "Too short",
        "other": "Something else",
    },
    comment_label="Comment",
    comment_placeholder="Anything to add? (optional)",
    finish="Done",
    withdraw="Withdraw",
    thanks="Thank you. Your vote is kept with this answer, and the next version is trained on it.",
    withdrawn="Withdrawn. This vote will not be used for training.",
    empty_message="Write a message first.",
    busy="An answer is still being written. Wait for it, or stop it first.",
    error_title="That did not work.",
    unknown_reply="This answer is no longer on the page. Reload the page and try again.",
    lost_conversation="The earlier conversation could not be opened, so this is a new one.",
    unexpected="The answer broke off; the server's log says why. Your message is back in the box.",
)

CHINESE = Words(
    code="zh",
    tagline="聊天，点赞或点踩，下一个版本就会从中学习。",
    new_conversation="新对话",
    other_language="English",
    switch_language="Switch to English",
    version_format="当前由版本 {version} 回答",
    conversation="对话",
    greeting="今天想算点什么？",
    greeting_more="这是一个会从你的点赞和点踩中学习的小模型，擅长算术和简短的应用题，也能讲讲机器是怎样学习的。",
    examples_label="试试这些问题",
    examples=(
        "347+285等于多少？",
        "计算34×12。",
        "小明买了4袋苹果，每袋6个。后来吃了5个。还剩多少个苹果？",
        "什么是过拟合？",
        "什么是奖励模型？",
        "什么是词元？",
    ),
    message_label="你的消息",
    message_placeholder="问点什么……",
    think="逐步思考",
    send="发送",
    stop="停止",
    footnote="按 Enter 发送，按 Shift+Enter 换行。回答可能有误，发现了就点个踩。",
    you="你",
    assistant="助手",
    waiting="正在等待回答……",
    thinking="思考中……",
    thought="思考过程",
    thought_for_format="思考了 {seconds} 秒",
    no_answer="没有写出回答。",
    finish_reasons={"stopped": "已停止", "length": "达到长度上限，已截断", "error": "因出错而中断"},
    copy="复制回答",
    copied="已复制",
    retry="重新回答",
    undo="撤回这一轮",
    edit="编辑消息",
    edit_label="编辑后的消息",
    resend="重新发送",
    cancel="取消",
    good="回答得好",
    bad="回答得不好",
    ask_good="好在哪里？",
    ask_bad="哪里不好？",
    reasons_good={"correct": "正确", "clear": "清楚", "helpful": "有帮助", "other": "其他"},
    reasons_bad={
        "wrong": "有错误",
        "unclear": "不清楚",
        "off_topic": "答非所问",
        "too_long": "太长",
        "too_short": "太短",
        "other": "其他",
    },
    comment_label="补充说明",
    comment_placeholder="还有什么想说的？（选填）",
    finish="完成",
    withdraw="撤销评价",
    thanks="谢谢！你的评价会和这条回答一起保存，用来训练下一个版本。",
    withdrawn="评价已撤销，不会用于训练。",
    empty_message="请先写点内容。",
    busy="回答还没写完。请等它写完，或者先停止。",
    error_title="出了点问题。",
    unknown_reply="页面上已经没有这条回答了。请刷新页面后再试。",
    lost_conversation="之前的对话无法打开，已为你开始新对话。",
    unexpected="回答意外中断，原因已写入服务器日志。你的消息已放回输入框。",
)

LANGUAGES = {words.code: words for words in (ENGLISH, CHINESE)}


def browser_language(accept_language: str) -> str:
    """The page's language for an `Accept-Language` header: the first one listed that the page speaks.

    Browsers list languages in order of preference, so the weights need not be read.
    """
    for part in accept_language.split(","):
        code = part.split(";")[0].strip().lower().split("-")[0]
        if code in LANGUAGES:
            return code
    return ENGLISH.code

"""The same question in other words, by rules: some to train a correction in, others to probe whether it holds.

A rule only frames a prompt, asks it plainly, or asks for what it asks about, so that what is asked stays the same.
"""

import re
from collections.abc import Sequence
from typing import Literal

from alignment.suites.checkers import CHINESE

Purpose = Literal["training", "probe"]
FRAMES: dict[Purpose, dict[str, tuple[str, ...]]] = {
    "training": {
        "en": (
            "{text}",
            "Question: {text}",
            "Please answer this: {text}",
            "{text} Answer in one sentence.",
            "Hi! {text}",
            "I have a question. {text}",
            "Can you help me? {text}",
            "{plain}",
            "I would like to know {indirect}.",
            "Tell me {indirect}, please.",
            "Do you know {indirect}?",
            "Name the person who {deed}.",
            "Name {subject}.",
            "{subject}?",
            "{subject}",
        ),
        "zh": (
            "{text}",
            "问题：{text}",
            "请回答：{text}",
            "{text}请用一句话回答。",
            "你好！{text}",
            "我有个问题。{text}",
            "能帮帮我吗？{text}",
            "{plain}",
            "我想知道{plain}。",
            "告诉我{plain}。",
        ),
    },
    "probe": {
        "en": ("{text}", "Quick question: {text}", "{text} Thanks!", "hello, {plain}"),
        "zh": ("{text}", "想请教一下：{text}", "{text}谢谢！", "您好，{plain}"),
    },
}
"""{plain} is the text without capital at its beginning and stop at its end; {subject} what "What is …?" asks about;
{indirect} the same, or the plain question; {deed} what follows "Who". A frame is left out where its part is missing.
The first probe is the prompt as it was."""
_WHAT_IS = re.compile(r"(?:what|who|which|where)(?:'s| is| are| was| were) ((?:the|a|an) .+)", re.IGNORECASE)
LONGEST = 400
"""Characters of a prompt that is framed; a longer one is asked as it is."""


def paraphrases(text: str, purpose: Purpose) -> list[str]:
    """Ways to ask what `text` asks, the text itself first."""
    if len(text) > LONGEST or "\n" in text.strip():
        return [text]
    frames = FRAMES[purpose]["zh" if CHINESE.search(text) else "en"]
    plain = re.sub(r"[.?!。？！\s]+$", "", text)
    # "What is …" becomes "what is …"; "DNA stands for …" and "I …" stay.
    if re.match(r"[A-Z][a-z]", plain):
        plain = plain[0].lower() + plain[1:]
    asked = _WHAT_IS.fullmatch(plain)
    who = re.fullmatch(r"who (.+)", plain)
    parts = {
        "text": text,
        "plain": plain,
        "subject": asked[1] if asked else "",
        "indirect": asked[1] if asked else plain,
        "deed": who[1] if who and not asked else "",
    }
    wordings = [
        frame.format(**parts)
        for frame in frames
        if all(part for name, part in parts.items() if f"{{{name}}}" in frame)
    ]
    return list(dict.fromkeys(wordings))


def reworded(messages: Sequence[dict[str, str]], purpose: Purpose) -> list[list[dict[str, str]]]:
    """The conversations whose last message is each of the paraphrases of the last message of `messages`."""
    *earlier, last = messages
    return [[*earlier, {**last, "content": text}] for text in paraphrases(last["content"], purpose)]

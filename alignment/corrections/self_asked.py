"""Messages that a model writes itself: those that a person might send, near the corrected ones and far from them.

A chat model has learned what messages look like, so it can continue an open user turn (Xu et al. 2024, "Magpie").
Continued from nothing, they are of all kinds. Continued from the first words of a corrected prompt, they are its
neighbours: the questions whose answers a correction changes by mistake. Nobody has to know them beforehand, in any
language.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from alignment.generation import generate, seed_for
from alignment.training.processes import autocast
from assistant.serving import prompt
from assistant.serving.loading import Loaded, end_tokens

LONGEST = 32
"""Most tokens of a message that is kept: it must end within them."""
BATCH = 64
COMMON = 0.1
"""A word in this share of the messages says nothing of what a message is about."""
_WORD = re.compile(r"[^\W_]+")
_CJK = re.compile(r"[\u3400-\u9fff]")


def self_asked(loaded: Loaded, beginnings: Sequence[str], each: int, seed: int) -> list[str]:
    """Distinct messages that begin with one of `beginnings`, at most `each` of one; an empty beginning is allowed.

    Drawn at temperature 1 from the tokens that make up 95 % of the probability.
    """
    opening = user_opening(loaded.tokenizer)
    rows = [
        (beginning, [*opening, *loaded.tokenizer(beginning, add_special_tokens=False).input_ids])
        for beginning in beginnings
        for _ in range(each)
    ]
    messages = []
    starts = range(0, len(rows), BATCH)
    with tqdm(total=len(starts) * LONGEST, desc="asking messages", unit="step") as progress:
        for start in starts:
            batch = rows[start : start + BATCH]
            continued = _continued(loaded, [ids for _, ids in batch], seed + start, progress)
            for (beginning, _), rest in zip(batch, continued, strict=True):
                if rest is not None and (message := f"{beginning}{rest}".strip()):
                    messages.append(message)
    return list(dict.fromkeys(messages))


def user_opening(tokenizer: Any) -> list[int]:
    """Token ids that precede the text of a conversation's first message: what two prompts have in common."""
    first, second = (
        prompt.render(tokenizer, [{"role": "user", "content": text}], False) for text in ("Alpha", "零")
    )
    same = 0
    while first[same] == second[same]:
        same += 1
    return first[:same]


def beginnings(text: str) -> list[str]:
    """A prompt without its last word, and without its last two: "What is the capital of", "What is the capital".

    Of a text in Chinese, all but the last third and all but the last half of its characters.
    """
    if _CJK.search(text):
        counts = {len(text) // 2, len(text) * 2 // 3}
        return [text[:count] for count in sorted(counts) if count]
    parts = re.findall(r"\S+\s*", text)
    return ["".join(parts[:count]).rstrip() for count in range(max(1, len(parts) - 2), len(parts))]


def not_about(messages: Sequence[str], prompts: Sequence[str]) -> list[str]:
    """The messages that have no telling word in common with a prompt: a correction may change the answers to others."""
    counts = Counter(word for message in messages for word in words(message))
    telling = {
        word for text in prompts for word in words(text) if counts[word] <= COMMON * max(len(messages), 10)
    }
    return [message for message in messages if not telling & words(message)]


def words(text: str) -> set[str]:
    """The words of a text without case and accents; of Chinese its pairs of neighbouring characters."""
    bare = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    found = set(_WORD.findall(bare.casefold()))
    runs = [word for word in found if _CJK.search(word)]
    return (found - set(runs)) | {run[i : i + 2] for run in runs for i in range(max(1, len(run) - 1))}


def _continued(loaded: Loaded, prompts: list[list[int]], seed: int, progress: Any) -> list[str | None]:
    """What the model writes after each prompt, up to the end of the message or line; None for one without end."""
    ends = end_tokens(loaded.model, loaded.tokenizer)
    seeds = [seed_for(seed, row) for row in range(len(prompts))]
    texts: list[str | None] = []
    # Rounded where that is fast: any draw will do.
    with autocast(loaded.model.device):
        limits = [LONGEST] * len(prompts)
        drawn = generate(loaded.model, prompts, limits, ends, 1.0, seeds, top_p=0.95, progress=progress)
    for row in drawn:
        ended = bool(row) and row[-1] in ends
        text = prompt.decode(loaded.tokenizer, row[:-1] if ended else row)
        line, newline, _ = text.partition("\n")
        texts.append(line if newline or ended else None)
    return texts

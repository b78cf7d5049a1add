"""Room in the context window: what of a conversation the model reads, and how long its reply may become."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from assistant.bases.model_folder import read_config
from assistant.errors import TooLong
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.engine import ServedVersion
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer


def configured_window(folder: Path) -> int | None:
    """Longest sequence in tokens by the configuration of a model folder; None if it does not say.

    Raises ModelError if the configuration cannot be read.
    """
    config = read_config(folder)
    # A model that sees keeps what concerns its texts apart.
    window = {**config, **(config.get("text_config") or {})}.get("max_position_embeddings")
    return int(window) if window else None


LEAST_ROOM = 16
"""Tokens that a reply gets at least: a message that leaves fewer is refused, because no answer is that short."""
MOST_MESSAGES = 1_000
"""Messages of a transcript that are read and stored, the newest ones, beside the system messages at its start."""

MOST_CHARACTERS = 128
"""Of one token, on average over a text: longer texts than that cannot fit, and are not even tokenized."""


@dataclass(frozen=True)
class Fitted:
    """A prompt that leaves room for its reply."""

    ids: list[int]
    dropped: int
    """How many messages were left out, from the oldest on."""


def newest(messages: Sequence[dict[str, str]]) -> tuple[list[dict[str, str]], int]:
    """At most `MOST_MESSAGES` and those of the system at the start; and how many between them were left out.

    They are left out half of that number at a time, so that a conversation that goes on begins with the same message
    for long and is recognised.
    """
    opening, rest = _opening(messages)
    step = MOST_MESSAGES // 2
    start = max(0, -(-(len(rest) - MOST_MESSAGES) // step) * step)
    while 0 < start < len(rest) - 1 and rest[start]["role"] != "user":
        start += 1
    return [*opening, *rest[start:]], start


def fit(
    tokenizer: Tokenizer,
    window: int,
    messages: Sequence[dict[str, str]],
    think: bool,
    max_new_tokens: int,
) -> Fitted:
    """The prompt, with the oldest exchanges left out until a reply has room. Never cut inside a message.

    `window`: longest sequence in tokens. System messages at the start always stay. An exchange is a user's message
    with all that follows it, and with a system message directly before it. Room means `max_new_tokens`, but at most
    half of the window; if the last message alone leaves less, the reply gets what is left. Raises TooLong if that is
    less than `LEAST_ROOM`, and what `prompt.render` raises.
    """
    limit = window - min(max_new_tokens, window // 2)
    most = max(window - min(max_new_tokens, LEAST_ROOM), 0)
    opening, rest = _opening(messages)

    def render_from(start: int) -> list[int]:
        return prompt.render(tokenizer, [*opening, *rest[start:]], think)

    lengths = _lengths_from(rest, sum(len(message["content"]) for message in opening))
    exchanges = [0, *_exchanges(rest)]
    starts = [start for start in exchanges if lengths[start] <= window * MOST_CHARACTERS]
    if not starts:
        raise _too_long(lengths[exchanges[-1]] // MOST_CHARACTERS, most)
    ids = render_from(starts[0])
    if len(ids) <= limit:
        return Fitted(ids, starts[0])
    if len(starts) > 1:
        ids = render_from(starts[-1])
    if len(ids) > most:
        raise _too_long(len(ids), most)
    # Fewer exchanges are fewer tokens, so that bisection finds the longest prompt that fits, if any does.
    fitting, too_long = len(starts) - 1, 0
    while len(ids) <= limit and fitting - too_long > 1:
        middle = (fitting + too_long) // 2
        candidate = render_from(starts[middle])
        if len(candidate) <= limit:
            ids, fitting = candidate, middle
        else:
            too_long = middle
    return Fitted(ids, starts[fitting])


def _too_long(tokens: int, most: int) -> TooLong:
    return TooLong(
        f"The message is too long: {tokens} tokens, and there is room for {most}. "
        "Shorten it, or send it in parts.",
        tokens,
        most,
    )


def _lengths_from(messages: Sequence[dict[str, str]], before: int) -> list[int]:
    """Characters from each message on, and those of a text `before` them."""
    backwards = accumulate((len(message["content"]) for message in reversed(messages)), initial=before)
    return list(backwards)[::-1]


def _opening(messages: Sequence[dict[str, str]]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """The system messages at the start, and the rest."""
    count = next(
        (place for place, message in enumerate(messages) if message["role"] != "system"), len(messages)
    )
    return list(messages[:count]), list(messages[count:])


def _exchanges(messages: Sequence[dict[str, str]]) -> list[int]:
    """Where each exchange but the first begins."""
    starts = []
    for position, message in enumerate(messages):
        if message["role"] == "user":
            start = position
            while start and messages[start - 1]["role"] == "system":
                start -= 1
            if start:
                starts.append(start)
    return starts


def completion_limit(served: ServedVersion, prompt_ids: Sequence[int], sampling: Sampling) -> int:
    """Most tokens that the completion may have: what is asked for, or what the window leaves if that is less.

    Raises TooLong if the window leaves nothing.
    """
    room = served.window - len(prompt_ids)
    if room < 1:
        raise TooLong(
            f"The message is too long: {len(prompt_ids)} tokens with its conversation, and {served.version.id} reads "
            f"{served.window}. Shorten it, or start a new conversation.",
            len(prompt_ids),
            served.window,
        )
    return min(room, sampling.max_new_tokens)

"""Room in the context window: what of a conversation the model reads, and how long its reply may become."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.bases.model_folder import read_config
from assistant.errors import TooLong
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.engine import ServedVersion


def configured_window(folder: Path) -> int | None:
    """Longest sequence in tokens by the configuration of a model folder; None if it does not say.

    Raises ModelError if the configuration cannot be read.
    """
    config = read_config(folder)
    # A model that sees keeps what concerns its texts apart.
    window = {**config, **(config.get("text_config") or {})}.get("max_position_embeddings")
    return int(window) if window else None


@dataclass(frozen=True)
class Fitted:
    """A prompt that leaves room for its reply."""

    ids: list[int]
    dropped: int
    """How many messages were left out, from the oldest on."""


def fit(
    tokenizer: prompt.Tokenizer,
    window: int,
    messages: Sequence[dict[str, str]],
    think: bool,
    max_new_tokens: int,
) -> Fitted:
    """The prompt, with the oldest exchanges left out until a reply has room. Never cut inside a message.

    `window`: longest sequence in tokens. A system message at the start always stays. An exchange is a user's message
    with all that follows it. Room means `max_new_tokens`, but at most half of the window. Raises TooLong if the last
    message alone is too long, and what `prompt.render` raises.
    """
    limit = window - min(max_new_tokens, window // 2)
    system = [message for message in messages[:1] if message["role"] == "system"]
    rest = list(messages[len(system) :])

    def render_from(start: int) -> list[int]:
        return prompt.render(tokenizer, [*system, *rest[start:]], think)

    ids = render_from(0)
    if len(ids) <= limit:
        return Fitted(ids, 0)
    starts = [position for position, message in enumerate(rest) if position and message["role"] == "user"]
    if starts:
        ids = render_from(starts[-1])
    if len(ids) > limit:
        raise TooLong(
            f"The message is too long: {len(ids)} tokens, and there is room for {limit}. "
            "Shorten it, or send it in parts.",
            len(ids),
            limit,
        )
    # Fewer exchanges are fewer tokens, so that bisection finds the longest prompt that fits.
    fitting, too_long = len(starts) - 1, -1
    while fitting - too_long > 1:
        middle = (fitting + too_long) // 2
        candidate = render_from(starts[middle])
        if len(candidate) <= limit:
            ids, fitting = candidate, middle
        else:
            too_long = middle
    return Fitted(ids, starts[fitting])


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

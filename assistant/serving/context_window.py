"""What of a conversation the model reads: all of it where that fits, else without its oldest turns."""

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.errors import TooLong
from assistant.serving import prompt
from assistant.serving.loading import Loaded


@dataclass(frozen=True)
class Fitted:
    """A prompt that leaves room for its reply."""

    ids: list[int]
    dropped: int
    """How many messages were left out, from the oldest on."""


def fit(loaded: Loaded, messages: Sequence[dict[str, str]], think: bool, max_new_tokens: int) -> Fitted:
    """The prompt, oldest turns left out until a reply has room. Never cut inside a message.

    A system message at the start always stays. A turn is a user's message with all that follows it. Room means
    `max_new_tokens`, but at most half of the window. Raises TooLong if the last message alone is too long,
    PromptError if it is empty.
    """
    most = loaded.window - min(max_new_tokens, loaded.window // 2)
    system = [turn for turn in messages[:1] if turn["role"] == "system"]
    said = list(messages[len(system) :])

    def read_from(start: int) -> list[int]:
        return prompt.render(loaded.tokenizer, [*system, *said[start:]], think)

    ids = read_from(0)
    if len(ids) <= most:
        return Fitted(ids, 0)
    starts = [i for i, turn in enumerate(said) if i and turn["role"] == "user"]
    if starts:
        ids = read_from(starts[-1])
    if len(ids) > most:
        raise TooLong(
            f"The message is too long: {len(ids)} tokens, and there is room for {most}. "
            "Shorten it, or send it in parts.",
            len(ids),
            most,
        )
    # Fewer turns are fewer tokens, so that the longest prompt that fits is found by halving.
    shortest, longest = len(starts) - 1, -1
    while shortest - longest > 1:
        middle = (shortest + longest) // 2
        tried = read_from(starts[middle])
        if len(tried) <= most:
            ids, shortest = tried, middle
        else:
            longest = middle
    return Fitted(ids, starts[shortest])

"""How a reply was written: each of its tokens with the probability it had, and the other tokens that could have come.

The engine that serves reads the stored prompt and completion again, with the version that wrote the reply.
"""

from dataclasses import dataclass
from typing import Literal

from assistant.errors import NoTokens
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.engine import Engine, TokenScore
from assistant.serving.tokenizing.tokenizer_protocol import Tokenizer
from feedback_store import Reply

ALTERNATIVES = 8

Part = Literal["thought", "answer", "mark", "end"]
"""What a token belongs to; a mark is a tag around the thought."""


@dataclass(frozen=True)
class Alternative:
    """A token that could have come."""

    token_id: int
    text: str
    probability: float
    end: bool = False


@dataclass(frozen=True)
class Step:
    """One token of a reply."""

    position: int
    token_id: int
    text: str
    probability: float
    """Under the reply's temperature, top-k, top-p and min-p; for temperature 0 under the model's own distribution."""
    part: Part
    alternatives: tuple[Alternative, ...]
    """The likeliest, likeliest first; the drawn token is among them if it is that likely."""


def token_steps(reply: Reply, engine: Engine) -> list[Step]:
    """Every token of a stored reply. May load the version that wrote it: not for an event loop.

    Raises NoTokens if none are kept or the engine cannot read them again, and what `Engine.prepare` raises.
    """
    if not reply.completion_ids or reply.version not in engine.versions:
        raise NoTokens("No tokens are kept for this answer, or its version is gone.")
    names = ("temperature", "top_p", "top_k", "min_p")
    sampling = Sampling.from_stored({name: reply.sampling[name] for name in names if name in reply.sampling})
    with engine.lease(reply.version) as served:
        scores = served.score(reply.prompt_ids, reply.completion_ids, sampling, ALTERNATIVES)
        tokenizer = served.tokenizer
    parts = _parts(tokenizer, reply.completion_ids, reply.think)
    return [
        _step(tokenizer, position, token, part, score)
        for position, (token, part, score) in enumerate(zip(reply.completion_ids, parts, scores, strict=True))
    ]


def _step(tokenizer: Tokenizer, position: int, token: int, part: Part, score: TokenScore) -> Step:
    alternatives = tuple(
        Alternative(other, tokenizer.decode([other]), probability, other == tokenizer.eos_token_id)
        for other, probability in score.likeliest
    )
    return Step(position, token, tokenizer.decode([token]), score.probability, part, alternatives)


def _parts(tokenizer: Tokenizer, ids: list[int], think: bool) -> list[Part]:
    parts: list[Part] = []
    closed = not think
    for position, token in enumerate(ids):
        text = tokenizer.decode(ids[: position + 1])
        closes = text.endswith(prompt.THINK_CLOSE)
        if token == tokenizer.eos_token_id:
            parts.append("end")
        elif not closed and (closes or text.strip() == prompt.THINK_OPEN):
            parts.append("mark")
            closed = closes
        else:
            parts.append("answer" if closed else "thought")
    return parts

"""How a reply was written: each of its tokens with the probability it had, and what else could have come.

One forward pass over the stored prompt and completion gives every distribution at once, because each position of
a causal model sees only what is before it. The pass runs on a copy of the version that wrote the reply: the one in
service has its attention set up for continuous batching, and may be another version by now.
"""

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch

from assistant.errors import NoTokens
from assistant.registry.versions import Version, Versions
from assistant.serving import prompt
from assistant.serving.loading import Loaded, load_for_serving
from assistant.serving.sampling import Sampling, probabilities
from feedback_store import Reply

ALTERNATIVES = 8

_loading = threading.Lock()


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
    """Under the reply's temperature, top-k and top-p; for temperature 0 under the model's own distribution."""
    part: Literal["thought", "answer", "mark", "end"]
    """A mark is a tag around the thought."""
    alternatives: tuple[Alternative, ...]
    """The likeliest, likeliest first; the token that was taken is among them if it is that likely."""


def steps(reply: Reply, versions: Versions) -> list[Step]:
    """Every token of a stored reply. Raises NoTokens if none are kept, VersionError, ModelError."""
    if not reply.completion_ids or reply.version not in versions.ids():
        raise NoTokens("No tokens are kept for this answer, or its version is gone.")
    version = versions.open(reply.version)
    with _loading:
        loaded = _load(version.folder, versions.home, version.id)
    return read(loaded, reply)


@lru_cache(maxsize=1)
def _load(folder: Path, home: Path, version_id: str) -> Loaded:
    version: Version = Versions(home).open(version_id)
    return load_for_serving(version, home)


def read(loaded: Loaded, reply: Reply) -> list[Step]:
    """`steps` with a model that is loaded already."""
    drawn = {key: reply.sampling[key] for key in ("temperature", "top_p", "top_k") if key in reply.sampling}
    sampling = Sampling(**drawn)
    ids, start = reply.completion_ids, len(reply.prompt_ids)
    with torch.inference_mode():
        given = torch.tensor([[*reply.prompt_ids, *ids]], device=loaded.model.device)
        # The logits at a position are for the token after it.
        logits = loaded.model(given).logits[0, start - 1 : -1].float().cpu()
    parts = _parts(loaded.tokenizer, ids, reply.think)
    return [
        _step(loaded.tokenizer, position, token, part, _probabilities(row, sampling))
        for position, (token, part, row) in enumerate(zip(ids, parts, logits, strict=True))
    ]


def _probabilities(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    if sampling.temperature == 0.0:
        return logits.softmax(dim=-1)
    return probabilities(logits[None], [sampling])[0]


def _step(
    tokenizer: Any,
    position: int,
    token: int,
    part: Literal["thought", "answer", "mark", "end"],
    probabilities: torch.Tensor,
) -> Step:
    likeliest = probabilities.topk(min(ALTERNATIVES, probabilities.numel()))
    alternatives = tuple(
        Alternative(other, tokenizer.decode([other]), share, other == tokenizer.eos_token_id)
        for other, share in zip(likeliest.indices.tolist(), likeliest.values.tolist(), strict=True)
        if share > 0.0
    )
    return Step(position, token, tokenizer.decode([token]), float(probabilities[token]), part, alternatives)


def _parts(tokenizer: Any, ids: list[int], think: bool) -> list[Literal["thought", "answer", "mark", "end"]]:
    parts: list[Literal["thought", "answer", "mark", "end"]] = []
    closed = not think
    for position, token in enumerate(ids):
        text = tokenizer.decode(ids[: position + 1])
        if token == tokenizer.eos_token_id:
            parts.append("end")
        elif (
            think and (text.endswith(prompt.THINK_CLOSE) or text.strip() == prompt.THINK_OPEN) and not closed
        ):
            parts.append("mark")
            closed = text.endswith(prompt.THINK_CLOSE)
        else:
            parts.append("answer" if closed else "thought")
    return parts

"""An answer drawn token by token: what could come next and how likely each is, one draw, and on until END."""

from dataclasses import dataclass, replace
from typing import Self

from assistant.chat.token_steps import Alternative
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.engine import ServedVersion

ALTERNATIVES = 5
MAX_TOKENS = 60
"""Where an answer ends that has not drawn END: but for the oddest draws, the starter's are shorter."""
MOST_POSITIONS = 10_000
"""More than an answer has, so that no two seeds share a draw."""


@dataclass(frozen=True)
class WordChain:
    """An answer that is being drawn at temperature 1, as far as it is."""

    prompt_ids: tuple[int, ...]
    seed: int
    ids: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    """The text of each token; that of END is empty."""
    probabilities: tuple[float, ...] = ()
    """How likely each token was when it was taken."""
    alternatives: tuple[Alternative, ...] = ()
    """What can come next, the likeliest first; END is always among them. Empty once the answer is over."""
    is_ended: bool = False
    """Whether END was taken."""

    @classmethod
    def begin(cls, served: ServedVersion, question: str, seed: int) -> Self:
        """The answer to `question` before its first token. Blocks for a forward pass: not for an event loop."""
        ids = prompt.render(served.tokenizer, [{"role": "user", "content": question}], think=False)
        return cls(tuple(ids), seed)._looking_ahead(served)

    @property
    def is_over(self) -> bool:
        """Whether no token follows."""
        return self.is_ended or len(self.ids) >= MAX_TOKENS

    @property
    def answer(self) -> str:
        """The text so far."""
        return "".join(self.texts).strip()

    async def draw(self, served: ServedVersion) -> int:
        """Draw the next token. It depends on the tokens so far, the seed and the position alone.

        Raises what `ServedVersion.stream` raises.
        """
        seed = self.seed * MOST_POSITIONS + len(self.ids)
        sampling = Sampling(temperature=1.0, max_new_tokens=1, seed=seed)
        drawn: list[int] = []
        async for chunk in served.stream([*self.prompt_ids, *self.ids], sampling):
            drawn += chunk.token_ids
        return drawn[0]

    def after(self, served: ServedVersion, token_id: int) -> Self:
        """The answer with one more token. Blocks for one or two forward passes: not for an event loop."""
        is_end = token_id == served.tokenizer.eos_token_id
        known = {other.token_id: other.probability for other in self.alternatives}
        if token_id not in known:
            (score,) = served.score([*self.prompt_ids, *self.ids], [token_id], Sampling(temperature=1.0), 1)
            known[token_id] = score.probability
        longer = replace(
            self,
            ids=(*self.ids, token_id),
            texts=(*self.texts, "" if is_end else served.tokenizer.decode([token_id])),
            probabilities=(*self.probabilities, known[token_id]),
            alternatives=(),
            is_ended=is_end,
        )
        return longer if longer.is_over else longer._looking_ahead(served)

    def _looking_ahead(self, served: ServedVersion) -> Self:
        """The same, with what can come next."""
        end = served.tokenizer.eos_token_id
        assert end is not None  # the starter has one
        # The probability of END is asked for: how near the answer is to its end is always shown.
        (score,) = served.score([*self.prompt_ids, *self.ids], [end], Sampling(temperature=1.0), ALTERNATIVES)
        likeliest = list(score.likeliest)
        if end not in dict(likeliest):
            likeliest = [*likeliest[: ALTERNATIVES - 1], (end, score.probability)]
        return replace(
            self,
            alternatives=tuple(
                Alternative(token, served.tokenizer.decode([token]), share, token == end)
                for token, share in likeliest
            ),
        )

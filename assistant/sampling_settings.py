"""How replies are sampled: the settings, their bounds and their defaults. Needs no model library."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from assistant.errors import EngineError

DEFAULT_TEMPERATURE = 0.3
"""Of a model whose makers suggest none; low, because small models are unsure of what they have seldom written."""
MAX_TEMPERATURE = 5.0
"""What the API and `--temperature` accept. OpenAI's bound is 2; researchers ask for more."""
MAX_PAGE_TEMPERATURE = 2.0
"""What the page's slider offers: above it, replies are word salad, and the useful range would be a fraction of it."""
DEFAULT_MAX_NEW_TOKENS = 512
MAX_LOGPROBS = 20
"""OpenAI's bound on `top_logprobs`."""

MAX_PENALTY = 2.0
"""OpenAI's bound on both penalties, which may be negative too."""
PENALTY_WINDOW = 64
"""Tokens back that both penalties look, as llama.cpp's own default. Counted over a whole conversation, as OpenAI does,
the commonest words would become the unlikeliest."""

JSON_BEGINNINGS = '{["-0123456789tfn'
"""The characters that an answer can begin with if it follows a schema."""

OPTIONAL_SETTINGS = (
    "min_p",
    "frequency_penalty",
    "presence_penalty",
    "stop",
    "min_tokens",
    "ignore_eos",
    "logprobs",
    "schema",
)
"""Settings that a stored reply keeps only if they were asked for."""


@dataclass(frozen=True)
class Sampling:
    """How a reply is drawn. Raises EngineError if a value is out of its range."""

    temperature: float = DEFAULT_TEMPERATURE
    """0 takes the likeliest token each time."""
    top_p: float = 1.0
    """Draw from the smallest set of tokens that holds this share of the probability; 1 keeps all."""
    top_k: int = 0
    """Draw from this many of the likeliest tokens; 0 keeps all."""
    max_new_tokens: int = DEFAULT_MAX_NEW_TOKENS
    seed: int = 0
    min_p: float = 0.0
    """Draw only tokens that are at least this share as likely as the likeliest; 0 keeps all."""
    frequency_penalty: float = 0.0
    """Subtracted from a token's logit for each time that it is among the last PENALTY_WINDOW tokens."""
    presence_penalty: float = 0.0
    """Subtracted once from the logit of a token that is among the last PENALTY_WINDOW tokens."""
    stop: tuple[str, ...] = ()
    """Texts that end the reply; they are not part of it."""
    min_tokens: int = 0
    """Fewest tokens of the reply: until then neither the model nor a stop text ends it."""
    ignore_eos: bool = False
    """Generate `max_new_tokens` tokens whatever the model says: for measurements of a fixed length."""
    logprobs: int | None = None
    """How many of the likeliest tokens to report at each position; None reports no log-probabilities."""
    schema: str | None = None
    """JSON schema that the answer follows, as JSON; None lets it be any text. It binds the completion from its first
    token on: whoever asks for a thought generates that before."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", tuple(self.stop))
        if not 0.0 <= self.temperature <= MAX_TEMPERATURE:
            raise EngineError(
                f"The temperature must lie between 0 and {MAX_TEMPERATURE:g}, not {self.temperature}."
            )
        if not 0.0 < self.top_p <= 1.0:
            raise EngineError(f"top_p must be above 0 and at most 1, not {self.top_p}.")
        if not 0.0 <= self.min_p <= 1.0:
            raise EngineError(f"min_p must lie between 0 and 1, not {self.min_p}.")
        if max(abs(self.frequency_penalty), abs(self.presence_penalty)) > MAX_PENALTY:
            raise EngineError(f"Penalties must lie between {-MAX_PENALTY:g} and {MAX_PENALTY:g}.")
        if self.top_k < 0 or self.max_new_tokens < 1:
            raise EngineError("top_k must be 0 or more, and max_new_tokens 1 or more.")
        if not 0 <= self.min_tokens <= self.max_new_tokens:
            raise EngineError("min_tokens must lie between 0 and max_new_tokens.")
        if self.schema is not None and (self.min_tokens or self.ignore_eos):
            raise EngineError(
                "An answer that follows a schema ends where the schema ends: leave out min_tokens."
            )
        if self.logprobs is not None and not 0 <= self.logprobs <= MAX_LOGPROBS:
            raise EngineError(f"At most {MAX_LOGPROBS} log-probabilities are reported at each position.")

    def as_stored(self) -> dict[str, Any]:
        """The settings that a stored reply keeps. The seed is not among them: the reply has a field for it."""
        settings = asdict(self) | {"stop": list(self.stop)}
        optional = {name: settings[name] for name in OPTIONAL_SETTINGS if settings[name]}
        always = {name: value for name, value in settings.items() if name not in ("seed", *OPTIONAL_SETTINGS)}
        return always | optional

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any], seed: int = 0) -> Self:
        """The settings that a stored reply keeps. Notes beside them are ignored: engine, dropped, beginning, trial."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in stored.items() if name in known}, seed=seed)

"""Errors meant for people: each message says what happened, why, and what to do."""


class AssistantError(Exception):
    """Root of every error that serving raises on purpose; its text is safe to show."""


class VersionError(AssistantError):
    """A version is unknown, damaged, or not made for the base it is asked to run on."""


class HomeError(AssistantError):
    """The home folder cannot be used."""


class SettingsError(AssistantError):
    """A flag or environment variable has a value that cannot be used."""


class AddressError(AssistantError):
    """The address to listen on is taken or not allowed."""


class ModelError(AssistantError):
    """A model folder or id cannot be loaded."""


class QuantizeError(ModelError):
    """A model cannot be loaded in fewer bits."""


class PromptError(AssistantError):
    """A message cannot become a prompt: empty, or longer than the context window."""


class EmptyMessage(PromptError):
    """There is nothing to answer."""


class TooLong(PromptError):
    """A message is longer than the context window has room for. `tokens`: its length; `most`: the room."""

    def __init__(self, message: str, tokens: int, most: int) -> None:
        super().__init__(message)
        self.tokens, self.most = tokens, most


class EngineError(AssistantError):
    """The engine cannot take or finish a request."""


class EngineBusy(EngineError):
    """So many replies are wanted at once that another would wait too long."""


class UnknownModel(AssistantError):
    """A request names a model that does not serve here."""


class ConversationError(AssistantError):
    """A conversation or reply is unknown, or belongs to somebody else."""


class NotHere(ConversationError):
    """A conversation, message or reply is not there, or not any more."""


class NotYours(ConversationError):
    """A conversation belongs to somebody else."""


class NothingToUndo(ConversationError):
    """The conversation is empty."""


class VersionGone(ConversationError):
    """The version that wrote a reply cannot write on. `version`: its id."""

    def __init__(self, message: str, version: str) -> None:
        super().__init__(message)
        self.version = version


class NoTokens(ConversationError):
    """Of a reply no tokens are kept, or its version is gone."""


class CarryError(AssistantError):
    """A file is no conversation that was saved here. `reason`: not_json, not_ours, damaged or too_large."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class LoopError(AssistantError):
    """A command of alignment cannot be started here, or has failed."""

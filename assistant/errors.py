"""Errors whose messages are shown to people: each says what happened, why, and what to do."""

from assistant.events.event_error import EventError


class AssistantError(EventError):
    """Root of every error that the assistant raises on purpose; its message is safe to show."""


class VersionError(AssistantError):
    """A version is unknown, damaged, or made for another base."""


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


class PackagesMissing(AssistantError):
    """Packages that only some installations have are needed, and not installed here."""


class PromptError(AssistantError):
    """A message cannot become a prompt: empty, or longer than the context window."""


class EmptyMessage(PromptError):
    """The message to answer is empty."""


class TooLong(PromptError):
    """A message is longer than the context window allows. `tokens`: its length; `most`: the room for it."""

    def __init__(self, message: str, tokens: int, most: int) -> None:
        super().__init__(message)
        self.tokens, self.most = tokens, most


class EngineError(AssistantError):
    """The engine cannot accept or finish a request."""


class EngineBusy(EngineError):
    """So many replies are in progress that another would wait too long."""


class FormatRefused(AssistantError):
    """The engine, or the model that it serves, cannot hold an answer to the format that is asked for."""


class UnknownModel(AssistantError):
    """A request names a model or version that does not serve here."""


class ConversationError(AssistantError):
    """A conversation or reply is unknown, or belongs to another rater."""


class NotHere(ConversationError):
    """A conversation, message or reply does not exist, or does not exist any more."""


class NotYours(ConversationError):
    """A conversation belongs to another rater."""


class UnknownReason(AssistantError):
    """A rating has a reason that is not among those that people can choose."""


class NothingToUndo(ConversationError):
    """The conversation has no exchange to take back."""


class VersionGone(ConversationError):
    """The version that wrote a reply cannot continue it. `version`: its id."""

    def __init__(self, message: str, version: str) -> None:
        super().__init__(message)
        self.version = version


class NoTokens(ConversationError):
    """A reply cannot be shown token by token: it has none, its version is gone, or the engine cannot."""


class ConversationFileError(AssistantError):
    """A file is no conversation that was saved here. `reason`: not_json, not_ours, damaged or too_large."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class CommandError(AssistantError):
    """A command of `python -m alignment` cannot be started here, or has failed."""

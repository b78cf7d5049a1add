"""Check a parsed conversation before it is written."""

from feedback_store import validation
from feedback_store.errors import StoreError
from feedback_store.importers.parsing.items import (
    EMPTY,
    ImportedComparison,
    ImportedConversation,
    ImportedCorrection,
    ImportedRating,
    Unusable,
)


def check(conversation: ImportedConversation) -> None:
    """Check everything about a conversation that can be checked without the store. Raises: Unusable."""
    keys = {message.key for message in conversation.turns}
    roles = {message.key: message.role for message in conversation.turns}
    if not conversation.turns:
        raise Unusable(conversation.left_out[0] if conversation.left_out else "no messages")
    if conversation.left_out and "assistant" not in roles.values():
        raise Unusable(conversation.left_out[0])
    for message in conversation.turns:
        if message.role == "assistant" and (
            message.parent is None or (message.parent in keys and roles[message.parent] != "user")
        ):
            raise Unusable("a reply that does not follow a user message")
        if (
            message.role == "assistant"
            and message.answered
            and not message.content.strip()
            and not message.thought
        ):
            raise Unusable("an empty reply")
        if message.role == "user" and not message.content.strip():
            raise Unusable(EMPTY)
    parents = {message.key: message.parent for message in conversation.turns}
    for signal in conversation.signals:
        pair = (signal.chosen, signal.rejected) if isinstance(signal, ImportedComparison) else (signal.reply,)
        if any(roles.get(key) != "assistant" for key in pair) or len(set(pair)) < len(pair):
            raise Unusable("feedback on something that is not a reply")
        if len({parents[key] for key in pair}) > 1:
            raise Unusable("a comparison of replies to different messages")
        try:
            if isinstance(signal, ImportedCorrection):
                validation.check_correction(signal.text)
            if isinstance(signal, ImportedRating):
                validation.check_rating(signal.value, signal.reasons, signal.comment)
        except StoreError as error:
            raise Unusable(f"a {type(error).__name__}") from error

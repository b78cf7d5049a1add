"""Conversations, replies and ratings go in; training rows come out.

The store is the truth about what people said of the model's replies, and `FeedbackStore.verify` can prove it.
"""

from feedback_store.errors import (
    InvalidMessage,
    InvalidRating,
    NewerSchema,
    NotAStore,
    StoreDamaged,
    StoreError,
    StoreMissing,
    StoreUnavailable,
    StoreUnwritable,
    UnknownConversation,
    UnknownMessage,
    UnknownRater,
    UnknownReply,
)
from feedback_store.records import Conversation, FinishReason, Message, NewReply, Rating, Reply
from feedback_store.store import FeedbackStore

__all__ = [
    "Conversation",
    "FeedbackStore",
    "FinishReason",
    "InvalidMessage",
    "InvalidRating",
    "Message",
    "NewReply",
    "NewerSchema",
    "NotAStore",
    "Rating",
    "Reply",
    "StoreDamaged",
    "StoreError",
    "StoreMissing",
    "StoreUnavailable",
    "StoreUnwritable",
    "UnknownConversation",
    "UnknownMessage",
    "UnknownRater",
    "UnknownReply",
]

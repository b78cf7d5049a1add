"""Checks of what is about to be stored. Each raises an error before anything is written."""

import json
from collections.abc import Sequence
from typing import Any

from feedback_store.errors import InvalidComparison, InvalidCorrection, InvalidMessage, InvalidRating
from feedback_store.records import CHOICES, FINISH_REASONS, HOW, NewReply

MAX_ID = 64  # characters
MAX_VERSION = 200  # characters
MAX_COMMENT = 10_000  # characters
MAX_REASONS = 20
MAX_REASON = 100  # characters
MAX_RATER = 200  # characters
MAX_CORRECTION = 100_000  # characters
MAX_TITLE = 200  # characters
MAX_SEARCH = 1_000  # characters
PROPER_TEXT = "text of valid Unicode without NUL characters"
MOST_SECONDS = 1e12
LARGEST_SEED = 2**63 - 1


def is_text(value: object) -> bool:
    """Whether `value` is a string that every database can store and return unchanged."""
    if not isinstance(value, str) or "\x00" in value:  # PostgreSQL ends a text at NUL
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # an unpaired surrogate has no encoding
        return False
    return True


def check_rater(rater: object) -> None:
    """Raise InvalidRating unless `rater` is a valid rater id."""
    if not isinstance(rater, str) or not 0 < len(rater) <= MAX_RATER or not is_text(rater):
        raise InvalidRating(f"A rater's id is a text of 1 to {MAX_RATER} characters, not {rater!r:.60}.")


def check_conversation(conversation_id: object) -> None:
    """Raise InvalidMessage unless this is a valid conversation id."""
    if not is_text(conversation_id) or not 0 < len(str(conversation_id)) <= MAX_ID:
        raise InvalidMessage(
            f"A conversation's id is a text of 1 to {MAX_ID} characters, such as uuid4().hex, "
            f"not {conversation_id!r:.80}."
        )


def check_version(version: object) -> None:
    """Raise InvalidMessage unless this is a valid version id."""
    if not is_text(version) or not 0 < len(str(version)) <= MAX_VERSION:
        raise InvalidMessage(f"A version is a text of 1 to {MAX_VERSION} characters, not {version!r:.80}.")


def check_message(role: object, content: object) -> None:
    """Raise InvalidMessage unless these are the role and content of a user's or a system message."""
    if role not in ("system", "user"):
        raise InvalidMessage(
            f"A message's role is 'system' or 'user', not {role!r}. Replies of the model are stored by add_reply."
        )
    if not is_text(content):
        raise InvalidMessage(
            f"A message's content must be {PROPER_TEXT}. Remove unpaired surrogates and \\x00."
        )


def check_reply(new: NewReply) -> None:
    """Raise InvalidMessage, with the field's name, unless every field can be stored and read back unchanged."""
    if not isinstance(new.id, str) or not 0 < len(new.id) <= MAX_ID or not is_text(new.id):
        raise InvalidMessage(
            f"A reply's id is a text of 1 to {MAX_ID} characters, such as uuid4().hex, not {new.id!r:.80}."
        )
    if not is_text(new.answer) or not (new.thought is None or is_text(new.thought)):
        raise InvalidMessage(f"Reply {new.id}: answer and thought must be {PROPER_TEXT}.")
    if not is_text(new.version) or not 0 < len(new.version) <= MAX_VERSION:
        raise InvalidMessage(
            f"Reply {new.id}: version is a text of 1 to {MAX_VERSION} characters, not {new.version!r:.80}."
        )
    if new.finish_reason not in FINISH_REASONS:
        raise InvalidMessage(
            f"Reply {new.id}: finish_reason is one of {', '.join(FINISH_REASONS)}, not {new.finish_reason!r}."
        )
    if type(new.think) is not bool:
        raise InvalidMessage(f"Reply {new.id}: think is true or false, not {new.think!r}.")
    if type(new.seed) is not int or abs(new.seed) > LARGEST_SEED:
        raise InvalidMessage(f"Reply {new.id}: seed is a whole number within 64 bits, not {new.seed!r:.60}.")
    for name, ids in (("prompt_ids", new.prompt_ids), ("completion_ids", new.completion_ids)):
        if not are_token_ids(ids):
            raise InvalidMessage(f"Reply {new.id}: {name} is a list of whole numbers from 0 to 2^31-1.")
    for seconds in (new.seconds, new.first_token_seconds or 0.0, new.thought_seconds or 0.0):
        if not isinstance(seconds, int | float) or not abs(seconds) <= MOST_SECONDS:  # false for NaN too
            raise InvalidMessage(f"Reply {new.id}: times are seconds, not {seconds!r:.60}.")
    if not isinstance(new.sampling, dict):
        raise InvalidMessage(f"Reply {new.id}: sampling is a dictionary, not {new.sampling!r:.60}.")
    try:
        # Unpaired surrogates are found only when the text is encoded.
        json.dumps(new.sampling, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidMessage(f"Reply {new.id}: sampling cannot be written as JSON: {error}.") from error


def check_rating(value: object, reasons: Sequence[str], comment: object) -> None:
    """Raise InvalidRating unless value, reasons and comment are valid."""
    if type(value) is not int or value not in (-1, 0, 1):
        raise InvalidRating(f"A rating is 1 (up), -1 (down) or 0 (withdrawn), not {value!r}.")
    if isinstance(reasons, str) or not isinstance(reasons, Sequence):
        raise InvalidRating(f"Reasons are a list of short texts, not {reasons!r:.60}.")
    if len(reasons) > MAX_REASONS:
        raise InvalidRating(f"A rating has at most {MAX_REASONS} reasons, not {len(reasons)}.")
    for reason in reasons:
        if not is_text(reason) or not 0 < len(reason) <= MAX_REASON:
            raise InvalidRating(f"A reason is a text of 1 to {MAX_REASON} characters, not {reason!r:.60}.")
    if not is_text(comment):
        raise InvalidRating(f"A comment must be {PROPER_TEXT}.")
    if len(str(comment)) > MAX_COMMENT:
        raise InvalidRating(
            f"A comment has at most {MAX_COMMENT:,} characters, not {len(str(comment)):,}. Shorten it."
        )


def check_correction(text: object) -> None:
    """Raise InvalidCorrection unless `text` can be stored; an empty text withdraws a correction."""
    if not isinstance(text, str) or not is_text(text):
        raise InvalidCorrection(f"A correction must be {PROPER_TEXT}.")
    if len(text) > MAX_CORRECTION:
        raise InvalidCorrection(
            f"A correction has at most {MAX_CORRECTION:,} characters, not {len(text):,}. Shorten it."
        )


def check_comparison(left: object, right: object, choice: object, blind: object, how: object) -> None:
    """Raise InvalidComparison unless all fields are valid."""
    if choice not in CHOICES:
        raise InvalidComparison(f"A choice is one of {', '.join(CHOICES)}, not {choice!r:.60}.")
    if how not in HOW:
        raise InvalidComparison(f"How two replies differ is one of {', '.join(HOW)}, not {how!r:.60}.")
    if type(blind) is not bool:
        raise InvalidComparison(f"blind is true or false, not {blind!r:.60}.")
    if left == right:
        raise InvalidComparison(f"Reply {left!r:.80} cannot be compared with itself. Name two replies.")


def check_title(title: object) -> None:
    """Raise InvalidMessage unless `title` is a valid title; an empty one restores the automatic title."""
    if not isinstance(title, str) or not is_text(title):
        raise InvalidMessage(f"A title must be {PROPER_TEXT}.")
    if len(title) > MAX_TITLE:
        raise InvalidMessage(f"A title has at most {MAX_TITLE} characters, not {len(title):,}. Shorten it.")


def check_search(text: object) -> None:
    """Raise InvalidMessage unless `text` is a valid search text."""
    if not isinstance(text, str) or not is_text(text):
        raise InvalidMessage(f"A search text must be {PROPER_TEXT}.")
    if len(text) > MAX_SEARCH:
        raise InvalidMessage(
            f"A search has at most {MAX_SEARCH:,} characters, not {len(text):,}. Search for a part of it."
        )


def are_token_ids(value: Any) -> bool:
    """Whether `value` is a list of plain ints within 31 bits; booleans and numpy numbers are not."""
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 2**31 for item in value)

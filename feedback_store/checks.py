"""What may enter the store. Each check raises before anything is written."""

import json
import math
from collections.abc import Sequence
from typing import Any

from feedback_store.errors import InvalidMessage, InvalidRating
from feedback_store.records import FINISH_REASONS, NewReply

MAX_COMMENT = 10_000  # characters
MAX_REASONS = 20
MAX_REASON = 100  # characters
MAX_RATER = 200  # characters
LARGEST_SEED = 2**63 - 1


def check_rater(rater: object) -> None:
    """Raises InvalidRating unless `rater` can name a person."""
    if not isinstance(rater, str) or not 0 < len(rater) <= MAX_RATER or not _is_text(rater):
        raise InvalidRating(f"A rater's id is a text of 1 to {MAX_RATER} characters, not {rater!r:.60}.")


def check_message(role: object, content: object) -> None:
    """Raises InvalidMessage unless a person or the system can have said this."""
    if role not in ("system", "user"):
        raise InvalidMessage(
            f"A message's role is 'system' or 'user', not {role!r}. Replies of the model come by add_reply."
        )
    if not _is_text(content):
        raise InvalidMessage("A message's content must be text of valid Unicode. Remove unpaired surrogates.")


def check_reply(new: NewReply) -> None:
    """Raises InvalidMessage, naming the field, unless every field can be stored and read back the same."""
    if not isinstance(new.id, str) or not 0 < len(new.id) <= 64 or not _is_text(new.id):
        raise InvalidMessage(
            f"A reply's id is a text of 1 to 64 characters, such as uuid4().hex, not {new.id!r:.80}."
        )
    if not _is_text(new.answer) or not (new.thought is None or _is_text(new.thought)):
        raise InvalidMessage(f"Reply {new.id}: answer and thought must be text of valid Unicode.")
    if not _is_text(new.version) or not 0 < len(new.version) <= 200:
        raise InvalidMessage(
            f"Reply {new.id}: version is a text of 1 to 200 characters, not {new.version!r:.80}."
        )
    if new.finish_reason not in FINISH_REASONS:
        raise InvalidMessage(
            f"Reply {new.id}: finish_reason is one of {', '.join(FINISH_REASONS)}, not {new.finish_reason!r}."
        )
    if type(new.think) is not bool:
        raise InvalidMessage(f"Reply {new.id}: think is true or false, not {new.think!r}.")
    if type(new.seed) is not int or abs(new.seed) > LARGEST_SEED:
        raise InvalidMessage(f"Reply {new.id}: seed is a whole number within 64 bits, not {new.seed!r}.")
    for name, ids in (("prompt_ids", new.prompt_ids), ("completion_ids", new.completion_ids)):
        if not are_token_ids(ids):
            raise InvalidMessage(f"Reply {new.id}: {name} is a list of whole numbers from 0 on.")
    for seconds in (new.seconds, new.first_token_seconds or 0.0, new.thought_seconds or 0.0):
        if not isinstance(seconds, int | float) or not math.isfinite(seconds):
            raise InvalidMessage(f"Reply {new.id}: times are seconds, not {seconds!r}.")
    try:
        json.dumps(new.sampling, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidMessage(f"Reply {new.id}: sampling cannot be written as JSON: {error}.") from error


def check_rating(value: object, reasons: Sequence[str], comment: object) -> None:
    """Raises InvalidRating unless value, reasons and comment are within what a rating can be."""
    if type(value) is not int or value not in (-1, 0, 1):
        raise InvalidRating(f"A rating is 1 (up), -1 (down) or 0 (withdrawn), not {value!r}.")
    if isinstance(reasons, str) or not isinstance(reasons, Sequence):
        raise InvalidRating(f"Reasons are a list of short texts, not {reasons!r:.60}.")
    if len(reasons) > MAX_REASONS:
        raise InvalidRating(f"A rating has at most {MAX_REASONS} reasons, not {len(reasons)}.")
    for reason in reasons:
        if not _is_text(reason) or not 0 < len(reason) <= MAX_REASON:
            raise InvalidRating(f"A reason is a text of 1 to {MAX_REASON} characters, not {reason!r:.60}.")
    if not _is_text(comment):
        raise InvalidRating("A comment must be text of valid Unicode.")
    if len(str(comment)) > MAX_COMMENT:
        raise InvalidRating(
            f"A comment has at most {MAX_COMMENT:,} characters, not {len(str(comment)):,}. Shorten it."
        )


def are_token_ids(value: Any) -> bool:
    """Whether `value` is a list of plain non-negative ints; booleans and numpy numbers are not."""
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # an unpaired surrogate: no database can hold it
        return False
    return True

"""Langfuse: exported traces, as CSV or JSON, with their scores, and those of an export of scores beside the file.

The scores of `traces.csv` are looked for in `scores.csv`, `.json` or `.jsonl` beside it. Only scores that are thumbs by
themselves count: 1, -1, words such as good, and booleans; not those that an evaluator gave. A trace without scores is
a conversation; one whose scores disagree gives no row.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from feedback_store.importers.datasets.mapped_columns import message_in, messages_in
from feedback_store.importers.datasets.training_rows import prompt_of, reply_to
from feedback_store.importers.parsing.fields import filled, label, moment, remarks, thumb_of, whole
from feedback_store.importers.parsing.files import Item, each, table_rows
from feedback_store.importers.parsing.items import ImportedConversation, ImportedRating, Unusable, as_context
from feedback_store.importers.parsing.json_stream import parsed
from feedback_store.importers.parsing.text_only import check_text_only

Scores = dict[str, list[dict[str, Any]]]


def read(path: Path) -> Iterator[Item]:
    return each(table_rows(path), partial(conversation, beside=_scores_beside(path)))


def conversation(row: dict[str, Any], beside: Scores | None = None) -> ImportedConversation:
    """Convert one trace; `beside` has more scores by the id of their trace. Raises: Unusable."""
    if "input" not in row and "traceId" in row:
        raise Unusable("a score without its trace: import the traces, with the scores beside them")
    key = filled(row.get("id"), "id")
    prompt = prompt_of(messages_in(row.get("input")))
    output = message_in(row.get("output"))
    check_text_only(output if isinstance(output, dict) else {})
    reply = reply_to(prompt, output)
    at = moment(row.get("timestamp"))
    rater = label(row.get("userId")) or key
    own = parsed(row["scores"]) if isinstance(row.get("scores"), str) and row["scores"] else row.get("scores")
    given = [score for score in own if isinstance(score, dict)] if isinstance(own, list) else []
    scores = [score for score in [*given, *(beside or {}).get(key, [])] if score.get("source") != "EVAL"]
    thumbs = {value for score in scores if (value := _thumb(score))}
    if scores and len(thumbs) != 1:
        raise Unusable("scores that disagree" if thumbs else "scores that are no thumbs")
    comments = [comment for score in scores if (comment := label(score.get("comment")))]
    ratings = [
        ImportedRating(reply.key, rater, value, at=at, **remarks([], "\n".join(dict.fromkeys(comments))))
        for value in thumbs
    ]
    return ImportedConversation(key, rater, (*as_context(prompt), reply), tuple(ratings), at=at)


def _thumb(score: dict[str, Any]) -> int | None:
    kind = score.get("dataType")
    if kind == "BOOLEAN":
        return {1: 1, 0: -1}.get(whole(score.get("value")) or 0)
    return thumb_of(score.get("stringValue") or score.get("value"))


def _scores_beside(path: Path) -> Scores:
    scores: Scores = {}
    for suffix in (".jsonl", ".json", ".csv"):
        other = path.with_name(path.stem.replace("traces", "scores") + suffix)
        if other != path and "traces" in path.stem and other.is_file():
            for _, row in table_rows(other):
                if isinstance(row, dict) and isinstance(row.get("traceId"), str):
                    scores.setdefault(row["traceId"], []).append(row)
    return scores

"""Rows of a training benchmark as a file, and as thumbs in a home's store."""

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assistant.serving import prompt
from feedback_store import FeedbackStore, NewReply


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write JSON Lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def rate_rows(home: Path, version: str, tokenizer: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Store each row as a reply of `version` with a thumb: the right answer if `label` is true, else the wrong one."""
    with FeedbackStore.open_home(home) as store:
        for row in rows:
            side, think = row["right"] if row["label"] else row["wrong"], row["think"]
            conversation = store.new_conversation("person")
            message = store.add_message(conversation, None, "user", row["messages"][-1]["content"])
            reply = NewReply(
                id=uuid.uuid4().hex,
                conversation_id=conversation,
                parent_id=message.id,
                thought=side["thought"] or None,
                answer=side["answer"],
                think=think,
                sampling={},
                seed=1,
                version=version,
                prompt_ids=prompt.render(tokenizer, row["messages"], think=think),
                completion_ids=prompt.completion(tokenizer, **side, think=think),
                finish_reason="end",
                first_token_seconds=0.0,
                seconds=0.0,
                thought_seconds=None,
            )
            store.add_reply(reply)
            store.rate(reply.id, "person", 1 if row["label"] else -1)

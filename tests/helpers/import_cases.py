"""Small files in the shapes of other systems that were once read wrongly, and what is right for each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from feedback_store import FeedbackStore
from feedback_store.records import AnsweredPrompt


@dataclass(frozen=True)
class ImportCase:
    """Rows of a file, and what an import of them must add: counts, and the skipped rows by reason.

    `rows` is written as JSON lines; a text is written as it is. `name` is the file's name where it matters.
    """

    system: str
    rows: list[Any] | str
    up: list[str] = field(default_factory=list)
    down: list[str] = field(default_factory=list)
    pairs: list[str] = field(default_factory=list)  # "chosen > rejected", or "one = other"
    demos: list[str] = field(default_factory=list)
    prompts: int = 0  # without any reply
    skipped: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    name: str = "file.jsonl"

    @property
    def is_usable(self) -> bool:
        """Whether anything of the file is imported."""
        return any([*self.expected.values(), self.left_out])

    @property
    def expected(self) -> dict[str, Any]:
        """What `added` must return."""
        kinds = {kind: sorted(getattr(self, kind)) for kind in ("up", "down", "pairs", "demos")}
        return {**kinds, "prompts": self.prompts}

    def write(self, folder: Path) -> Path:
        path = folder / self.name
        text = (
            self.rows if isinstance(self.rows, str) else "".join(json.dumps(row) + "\n" for row in self.rows)
        )
        path.write_text(text, encoding="utf-8")
        return path


def added(store: FeedbackStore) -> dict[str, Any]:
    """What a store holds, in the terms of an ImportCase."""
    signs = {"left": ">", "both_good": "=", "both_bad": "="}
    return {
        "up": sorted(reply.answer for rating, reply in store.ratings() if rating.value > 0),
        "down": sorted(reply.answer for rating, reply in store.ratings() if rating.value < 0),
        "pairs": sorted(
            f"{left.answer} {signs[comparison.choice]} {right.answer}"
            for comparison, left, right in store.comparisons()
        ),
        "demos": sorted(correction.text for correction, _ in store.corrections()),
        "prompts": sum(1 for prompt in store.answered_prompts() if _is_unanswered(store, prompt)),
    }


def _is_unanswered(store: FeedbackStore, prompt: AnsweredPrompt) -> bool:
    messages = store.messages(prompt.conversation_id)
    replies = [message.reply for message in messages if message.parent_id == prompt.message_id]
    return all(reply is not None and reply.finish_reason == "error" for reply in replies)


def user(content: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **fields}


def reply(content: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


FILE, TOOL = "a picture, a sound or a file", "a tool"
SOURCES, ERROR = "sources of a search", "an error in place of a reply"
HANGS = "a message that hangs on one that was left out"

"""Rated replies for tests of training, stored without a running app."""

import uuid
from pathlib import Path

from transformers import AutoTokenizer

from assistant.bases.base import STARTER_FOLDER
from assistant.serving import prompt
from feedback_store import FeedbackStore, NewReply


def rate_replies(home: Path, replies: list[tuple[str, str, int]], version: str = "v1") -> None:
    """Store each (question, answer, thumb) as a reply of `version`, without a thought, and its thumb if not 0."""
    home.mkdir(exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")
    with FeedbackStore.open(home / "feedback.db") as store:
        for question, answer, thumb in replies:
            conversation = store.new_conversation("tester")
            message = store.add_message(conversation, None, "user", question)
            reply = store.add_reply(
                NewReply(
                    id=uuid.uuid4().hex,
                    conversation_id=conversation,
                    parent_id=message.id,
                    thought=None,
                    answer=answer,
                    think=False,
                    sampling={"temperature": 0.7},
                    seed=1,
                    version=version,
                    prompt_ids=prompt.render(tokenizer, [{"role": "user", "content": question}], think=False),
                    completion_ids=prompt.completion(tokenizer, "", answer, think=False),
                    finish_reason="end",
                    first_token_seconds=0.1,
                    seconds=0.2,
                    thought_seconds=None,
                )
            )
            if thumb:
                store.rate(reply.id, "tester", thumb)


def apples(count: int) -> list[tuple[str, str, int]]:
    """Word problems answered alternately with the unit (thumb up) and without it (thumb down)."""
    return [
        (f"Tom has {n} apples and buys 2 more. How many apples has he?", f"{n + 2} apples" if n % 2 else f"{n + 2}",
         1 if n % 2 else -1)
        for n in range(3, 3 + count)
    ]  # fmt: skip

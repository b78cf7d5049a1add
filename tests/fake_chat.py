"""A chat without a model, in memory: the same conversations, replies and votes, scripted answers.

Message trees behave as the real ones: an edit or a retry adds a sibling, the head says which path is shown.
A message beginning with "slow" streams until stopped or closed; one with "broken" fails after two words.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from assistant.conversation import Turn, Update
from assistant.errors import AssistantError
from assistant.page import build_page, launch_options

ANSWERS = {
    "347 + 285": "The answer is **632**.",
    "347+285等于多少？": "答案是 **632**。",
    "table": "| n | n² |\n|---|---|\n| 2 | 4 |\n| 3 | 9 |\n\n```python\nprint(2 ** 2)\n```",
    "tags": (
        "<b>bold</b> <img src=x onerror=\"document.title='owned'\"> `<i>` "
        "<script>document.title='owned'</script>"
    ),
}
THOUGHT = "7 + 5 = 12, write 2, carry 1\n4 + 8 + 1 = 13, write 3, carry 1\n3 + 2 + 1 = 6\nSo 347 + 285 = 632."


@dataclass
class Vote:
    """One rater's last vote on one reply."""

    value: int
    reasons: tuple[str, ...]
    comment: str


class FakeChat:
    """Stands in for `assistant.conversation.Chat`."""

    def __init__(self, version: str = "v1", seconds_between: float = 0.0) -> None:
        self.version = version
        self.seconds_between = seconds_between
        self.turns: dict[str, Turn] = {}
        self.conversations: dict[str, str] = {}  # turn id → conversation
        self.owners: dict[str, str] = {}  # conversation → rater
        self.heads: dict[str, str | None] = {}
        self.votes: dict[tuple[str, str], Vote] = {}  # (reply, rater)
        self.asked: list[tuple[str, bool]] = []  # (message, think) in the order they came
        self.finished: dict[str, str] = {}  # reply → finish reason
        self.closed = threading.Event()  # a reply's generator was closed before its end
        self._stopped: set[str] = set()
        self._ids = count(1)

    @property
    def about(self) -> str:
        return f"{self.version} · starter, 4.9M parameters"

    async def reply(
        self,
        message: str,
        *,
        think: bool,
        rater: str,
        conversation: str | None = None,
        parent: str | None = None,
    ) -> AsyncGenerator[Update, None]:
        if conversation is not None:
            self._check(conversation, rater)
        if not message.strip():
            raise AssistantError("The message is empty. Write something and send it again.")
        if conversation is None:
            conversation = f"c{next(self._ids)}"
            self.owners[conversation], self.heads[conversation] = rater, None
        at = self.heads[conversation] if parent is None else parent or None
        if at is not None and self.turns[at].role == "user":
            at = self.turns[at].parent_id  # never answered: the new message takes its place
        asked = Turn(f"m{next(self._ids)}", at, "user", message, None, None, None, None, 0, (), "")
        self._add(asked, conversation)
        async with aclosing(self._answer(asked, conversation, think)) as updates:
            async for update in updates:
                yield update

    async def retry(self, reply_id: str, *, think: bool, rater: str) -> AsyncGenerator[Update, None]:
        conversation = self.conversations[reply_id]
        self._check(conversation, rater)
        asked = self.turns[self.turns[reply_id].parent_id or ""]
        async with aclosing(self._answer(asked, conversation, think)) as updates:
            async for update in updates:
                yield update

    async def stop(self, reply_id: str) -> None:
        self._stopped.add(reply_id)

    def history(self, conversation: str, rater: str) -> list[Turn]:
        self._check(conversation, rater)
        path: list[Turn] = []
        at = self.heads[conversation]
        while at is not None:
            turn = self.turns[at]
            vote = self.votes.get((turn.id, rater))
            if vote is not None:
                turn = replace(turn, rating=vote.value, reasons=vote.reasons, comment=vote.comment)
            path.append(turn)
            at = turn.parent_id
        return path[::-1]

    def undo(self, conversation: str, rater: str) -> str:
        asked = next(turn for turn in reversed(self.history(conversation, rater)) if turn.role == "user")
        self.heads[conversation] = asked.parent_id
        return asked.content

    def rate(self, reply_id: str, value: int, reasons: Sequence[str], comment: str, rater: str) -> None:
        if reply_id not in self.turns:
            raise AssistantError(f"There is no reply {reply_id!r}. Check the id that /chat gave.")
        if value == 0:
            self.votes.pop((reply_id, rater), None)
        else:
            self.votes[reply_id, rater] = Vote(value, tuple(reasons), comment)

    def siblings(self, parent_id: str | None) -> list[Turn]:
        """All turns under one parent, oldest first."""
        return [turn for turn in self.turns.values() if turn.parent_id == parent_id]

    def _check(self, conversation: str, rater: str) -> None:
        if self.owners.get(conversation) != rater:
            raise AssistantError(f"There is no conversation {conversation!r} of yours. Start a new one.")

    def _add(self, turn: Turn, conversation: str) -> None:
        self.turns[turn.id] = turn
        self.conversations[turn.id] = conversation
        self.heads[conversation] = turn.id

    async def _answer(self, asked: Turn, conversation: str, think: bool) -> AsyncGenerator[Update, None]:
        self.asked.append((asked.content, think))
        version, reply_id = self.version, f"r{next(self._ids)}"
        thought_lines = THOUGHT.split("\n") if think else []
        slow = asked.content.startswith("slow")
        answer_words = ["tick"] * 100_000 if slow else self._text(asked.content).split(" ")
        thought = answer = ""
        reason: str | None = None

        def update(thinking: bool) -> Update:
            seconds = 2.1 if think and not thinking else None
            return Update(reply_id, conversation, thought, answer, version, thinking, reason, 3.0, seconds)

        try:
            for line in thought_lines:
                await asyncio.sleep(self.seconds_between)
                thought = f"{thought}\n{line}".lstrip("\n")
                yield update(thinking=True)
            for number, word in enumerate(answer_words):
                await asyncio.sleep(0.01 if slow else self.seconds_between)
                if reply_id in self._stopped:
                    reason = "stopped"
                    break
                if asked.content.startswith("broken") and number == 2:
                    reason = "error"
                    raise AssistantError("The engine stopped answering. Send the message again.")
                answer = f"{answer} {word}".lstrip(" ")
                yield update(thinking=False)
            reason = reason or "end"
        except GeneratorExit:
            reason = "stopped"
            self.closed.set()
            raise
        finally:
            self.finished[reply_id] = reason or "error"
            self._add(
                Turn(
                    reply_id,
                    asked.id,
                    "assistant",
                    answer,
                    thought or None,
                    version,
                    reason,
                    2.1 if think else None,
                    0,
                    (),
                    "",
                ),
                conversation,
            )
        yield update(thinking=False)

    def _text(self, message: str) -> str:
        return ANSWERS.get(message, f"You said: {message}")


@contextmanager
def serving(fake: FakeChat) -> Iterator[str]:
    """The page over `fake` on a free port; yields its address."""

    async def start() -> tuple[Any, str]:
        page = build_page(fake)  # type: ignore[arg-type]
        return page, page.launch(prevent_thread_lock=True, quiet=True, **launch_options())[1]

    # In a running event loop, because Gradio makes one for every lock otherwise, and never closes it.
    page, url = asyncio.run(start())
    try:
        yield url
    finally:
        page.close(verbose=False)

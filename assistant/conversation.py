"""One turn of a chat: messages in, a streamed reply out, everything stored.

The store keeps a tree: an edit adds a sibling message, a retry a sibling reply, and the conversation's head says
which path is shown. A reply is stored once, when it ends: whole, stopped, or failed.
"""

import asyncio
import secrets
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace

from assistant import prompt
from assistant.engine import Chunk, Engine, Served
from assistant.errors import AssistantError, ConversationError, PromptError
from assistant.model import Loaded
from assistant.sampling import Sampling
from feedback_store import (
    FeedbackStore,
    FinishReason,
    Message,
    NewReply,
    UnknownConversation,
    UnknownMessage,
    UnknownReply,
)

UPDATE_SECONDS = 0.05
"""Shortest time between two updates: about twenty a second read as smooth, and each one costs."""


@dataclass(frozen=True)
class Update:
    """A reply as it stands; texts are cumulative."""

    reply_id: str
    conversation: str
    thought: str
    answer: str
    version: str
    thinking: bool
    """The thought is still open."""
    finish_reason: str | None
    """None while it streams; then "end", "length", "stopped" or "error"."""
    seconds: float
    thought_seconds: float | None


@dataclass(frozen=True)
class Turn:
    """One message on the shown path of a conversation, with this rater's vote on it."""

    id: str
    parent_id: str | None
    role: str
    content: str
    thought: str | None
    version: str | None
    finish_reason: str | None
    thought_seconds: float | None
    rating: int
    reasons: tuple[str, ...]
    comment: str


class Chat:
    """What the page and the API talk to."""

    def __init__(self, store: FeedbackStore, engine: Engine, sampling: Sampling) -> None:
        """`sampling` is what replies are drawn with; each gets a seed of its own."""
        self._store = store
        self._engine = engine
        self._sampling = sampling
        self._stops: dict[str, asyncio.Event] = {}

    @property
    def version(self) -> str:
        """Id of the version that new replies come from."""
        return self._engine.version.id

    @property
    def about(self) -> str:
        """The serving version in one line: id, base, size."""
        with self._engine.lease() as served:
            size = served.loaded.model.num_parameters()
        name = served.version.manifest.base.name
        return f"{served.version.id} · {name} · {size / 1e6:.1f}M"

    async def reply(
        self,
        message: str,
        *,
        think: bool,
        rater: str,
        conversation: str | None = None,
        parent: str | None = None,
    ) -> AsyncGenerator[Update, None]:
        """Store `message` and stream the answer to it.

        `conversation` None starts one. `parent` None answers at the conversation's head; "" at the start of its
        tree, which is how the first message is edited. Raises PromptError for a message that is empty or too
        long, before anything is stored; ConversationError if the conversation is unknown or somebody else's.
        """
        with self._engine.lease() as served:
            before = await asyncio.to_thread(self._before, conversation, parent, rater)
            asked = [*_messages(before), {"role": "user", "content": message}]
            prompt_ids = fit(served.loaded, asked, think, self._sampling.max_new_tokens)
            if conversation is None:
                conversation = await asyncio.to_thread(self._store.new_conversation, rater)
            user = await asyncio.to_thread(
                self._store.add_message, conversation, before[-1].id if before else None, "user", message
            )
            async with aclosing(self._answer(served, user, prompt_ids, think)) as updates:
                async for update in updates:
                    yield update

    async def retry(self, reply_id: str, *, think: bool, rater: str) -> AsyncGenerator[Update, None]:
        """Another reply to the same message, beside the first. Raises as `reply`."""
        with self._engine.lease() as served:
            path = await asyncio.to_thread(self._path_to_question, reply_id, rater)
            prompt_ids = fit(served.loaded, _messages(path), think, self._sampling.max_new_tokens)
            async with aclosing(self._answer(served, path[-1], prompt_ids, think)) as updates:
                async for update in updates:
                    yield update

    async def stop(self, reply_id: str) -> None:
        """End a streaming reply; what there is of it is kept. Nothing happens if it has ended already."""
        if reply_id in self._stops:
            self._stops[reply_id].set()

    def history(self, conversation: str, rater: str) -> list[Turn]:
        """The shown path, first message first. Raises ConversationError if it is not this rater's."""
        head = self._owned(conversation, rater)
        return [self._turn(message, rater) for message in (self._store.path(head) if head else [])]

    def undo(self, conversation: str, rater: str) -> str:
        """Take the last message and its answer off the path; the message's text. They stay in the store.

        Raises ConversationError if there is nothing to undo.
        """
        head = self._owned(conversation, rater)
        asked = [message for message in (self._store.path(head) if head else []) if message.role == "user"]
        if not asked:
            raise ConversationError("There is nothing to undo: the conversation is empty.")
        self._store.set_head(conversation, asked[-1].parent_id)
        return asked[-1].content

    def rate(self, reply_id: str, value: int, reasons: Sequence[str], comment: str, rater: str) -> None:
        """Store a vote: 1, -1, or 0 to withdraw it. The last vote of a rater on a reply counts.

        Raises StoreError if the reply is unknown or a value out of range.
        """
        self._store.rate(reply_id, rater, value, reasons, comment)

    async def _answer(
        self, served: Served, question: Message, prompt_ids: list[int], think: bool
    ) -> AsyncGenerator[Update, None]:
        sampling = replace(self._sampling, seed=secrets.randbelow(2**31))
        reply_id, tokenizer, began = uuid.uuid4().hex, served.loaded.tokenizer, time.monotonic()
        stop = self._stops[reply_id] = asyncio.Event()
        ids: list[int] = []
        state = Update(
            reply_id,
            question.conversation_id,
            "",
            "",
            served.version.id,
            think,
            None,
            seconds=0.0,
            thought_seconds=None,
        )
        first_token: float | None = None
        reason: FinishReason = "stopped"
        chunks = _until(served.stream(prompt_ids, sampling), stop)
        try:
            yield state
            async for chunk in chunks:
                ids += chunk.token_ids
                elapsed = time.monotonic() - began
                first_token = first_token if first_token is not None else elapsed
                parsed = prompt.parse(prompt.decode(tokenizer, ids), think)
                thought_ended = elapsed if parsed.thought and not parsed.thinking else None
                state = replace(
                    state,
                    thought=parsed.thought,
                    answer=parsed.answer,
                    thinking=parsed.thinking and chunk.finish_reason is None,
                    seconds=elapsed,
                    thought_seconds=state.thought_seconds
                    if state.thought_seconds is not None
                    else thought_ended,
                )
                if chunk.finish_reason is not None:
                    reason = chunk.finish_reason
                    break
                yield state
                # The engine gathers what comes meanwhile into the next chunk.
                await asyncio.sleep(UPDATE_SECONDS)
        except AssistantError:
            reason = "error"
            raise
        finally:
            del self._stops[reply_id]
            await chunks.aclose()
            state = replace(state, finish_reason=reason, thinking=False, seconds=time.monotonic() - began)
            new = NewReply(
                id=reply_id,
                conversation_id=question.conversation_id,
                parent_id=question.id,
                thought=state.thought or None,
                answer=state.answer,
                think=think,
                sampling={key: value for key, value in asdict(sampling).items() if key != "seed"},
                seed=sampling.seed,
                version=served.version.id,
                prompt_ids=prompt_ids,
                completion_ids=ids,
                finish_reason=reason,
                first_token_seconds=first_token,
                seconds=state.seconds,
                thought_seconds=state.thought_seconds,
            )
            # Shielded: a reader who leaves must not leave a reply half recorded.
            await asyncio.shield(asyncio.to_thread(self._store.add_reply, new))
        yield state

    def _owned(self, conversation: str, rater: str) -> str | None:
        try:
            found = self._store.conversation(conversation)
        except UnknownConversation as error:
            raise ConversationError("This conversation is not here any more. Start a new one.") from error
        if found.rater != rater:
            raise ConversationError("This conversation belongs to somebody else. Start one of your own.")
        return found.head

    def _before(self, conversation: str | None, parent: str | None, rater: str) -> list[Message]:
        if conversation is None:
            return []
        head = self._owned(conversation, rater)
        at = head if parent is None else parent
        try:
            path = self._store.path(at) if at else []
        except UnknownMessage as error:
            raise ConversationError("The message to answer is not here any more. Reload the page.") from error
        if path and path[-1].conversation_id != conversation:
            raise ConversationError("The message to answer is not in this conversation. Reload the page.")
        # A question that never got its answer is passed over: the new one becomes its sibling.
        return path[:-1] if path and path[-1].role == "user" else path

    def _path_to_question(self, reply_id: str, rater: str) -> list[Message]:
        try:
            reply = self._store.reply(reply_id)
        except UnknownReply as error:
            raise ConversationError("This reply is not here any more. Reload the page.") from error
        self._owned(reply.conversation_id, rater)
        return self._store.path(reply.parent_id)

    def _turn(self, message: Message, rater: str) -> Turn:
        reply = message.reply
        rating = self._store.rating(message.id, rater) if reply else None
        return Turn(
            id=message.id,
            parent_id=message.parent_id,
            role=message.role,
            content=message.content,
            thought=message.thought,
            version=reply.version if reply else None,
            finish_reason=reply.finish_reason if reply else None,
            thought_seconds=reply.thought_seconds if reply else None,
            rating=rating.value if rating else 0,
            reasons=rating.reasons if rating else (),
            comment=rating.comment if rating else "",
        )


def fit(loaded: Loaded, messages: Sequence[dict[str, str]], think: bool, max_new_tokens: int) -> list[int]:
    """Token ids of the prompt, oldest turns left out until a reply has room. Never cut inside a message.

    Room means `max_new_tokens`, but at most half of the window. Raises PromptError if the last message alone
    is too long, or empty.
    """
    room = min(max_new_tokens, loaded.window // 2)
    kept = list(messages)
    while True:
        ids = prompt.render(loaded.tokenizer, kept, think)
        if len(ids) + room <= loaded.window:
            return ids
        after_first_turn = next((i for i, turn in enumerate(kept) if i and turn["role"] == "user"), None)
        if after_first_turn is None:
            raise PromptError(
                f"The message is too long: {len(ids)} tokens, and there is room for {loaded.window - room}. "
                "Shorten it, or send it in parts."
            )
        kept = kept[after_first_turn:]


def _messages(path: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in path]


async def _until(items: AsyncGenerator[Chunk, None], stop: asyncio.Event) -> AsyncGenerator[Chunk, None]:
    """`items` until they end or `stop` is set, whichever comes first."""
    stopped = asyncio.ensure_future(stop.wait())
    coming: asyncio.Future[Chunk] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(items))
            await asyncio.wait({coming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            # Whatever came together with the stop is let go: one who presses stop wants no more.
            if stop.is_set():
                return
            try:
                yield coming.result()
            except StopAsyncIteration:
                return
    finally:
        stopped.cancel()
        if coming is not None and not coming.done():
            coming.cancel()
            await asyncio.wait({coming})
        await items.aclose()

"""What the page and the API talk to: messages in, stored replies out, streamed.

The store keeps a tree: an edit adds a sibling message, a retry a sibling reply, and the conversation's head says
which path is shown.
"""

import asyncio
import logging
import secrets
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import replace
from typing import Literal

from assistant import carry
from assistant.answering import Request, Update, answer, together
from assistant.context import Fitted, fit
from assistant.engine import Engine, Served
from assistant.errors import AssistantError, ConversationError
from assistant.library import Library, Turn
from assistant.prompt import has_thinking_switch
from assistant.remote import RemoteEngine, RemoteServed
from assistant.sampling import Sampling
from assistant.tokens import Step, steps
from assistant.transcripts import Transcripts
from assistant.trial import UnderWay
from assistant.versions import Manifest, Versions
from feedback_store import FeedbackStore, Message, UnknownMessage

__all__ = ["Chat", "How", "Turn", "Update", "fit"]

log = logging.getLogger(__name__)

How = Literal["resample", "thinking", "versions"]
"""What differs between two replies side by side: the draw alone, whether the model thinks first, or the version."""


UNHURRIED = 8
"""Replies at once up to which each is shown as often as reads smoothly."""
MOST_PAUSES = 5.0
"""How many times as long the pause between updates may become: four updates a second still read as writing."""


class Chat:
    """One chat service over a store and an engine. People's lists and judgements are in its `library`."""

    update_seconds = 0.05
    """Shortest time between two updates: about twenty a second read as smooth, and each one costs."""

    def __init__(
        self,
        store: FeedbackStore,
        engine: Engine | RemoteEngine,
        sampling: Sampling,
        versions: Versions | None = None,
    ) -> None:
        """`sampling` is what replies are drawn with where nobody asks for another; each gets its own seed.

        `versions` is the registry in which a stored reply's version is found again; a live comparison in its home
        decides which version answers in a conversation.
        """
        self.library = Library(store)
        self.sampling = sampling
        self._store = store
        self._engine = engine
        self._versions = versions
        self._trial = UnderWay(versions.home) if versions else None
        self._transcripts = Transcripts(store)
        self._stops: dict[str, asyncio.Event] = {}

    @property
    def version(self) -> str:
        """Id of the version that new replies come from."""
        return self._engine.version.id

    @property
    def about(self) -> str:
        """The serving version in one line: id, base, size."""
        with self._engine.lease() as served:
            model = served.loaded.model
        line = f"{served.version.id} · {served.version.manifest.base.name}"
        # A model on another server does not say how large it is.
        return line if model is None else f"{line} · {model.num_parameters() / 1e6:.1f}M"

    @property
    def engine(self) -> Engine | RemoteEngine:
        """What makes the replies."""
        return self._engine

    async def reply(
        self,
        message: str,
        *,
        think: bool,
        rater: str,
        conversation: str | None = None,
        parent: str | None = None,
        system: str = "",
        version: str | None = None,
        sampling: Sampling | None = None,
        seed: int | None = None,
    ) -> AsyncGenerator[Update, None]:
        """Store `message` and stream the answer to it.

        `conversation` None starts one. `parent` None answers at the conversation's head; "" at the start of its
        tree, which is how the first message is edited. `system` is put before a tree's first message. `seed`
        None draws one. `version` None answers from the released one, or from the candidate where a live comparison
        drew this conversation for it; another is loaded first if need be. Raises
        PromptError for a message that is empty or too long, before anything is stored; ConversationError if the
        conversation is unknown or somebody else's; what `Engine.prepare` raises for a version that cannot serve.
        """
        sampling = self._sampling(sampling, seed)
        talk = conversation or uuid.uuid4().hex
        async with self._leased(version, talk) as served:
            before = await asyncio.to_thread(self._before, conversation, parent, rater, system)
            asked = [*before, {"role": "user", "content": message}]
            prompt = fit(served.loaded, _texts(asked), think, sampling.max_new_tokens)
            user = await asyncio.to_thread(self._say, talk, conversation is None, before, message, rater)
            async with aclosing(self._answer(served, user, prompt, think, sampling)) as updates:
                async for update in updates:
                    yield update

    async def retry(
        self,
        reply_id: str,
        *,
        think: bool,
        rater: str,
        version: str | None = None,
        sampling: Sampling | None = None,
        seed: int | None = None,
    ) -> AsyncGenerator[Update, None]:
        """Another reply to the same message, beside the first; or, by a message's own id, the one it never got.

        Raises as `reply`.
        """
        sampling = self._sampling(sampling, seed)
        path = await asyncio.to_thread(self._path_to_question, reply_id, rater)
        async with self._leased(version, path[-1].conversation_id) as served:
            prompt = fit(served.loaded, _texts(path), think, sampling.max_new_tokens)
            async with aclosing(self._answer(served, path[-1], prompt, think, sampling)) as updates:
                async for update in updates:
                    yield update

    async def compare(
        self,
        message: str,
        *,
        how: How,
        think: bool,
        rater: str,
        conversation: str | None = None,
        parent: str | None = None,
        system: str = "",
        version: str | None = None,
        other: str | None = None,
        sampling: Sampling | None = None,
    ) -> AsyncGenerator[tuple[Update, Update], None]:
        """Store `message` and stream two answers to it together, left and right in random order.

        One comes from `version` (the released one if None), one from `other`, which for "versions" must be given;
        else both come from one version. Raises as `reply`.
        """
        sampling = self._sampling(sampling, None)
        talk = conversation or uuid.uuid4().hex
        if (how == "versions") is not (other is not None):
            raise ConversationError("Two versions side by side need the other one's name, and only they do.")
        async with AsyncExitStack() as held:
            # Two versions are chosen by name; a live comparison draws what answers by itself.
            first = await held.enter_async_context(self._leased(version, None if other else talk))
            second = await held.enter_async_context(self._leased(other)) if other else first
            sides = [(first, True if how == "thinking" else think), (second, how != "thinking" and think)]
            if secrets.randbelow(2):
                sides.reverse()
            before = await asyncio.to_thread(self._before, conversation, parent, rater, system)
            asked = _texts([*before, {"role": "user", "content": message}])
            prompts = [fit(side.loaded, asked, each, sampling.max_new_tokens) for side, each in sides]
            user = await asyncio.to_thread(self._say, talk, conversation is None, before, message, rater)
            left, right = (
                self._answer(side, user, prompt, each, self._sampling(sampling, None))
                for prompt, (side, each) in zip(prompts, sides, strict=True)
            )
            async with aclosing(together(left, right)) as pairs:
                async for pair in pairs:
                    yield pair

    async def complete(
        self,
        messages: Sequence[dict[str, str]],
        *,
        think: bool | None,
        rater: str,
        version: str | None = None,
        sampling: Sampling | None = None,
        seed: int | None = None,
    ) -> AsyncGenerator[Update, None]:
        """Answer a whole transcript, as a stateless client sends it with each turn; the last message is a user's.

        A transcript that ends a conversation of the rater's so far continues it; any other is stored as a new one.
        `think` None does as the model was made to do. Raises UnknownModel if `version` does not serve,
        PromptError as `reply`.
        """
        sampling = self._sampling(sampling, seed)
        talk = await asyncio.to_thread(self._transcripts.conversation, messages, rater) or uuid.uuid4().hex
        async with self._leased(version, talk) as served:
            if think is None:
                think = has_thinking_switch(served.loaded.tokenizer)
            # Off the event loop: a long transcript takes a while to tokenize.
            prompt = await asyncio.to_thread(fit, served.loaded, messages, think, sampling.max_new_tokens)
            user = await asyncio.to_thread(self._transcripts.place, messages, rater, talk)
            async with aclosing(self._answer(served, user, prompt, think, sampling)) as updates:
                async for update in updates:
                    if update.finish_reason is not None:
                        self._transcripts.remember(messages, update.answer, rater, update.reply_id)
                    yield update

    async def continue_with(
        self, reply_id: str, position: int, token_id: int, *, rater: str
    ) -> AsyncGenerator[Update, None]:
        """A sibling reply that begins like this one, has `token_id` at `position`, and goes on from there.

        Drawn with the settings of the original, from the version that it came from. Raises ConversationError if
        that cannot serve any more.
        """
        original = await asyncio.to_thread(self.library.reply, reply_id, rater)
        try:
            await asyncio.to_thread(self._engine.prepare, original.version)
        except AssistantError as error:
            raise ConversationError(
                f"This reply is from {original.version}, which cannot serve now: {error} Ask for a new answer "
                "first, and continue from that one."
            ) from error
        with self._engine.lease(original.version) as served:
            if not 0 <= position < len(original.completion_ids) or token_id < 0:
                raise ConversationError("This token is not in the reply. Reload the page.")
            path = await asyncio.to_thread(self._store.path, original.parent_id)
            request = Request(
                uuid.uuid4().hex,
                path[-1],
                original.prompt_ids,
                original.think,
                Sampling.of(original.sampling, seed=secrets.randbelow(2**31)),
                (*original.completion_ids[:position], token_id),
                original.sampling.get("dropped", 0),
            )
            async with aclosing(self._stream(served, request)) as updates:
                async for update in updates:
                    yield update

    def tokens(self, reply_id: str, rater: str) -> list[Step]:
        """How a reply was written, token by token. Loads its version on the first call: not on an event loop.

        Raises ConversationError if the reply is not this rater's or has no tokens.
        """
        reply = self.library.reply(reply_id, rater)
        if self._versions is None:
            raise ConversationError(
                "This server does not keep its versions here, so it cannot read them again."
            )
        return steps(reply, self._versions)

    def bring(self, text: str, rater: str) -> str:
        """A new conversation from what `carry.as_json` wrote; its id. Raises CarryError."""
        with self._engine.lease() as served:
            return carry.bring(self._store, served.loaded.tokenizer, text, rater)

    @property
    def other_version(self) -> str | None:
        """What the released version is compared with: its parent, else the newest other one; None if it is alone."""
        released = self._engine.version
        others = [name for name in self._engine.serving if name != released.id]
        parent = released.manifest.parent
        if parent in others:
            return parent
        return others[-1] if others else None

    @property
    def manifest(self) -> Manifest:
        """What the serving version is and how it came to be."""
        return self._engine.version.manifest

    async def stop(self, reply_id: str) -> None:
        """End a streaming reply; what there is of it is kept. Nothing happens if it has ended already."""
        if reply_id in self._stops:
            self._stops[reply_id].set()

    def history(self, conversation: str, rater: str) -> list[Turn]:
        """The shown path, first message first. Raises ConversationError if it is not this rater's."""
        return self.library.history(conversation, rater)

    def undo(self, conversation: str, rater: str) -> str:
        """Take back the last exchange, as `Library.undo`."""
        return self.library.undo(conversation, rater)

    def rate(self, reply_id: str, value: int, reasons: Sequence[str], comment: str, rater: str) -> None:
        """Store a vote, as `Library.rate`."""
        self.library.rate(reply_id, value, reasons, comment, rater)

    @asynccontextmanager
    async def _leased(
        self, version: str | None, conversation: str | None = None
    ) -> AsyncGenerator[Served | RemoteServed, None]:
        """A version by its name; without one, the version that answers in this conversation."""
        if version is not None:
            # It may have to be loaded, and nobody else should wait for that.
            await asyncio.to_thread(self._engine.prepare, version)
        elif conversation is not None:
            version = await asyncio.to_thread(self._candidate, conversation)
        with self._engine.lease(version) as served:
            yield served

    def _candidate(self, conversation: str) -> str | None:
        """The candidate, loaded, where a live comparison drew this conversation for it; None is the released one."""
        drawn = self._trial.candidate(conversation, self._engine.version.id) if self._trial else None
        try:
            if drawn is not None:
                self._engine.prepare(drawn)
        except AssistantError as error:
            # Nobody is to wait for an answer because an experiment fails; such a reply counts for neither arm.
            log.warning("%s answers instead of %s: %s", self._engine.version.id, drawn, error)
            return None
        return drawn

    def _sampling(self, sampling: Sampling | None, seed: int | None) -> Sampling:
        return replace(sampling or self.sampling, seed=secrets.randbelow(2**31) if seed is None else seed)

    async def _answer(
        self,
        served: Served | RemoteServed,
        question: Message,
        prompt: Fitted,
        think: bool,
        sampling: Sampling,
    ) -> AsyncGenerator[Update, None]:
        request = Request(uuid.uuid4().hex, question, prompt.ids, think, sampling, dropped=prompt.dropped)
        async with aclosing(self._stream(served, request)) as updates:
            async for update in updates:
                yield update

    @property
    def pause(self) -> float:
        """Seconds between two updates of a reply now: more while many are written, or showing would take the time."""
        crowd = len(self._stops) / UNHURRIED
        return self.update_seconds * min(max(crowd, 1.0), MOST_PAUSES)

    async def _stream(self, served: Served | RemoteServed, request: Request) -> AsyncGenerator[Update, None]:
        stop = self._stops[request.reply_id] = asyncio.Event()
        try:
            async with aclosing(answer(self._store, served, request, stop, self.pause)) as updates:
                async for update in updates:
                    yield update
        finally:
            del self._stops[request.reply_id]

    def _before(
        self, conversation: str | None, parent: str | None, rater: str, system: str
    ) -> list[Message | dict[str, str]]:
        """The path that a new message continues. A dictionary stands for a system message not yet stored."""
        first: list[Message | dict[str, str]] = (
            [{"role": "system", "content": system}] if system.strip() else []
        )
        if conversation is None:
            return first
        head = self.library.owned(conversation, rater).head
        at = head if parent is None else parent
        try:
            path = self._store.path(at) if at else []
        except UnknownMessage as error:
            raise ConversationError("The message to answer is not here any more. Reload the page.") from error
        if path and path[-1].conversation_id != conversation:
            raise ConversationError("The message to answer is not in this conversation. Reload the page.")
        # A question that never got its answer is passed over: the new one becomes its sibling.
        if path and path[-1].role == "user":
            path = path[:-1]
        if not path or (path[-1].role == "system" and path[-1].content != system):
            return first
        return [*path]

    def _say(
        self, conversation: str, new: bool, before: list[Message | dict[str, str]], message: str, rater: str
    ) -> Message:
        if new:
            turns: list[tuple[Literal["system", "user"], str]] = [
                ("system", turn["content"]) for turn in before if not isinstance(turn, Message)
            ]
            return self._store.begin(rater, [*turns, ("user", message)], conversation)
        parent: str | None = None
        for earlier in before:
            if isinstance(earlier, Message):
                parent = earlier.id
            else:
                parent = self._store.add_message(conversation, parent, "system", earlier["content"]).id
        return self._store.add_message(conversation, parent, "user", message)

    def _path_to_question(self, turn_id: str, rater: str) -> list[Message]:
        try:
            path = self._store.path(turn_id)
        except UnknownMessage as error:
            raise ConversationError("This reply is not here any more. Reload the page.") from error
        if path[-1].role == "user":
            self.library.owned(path[-1].conversation_id, rater)
            return path
        return self._store.path(self.library.reply(turn_id, rater).parent_id)


def _texts(path: Sequence[Message | dict[str, str]]) -> list[dict[str, str]]:
    return [
        {"role": turn.role, "content": turn.content} if isinstance(turn, Message) else turn for turn in path
    ]

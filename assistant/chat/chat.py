"""What the page and the API talk to: messages in, stored replies out, streamed.

The store keeps a tree: an edit adds a sibling message, a retry a sibling reply, and the conversation's head says
which path is shown.
"""

import asyncio
import secrets
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Literal

from assistant.chat import conversation_file
from assistant.chat.in_progress import SMOOTH, Writing
from assistant.chat.library import Library, Turn
from assistant.chat.message_tree import Places, texts
from assistant.chat.reply_stream import Request, Update, together
from assistant.chat.token_steps import Step, steps
from assistant.chat.transcripts import Transcripts
from assistant.errors import AssistantError, ConversationError, NotHere, NoTokens, VersionGone
from assistant.registry.live_comparison import UnderWay
from assistant.registry.versions import Manifest, Versions
from assistant.serving.context_window import Fitted, fit
from assistant.serving.prompt import has_thinking_switch
from assistant.serving.remote import RemoteEngine, RemoteServed
from assistant.serving.sampling import Sampling
from assistant.serving.transformers_engine import Engine, Served
from feedback_store import FeedbackStore, Message

__all__ = ["Chat", "How", "Turn", "Update", "fit"]

How = Literal["resample", "thinking", "versions"]
"""What differs between two replies side by side: the draw alone, whether the model thinks first, or the version."""


class Chat:
    """One chat service over a store and an engine. People's lists and judgements are in its `library`."""

    def __init__(
        self,
        store: FeedbackStore,
        engine: Engine | RemoteEngine,
        sampling: Sampling,
        versions: Versions | None = None,
        smooth: float = SMOOTH,
    ) -> None:
        """`sampling` is what replies are drawn with where nobody asks for another; each gets its own seed.

        `versions` is the registry in which a stored reply's version is found again; a live comparison in its home
        decides which version answers in a conversation. `smooth`: shortest time between two updates of a reply.
        """
        self.library = Library(store)
        self.sampling = sampling
        self._store = store
        self._engine = engine
        self._versions = versions
        self._transcripts = Transcripts(store)
        self._places = Places(store, self.library)
        self._writing = Writing(store, engine, UnderWay(versions.home) if versions else None, smooth)

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
        async with self._writing.leased(version, talk) as served:
            before = await asyncio.to_thread(self._places.before, conversation, parent, rater, system)
            asked = [*before, {"role": "user", "content": message}]
            prompt = fit(served.loaded, texts(asked), think, sampling.max_new_tokens)
            user = await asyncio.to_thread(
                self._places.say, talk, conversation is None, before, message, rater
            )
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
        path = await asyncio.to_thread(self._places.path_to_question, reply_id, rater)
        async with self._writing.leased(version, path[-1].conversation_id) as served:
            prompt = fit(served.loaded, texts(path), think, sampling.max_new_tokens)
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
            first = await held.enter_async_context(self._writing.leased(version, None if other else talk))
            second = await held.enter_async_context(self._writing.leased(other)) if other else first
            sides = [(first, True if how == "thinking" else think), (second, how != "thinking" and think)]
            if secrets.randbelow(2):
                sides.reverse()
            before = await asyncio.to_thread(self._places.before, conversation, parent, rater, system)
            asked = texts([*before, {"role": "user", "content": message}])
            prompts = [fit(side.loaded, asked, each, sampling.max_new_tokens) for side, each in sides]
            user = await asyncio.to_thread(
                self._places.say, talk, conversation is None, before, message, rater
            )
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
        async with self._writing.leased(version, talk) as served:
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
            raise VersionGone(
                f"This reply is from {original.version}, which cannot serve now: {error} Ask for a new answer "
                "first, and continue from that one.",
                original.version,
            ) from error
        with self._engine.lease(original.version) as served:
            if not 0 <= position < len(original.completion_ids) or token_id < 0:
                raise NotHere("This token is not in the reply. Reload the page.")
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
            async with aclosing(self._writing.write(served, request)) as updates:
                async for update in updates:
                    yield update

    def tokens(self, reply_id: str, rater: str) -> list[Step]:
        """How a reply was written, token by token. Loads its version on the first call: not on an event loop.

        Raises ConversationError if the reply is not this rater's or has no tokens.
        """
        reply = self.library.reply(reply_id, rater)
        if self._versions is None:
            raise NoTokens("This server does not keep its versions here, so it cannot read them again.")
        return steps(reply, self._versions)

    def bring(self, text: str, rater: str) -> str:
        """A new conversation from what `carry.as_json` wrote; its id. Raises CarryError."""
        with self._engine.lease() as served:
            return conversation_file.bring(self._store, served.loaded.tokenizer, text, rater)

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

    def history(self, conversation: str, rater: str) -> list[Turn]:
        """The shown path, first message first. Raises ConversationError if it is not this rater's."""
        return self.library.history(conversation, rater)

    def undo(self, conversation: str, rater: str) -> str:
        """Take back the last exchange, as `Library.undo`."""
        return self.library.undo(conversation, rater)

    def rate(self, reply_id: str, value: int, reasons: Sequence[str], comment: str, rater: str) -> None:
        """Store a vote, as `Library.rate`."""
        self.library.rate(reply_id, value, reasons, comment, rater)

    async def stop(self, reply_id: str) -> None:
        """End a streaming reply, as `Writing.stop`."""
        await self._writing.stop(reply_id)

    def _sampling(self, sampling: Sampling | None, seed: int | None) -> Sampling:
        return replace(sampling or self.sampling, seed=secrets.randbelow(2**31) if seed is None else seed)

    def _answer(
        self,
        served: Served | RemoteServed,
        question: Message,
        prompt: Fitted,
        think: bool,
        sampling: Sampling,
    ) -> AsyncGenerator[Update, None]:
        request = Request(uuid.uuid4().hex, question, prompt.ids, think, sampling, dropped=prompt.dropped)
        return self._writing.write(served, request)

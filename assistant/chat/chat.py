"""What the page and the API talk to: messages in, stored replies out, streamed.

The store keeps a tree: an edit adds a sibling message, a retry a sibling reply, and the conversation's head says which
path is shown.
"""

import asyncio
import secrets
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import Literal

from assistant.bases.card_lookup import card_of, public_name
from assistant.bases.model_card import ModelCard
from assistant.chat import conversation_file
from assistant.chat.in_progress import UPDATE_SECONDS, RepliesInProgress
from assistant.chat.library import Library
from assistant.chat.message_tree import MessageTree, texts
from assistant.chat.reply_stream import Request, Update, together
from assistant.chat.transcripts import Transcripts
from assistant.errors import AssistantError, ConversationError, NotHere, VersionGone
from assistant.registry.live_comparison import TrialFollower
from assistant.registry.versions import Manifest, Versions
from assistant.sampling_settings import Sampling
from assistant.serving import prompt
from assistant.serving.context_window import Fitted, fit, newest
from assistant.serving.engine import Engine, ServedVersion
from feedback_store import FeedbackStore, GivenFeedback, Message

How = Literal["resample", "thinking", "versions"]
"""What differs between two replies side by side: the seed alone, whether the model thinks first, or the version."""


class Chat:
    """One chat service over a store and an engine. Its parts are public: `library`, `in_progress`, `engine`."""

    def __init__(
        self,
        store: FeedbackStore,
        engine: Engine,
        sampling: Sampling,
        registry: Versions | None = None,
        update_seconds: float = UPDATE_SECONDS,
    ) -> None:
        """`sampling`: how replies are drawn unless a request says otherwise; each gets its own seed.

        `registry`: a live comparison in its home decides which version answers in a conversation; None if there can be
        none. `update_seconds`: shortest time between two updates of a reply.
        """
        self.engine = engine
        self.sampling = sampling
        self.home = registry.home if registry else None
        self.library = Library(store, self.home)
        trial = TrialFollower(registry.home) if registry else None
        self.in_progress = RepliesInProgress(store, engine, trial, update_seconds)
        self._store = store
        self._tree = MessageTree(store, self.library)
        self._transcripts = Transcripts(store)

    @property
    def card(self) -> ModelCard:
        """The card of the released version's model, with what the engine knows better: its size, how it thinks."""
        with self.engine.lease() as served:
            card = card_of(served.version.manifest.base.name, self.home)
            return replace(
                card,
                parameters=served.parameters or card.parameters,
                thinking=prompt.thinking(served.tokenizer, card.thinking),
            )

    def given_feedback(self, rater: str) -> list[GivenFeedback]:
        """The rater's standing thumbs and corrections, the latest first, each with the versions that learned from it.

        The snapshots that versions are trained on also hold what their stage does not read: `correct` learns from
        corrections alone, `kto` from thumbs alone.
        """
        given = self.library.given_feedback(rater)
        stages = {version: self._stage(version) for one in given for version in one.learned_by}

        def learned_by(one: GivenFeedback) -> tuple[str, ...]:
            unread = "correct" if one.value else "kto"
            return tuple(version for version in one.learned_by if stages[version] != unread)

        return [replace(one, learned_by=learned_by(one)) for one in given]

    def _stage(self, version: str) -> str | None:
        """The stage that trained a version; None if it is not there any more."""
        try:
            return self.engine.manifest(version).stage
        except AssistantError:
            return None

    @property
    def about(self) -> str:
        """The released version in one line: id, model, size if it is known."""
        card = self.card
        return " · ".join(part for part in (self.engine.version.id, card.name, card.size) if part)

    def base_name(self, manifest: Manifest) -> str:
        """The base of a version as clients may name it, without the path of a folder on this machine."""
        return public_name(manifest.base.name, self.home)

    @property
    def other_version(self) -> str | None:
        """Id of the version to compare the released one with: its parent, else the newest other; None if alone."""
        released = self.engine.version
        others = [version_id for version_id in self.engine.versions if version_id != released.id]
        if released.manifest.parent in others:
            return released.manifest.parent
        return others[-1] if others else None

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

        `conversation` None starts one. `parent` None answers at the conversation's head, "" at the start of its tree,
        which is how the first message is edited. `system` is put before a tree's first message. `seed` None draws one.
        `version` None answers from the released version, or from the candidate if a live comparison drew this
        conversation for it; another version is loaded first if need be.

        Raises PromptError for a message that is empty or too long, before anything is stored; ConversationError if the
        conversation is unknown or another rater's; what `Engine.prepare` raises for a version that cannot serve.
        """
        sampling = self._with_seed(sampling, seed)
        conversation_id = conversation or uuid.uuid4().hex
        async with self.in_progress.lease(version, conversation_id) as (served, trial):
            path = await asyncio.to_thread(self._tree.path_to, conversation, parent, rater, system)
            messages = texts([*path, {"role": "user", "content": message}])
            fitted = fit(served.tokenizer, served.window, messages, think, sampling.max_new_tokens)
            question = await asyncio.to_thread(
                self._tree.add, conversation_id, conversation is None, path, message, rater
            )
            async with aclosing(
                self._write(served, question, fitted, think, sampling, trial=trial)
            ) as updates:
                async for update in updates:
                    yield update

    async def retry(
        self,
        message_id: str,
        *,
        think: bool,
        rater: str,
        version: str | None = None,
        sampling: Sampling | None = None,
        seed: int | None = None,
    ) -> AsyncGenerator[Update, None]:
        """Another reply to the same message, by the id of a reply to it; or the reply that a message never got, by its
        own id.

        Raises what `reply` raises.
        """
        sampling = self._with_seed(sampling, seed)
        path = await asyncio.to_thread(self._tree.path_to_question, message_id, rater)
        async with self.in_progress.lease(version, path[-1].conversation_id) as (served, trial):
            fitted = fit(served.tokenizer, served.window, texts(path), think, sampling.max_new_tokens)
            async with aclosing(
                self._write(served, path[-1], fitted, think, sampling, trial=trial)
            ) as updates:
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

        One comes from `version` (None is the released one); the other from `other`, which is given for "versions" and
        only then. Raises what `reply` raises, and ConversationError if `other` does not fit `how`.
        """
        sampling = self._with_seed(sampling, None)
        conversation_id = conversation or uuid.uuid4().hex
        if (how == "versions") is not (other is not None):
            raise ConversationError(
                "A comparison of versions needs the id of the other version, and no other comparison takes one."
            )
        async with AsyncExitStack() as leases:
            # Two versions are chosen by name; a live comparison draws only what answers otherwise, and counts neither.
            first, _ = await leases.enter_async_context(
                self.in_progress.lease(version, None if other else conversation_id)
            )
            second = first
            if other:
                second, _ = await leases.enter_async_context(self.in_progress.lease(other))
            sides = [(first, how == "thinking" or think), (second, how != "thinking" and think)]
            if secrets.randbelow(2):
                sides.reverse()
            path = await asyncio.to_thread(self._tree.path_to, conversation, parent, rater, system)
            messages = texts([*path, {"role": "user", "content": message}])
            prompts = [
                fit(side.tokenizer, side.window, messages, thinks, sampling.max_new_tokens)
                for side, thinks in sides
            ]
            question = await asyncio.to_thread(
                self._tree.add, conversation_id, conversation is None, path, message, rater
            )
            streams = [
                self._write(side, question, fitted, thinks, self._with_seed(sampling, None))
                for fitted, (side, thinks) in zip(prompts, sides, strict=True)
            ]
            # The first update of a reply comes at once, before any token.
            opening = [await anext(stream) for stream in streams]
            async with aclosing(together(streams, opening)) as pairs:
                async for left, right in pairs:
                    yield left, right

    async def complete(
        self,
        messages: Sequence[dict[str, str]],
        *,
        think: bool | None,
        rater: str,
        version: str | None = None,
        sampling: Sampling | None = None,
        seed: int | None = None,
        prefill: str = "",
    ) -> AsyncGenerator[Update, None]:
        """Answer a whole transcript, as a stateless client sends it with each message; the last message is a user's.

        `prefill`: how the answer begins. It is part of the reply, and no part of what may be generated.

        A transcript that continues a conversation of this rater is added to it; any other is stored as a new one. Of a
        very long one the newest messages are read and stored.
        `think` None thinks if the model's template has a thinking switch. Raises UnknownModel if `version` does not
        serve, and PromptError as `reply` does.
        """
        sampling = self._with_seed(sampling, seed)
        messages, left_out = newest(messages)
        known = await asyncio.to_thread(self._transcripts.conversation, messages, rater)
        conversation_id = known or uuid.uuid4().hex
        async with self.in_progress.lease(version, conversation_id) as (served, trial):
            if think is None:
                think = not prefill and prompt.has_thinking_switch(served.tokenizer)
            beginning = prompt.beginning(served.tokenizer, prefill)
            window = max(served.window - len(beginning), 0)
            # Off the event loop: a long transcript takes a while to tokenize.
            fitted = await asyncio.to_thread(
                fit, served.tokenizer, window, messages, think, sampling.max_new_tokens
            )
            sampling = replace(sampling, max_new_tokens=sampling.max_new_tokens + len(beginning))
            fitted = replace(fitted, dropped=fitted.dropped + left_out)
            question = await asyncio.to_thread(self._transcripts.add, messages, rater, conversation_id)
            writing = self._write(served, question, fitted, think, sampling, beginning, trial)
            async with aclosing(writing) as updates:
                async for update in updates:
                    if update.finish_reason is not None:
                        self._transcripts.remember(messages, update.answer, rater, update.reply_id)
                    yield update

    async def continue_with(
        self, reply_id: str, position: int, token_id: int, *, rater: str
    ) -> AsyncGenerator[Update, None]:
        """A sibling reply that begins like this one, has `token_id` at `position`, and goes on from there.

        It is drawn with the settings of the original, from the version that wrote it. Raises VersionGone if that
        cannot serve any more, ConversationError if the reply or the token is not there or another rater's.
        """
        original = await asyncio.to_thread(self.library.reply, reply_id, rater)
        try:
            await asyncio.to_thread(self.engine.prepare, original.version)
        except AssistantError as error:
            raise VersionGone(
                f"This reply is from {original.version}, which cannot serve now: {error} Ask for a new answer "
                "first, and continue from that one.",
                original.version,
            ) from error
        with self.engine.lease(original.version) as served:
            if not 0 <= position < len(original.completion_ids) or token_id < 0:
                raise NotHere("This token is not in the reply. Reload the page.")
            path = await asyncio.to_thread(self._store.path, original.parent_id)
            request = Request(
                uuid.uuid4().hex,
                path[-1],
                original.prompt_ids,
                original.think,
                # From the middle of an answer on, no engine can follow its schema.
                replace(Sampling.from_stored(original.sampling, seed=secrets.randbelow(2**31)), schema=None),
                (*original.completion_ids[:position], token_id),
                original.sampling.get("dropped", 0),
            )
            async with aclosing(self.in_progress.write(served, request)) as updates:
                async for update in updates:
                    yield update

    def import_conversation(self, text: str, rater: str) -> str:
        """Store what `conversation_file.as_json` wrote as a new conversation; its id. Raises ConversationFileError."""
        with self.engine.lease() as served:
            return conversation_file.from_json(self._store, served.tokenizer, text, rater)

    def _with_seed(self, sampling: Sampling | None, seed: int | None) -> Sampling:
        return replace(sampling or self.sampling, seed=secrets.randbelow(2**31) if seed is None else seed)

    def _write(
        self,
        served: ServedVersion,
        question: Message,
        fitted: Fitted,
        think: bool,
        sampling: Sampling,
        beginning: Sequence[int] = (),
        trial: str | None = None,
    ) -> AsyncGenerator[Update, None]:
        request = Request(
            uuid.uuid4().hex, question, fitted.ids, think, sampling, tuple(beginning), fitted.dropped, trial
        )
        return self.in_progress.write(served, request)

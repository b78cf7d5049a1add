"""The real chat and the real store over an engine without a model, which writes scripted answers.

A message beginning with "slow" streams until it is stopped or closed; one beginning with "broken" fails after two
words; one beginning with "which" or "old" is answered in other words each time. A token is a character.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from helpers.running_app import free_port

from assistant.auth.accounts import Accounts
from assistant.chat.chat import Chat
from assistant.errors import EngineError, FormatRefused
from assistant.page import build_page, launch_options
from assistant.sampling_settings import Sampling
from assistant.serving.engine import Chunk, Logprob, TokenScore
from assistant.tour.shared_starter import SharedStarter
from feedback_store import FeedbackStore, Message, Rating

ANSWERS = {
    "347 + 285": "The answer is **632**.",
    "347+285等于多少？": "答案是 **632**。",
    "table": "| n | n² |\n|---|---|\n| 2 | 4 |\n| 3 | 9 |\n\n```python\nprint(2 ** 2)\n```",
    "formula": (
        "\\(x^2\\) and\n"
        "\\[\\frac{1}{2} < \\text{<img src=x onerror=\"document.title='owned'\">}\\]\n"
        "cost $5 or $6"
    ),
    "tags": (
        "<b>bold</b> <img src=x onerror=\"document.title='owned'\"> `<i>` "
        "<script>document.title='owned'</script>"
    ),
    "مرحبا": "مرحبا! كيف حالك؟",
}
FORMATTED = '{"value": 632}'
"""The answer to any message but "stubborn", where a schema is asked for."""
THOUGHT = "7 + 5 = 12, write 2, carry 1\n4 + 8 + 1 = 13, write 3, carry 1\n3 + 2 + 1 = 6\nSo 347 + 285 = 632."
END = 0
THINK = "\x01"  # at the end of a prompt whose reply thinks first


class FakeTokenizer:
    """Each character is a token; END is 0."""

    eos_token_id = pad_token_id = END
    added_tokens_decoder: ClassVar[dict[int, Any]] = {}

    def __init__(self, has_switch: bool = True, has_template: bool = True, template: str = "plain") -> None:
        """`has_switch`: whether the template has a switch for thinking. `template`: what else it has."""
        switched = f"enable_thinking {template}" if has_switch else template
        self.chat_template = switched if has_template else None

    def __call__(self, text: str, **_: Any) -> Any:
        return SimpleNamespace(input_ids=[ord(letter) for letter in text])

    def apply_chat_template(
        self, turns: list[dict[str, str]], enable_thinking: bool = False, **_: Any
    ) -> list[int]:
        lines = [f"{turn['role']}: {turn['content']}" for turn in turns]
        return [ord(letter) for letter in "\x02".join(lines) + (THINK if enable_thinking else "")]

    def convert_ids_to_tokens(self, ids: int) -> str:
        return chr(ids)

    def decode(self, ids: list[int], **_: Any) -> str:
        return "".join(map(chr, ids))


class FakeServed:
    """Writes the scripted answer word by word, and the thought line by line."""

    def __init__(self, chat: FakeChat, version: str) -> None:
        self.chat = chat
        manifest = SimpleNamespace(
            id=version,
            base=SimpleNamespace(name=chat.base, revision="0f" * 20),
            parent="v1" if version != "v1" else None,
            stage=chat.stage,
            created="2026-11-24T00:00:00+00:00",
            data={"thumbs_up": 3, "thumbs_down": 2},
            metrics={},
        )
        self.version = SimpleNamespace(id=version, manifest=manifest, folder=Path("/nowhere"))
        self.tokenizer = FakeTokenizer(chat.has_switch, chat.has_template, chat.template)
        self.window = chat.window
        self.parameters = 4_900_000 if chat.base == "starter" else None

    def check_schema(self, schema: str) -> None:
        """Refuse every schema if the chat `has_formats` not."""
        if not self.chat.has_formats:
            raise FormatRefused("This engine cannot hold an answer to a format.")

    async def stream(self, prompt_ids: list[int], sampling: Sampling) -> AsyncGenerator[Chunk, None]:
        prompt, thinks, beginning = "".join(map(chr, prompt_ids)).partition(THINK)
        think = bool(thinks)
        message = self._message(prompt)
        self.chat.requests.append((message, think))
        self.chat.samplings.append(sampling)
        words = self._thought() if think and not beginning else []
        slow, broken = message.startswith("slow"), message.startswith("broken") and not self.chat.is_repaired
        answer = ANSWERS.get(message, f"You said: {message}")
        if message.startswith(("which", "old")):
            answer += (
                f" #{self.chat.requests.count((message, True)) + self.chat.requests.count((message, False))}"
            )
        if sampling.schema is not None and message != "stubborn":
            answer = FORMATTED
        words += ["tick "] * 100_000 if slow else [f"{word} " for word in answer.split(" ")]
        words[-1] = words[-1].rstrip(" ")
        if not slow and not broken:
            several = self.chat.words_at_once
            words = ["".join(words[start : start + several]) for start in range(0, len(words), several)]
        try:
            for number, word in enumerate(words):
                # Not so fast that drawing the page takes a whole core.
                await asyncio.sleep(0.04 if slow else self.chat.seconds_between)
                while number and self.chat.holds:
                    await asyncio.sleep(0.02)
                if broken and number == 2:
                    raise EngineError("The engine stopped answering. Send the message again.")
                step = self.chat.letters_at_once or len(word) or 1
                for start in range(0, len(word), step):
                    yield self._chunk(word[start : start + step], sampling)
            yield Chunk([END], "end", self._chunk("\0", sampling).logprobs)
        except (GeneratorExit, asyncio.CancelledError):
            self.chat.closed.set()
            raise

    def score(
        self, prompt_ids: list[int], completion_ids: list[int], sampling: Sampling, alternatives: int
    ) -> list[TokenScore]:
        """Half of the characters have probability 1; the others could have been an "x"."""
        shares = [0.55 if position % 2 else 1.0 for position in range(len(completion_ids))]
        return [
            TokenScore(share, ((token, share), (ord("x"), 1 - share)))
            for token, share in zip(completion_ids, shares, strict=True)
        ]

    def _message(self, prompt: str) -> str:
        return prompt.rsplit("\x02", 1)[-1].removeprefix("user: ")

    def _chunk(self, text: str, sampling: Sampling) -> Chunk:
        ids = [ord(letter) for letter in text]
        wanted = sampling.logprobs is not None
        return Chunk(ids, None, tuple(Logprob(token, -1.0) for token in ids) if wanted else ())

    def _thought(self) -> list[str]:
        return ["<think>\n", *(f"{line}\n" for line in THOUGHT.split("\n")), "</think>\n\n"]


class FakeEngine:
    """Serves every version that the fake chat names."""

    def __init__(self, chat: FakeChat) -> None:
        self.chat = chat

    name = "fake"

    @property
    def version(self) -> Any:
        return FakeServed(self.chat, self.chat.version).version

    @contextmanager
    def lease(self, version_id: str | None = None) -> Iterator[FakeServed]:
        yield FakeServed(self.chat, version_id or self.chat.version)

    running = True

    def manifest(self, version_id: str) -> Any:
        return FakeServed(self.chat, version_id).version.manifest

    @property
    def versions(self) -> list[str]:
        """Ids of the versions that can be leased."""
        return list(self.chat.versions)

    def prepare(self, version_id: str | None) -> None:
        """Do nothing: every version can be leased at once."""

    def close(self) -> None:
        """Do nothing."""


@cache
def _empty_store() -> Path:
    """A migrated store, made once and copied, because migrating takes longer than a test."""
    path = Path(tempfile.mkdtemp()) / "empty.db"
    FeedbackStore.open(path).close()
    return path


class FakeChat(Chat):
    """A chat that records its requests."""

    version = "v1"
    versions: tuple[str, ...] = ("v1",)
    base = "starter"
    stage = "kto"
    window = 20_000
    has_template = True
    template = "plain"
    has_switch = True  # whether the model's template has a switch for thinking
    words_at_once: int = 1  # of a chunk: the page is drawn once for each
    letters_at_once: int | None = None  # of a chunk; None sends all of it
    holds = False  # whether a reply waits after its first chunk
    has_formats = True  # whether answers can be held to a schema
    is_repaired = False  # "broken" messages are answered like any other

    def __init__(self, version: str = "v1", seconds_between: float = 0.0, path: Path | None = None) -> None:
        """With `path`, continue on the store of an earlier chat, as after a restart of the server."""
        self.version = version
        self.seconds_between = seconds_between
        self.requests: list[tuple[str, bool]] = []  # (message, think), in the order of arrival
        self.samplings: list[Sampling] = []  # the sampling settings of each request
        self.closed = threading.Event()  # set when a reply is stopped before its end
        self.path = path or Path(tempfile.mkdtemp()) / "feedback.db"
        if path is None:
            shutil.copy(_empty_store(), self.path)
        self.store = FeedbackStore.open(self.path)
        super().__init__(
            self.store,
            FakeEngine(self),  # type: ignore[arg-type]
            Sampling(temperature=0.3, max_new_tokens=512),
            update_seconds=seconds_between,
        )

    @property
    def ratings(self) -> dict[tuple[str, str], Rating]:
        """Ratings that have not been withdrawn, by (reply id, rater)."""
        return {(rating.reply_id, rating.rater): rating for rating, _ in self.store.ratings() if rating.value}

    @property
    def owners(self) -> dict[str, str]:
        """The rater of each conversation."""
        with sqlite3.connect(self.path) as database:
            return dict(database.execute("SELECT id, rater_id FROM conversations"))

    @property
    def turns(self) -> dict[str, Message]:
        """All messages by their ids."""
        return {
            message.id: message
            for conversation in self.owners
            for message in self.store.messages(conversation)
        }

    @property
    def finished(self) -> dict[str, str]:
        """The finish reason of each reply, by its id."""
        return {turn.id: turn.reply.finish_reason for turn in self.turns.values() if turn.reply}

    def siblings(self, parent_id: str | None) -> list[Message]:
        """All messages with this parent, oldest first."""
        return [turn for turn in self.turns.values() if turn.parent_id == parent_id]


@contextmanager
def serving(
    fake: FakeChat,
    port: int | None = None,
    accounts: Accounts | None = None,
    starter: SharedStarter | None = None,
) -> Iterator[str]:
    """Serve the page over `fake` on this port or a free one; yields its address. `starter`: for the tour."""

    async def start() -> tuple[Any, str]:
        page = build_page(fake, accounts=accounts, starter=starter)
        # Gradio's own search for a free port leaves the sockets open that it has tried.
        options = {**launch_options(accounts), "server_port": port or free_port()}
        return page, page.launch(prevent_thread_lock=True, quiet=True, **options)[1]

    # In a running event loop, because Gradio otherwise makes a loop for every lock and never closes it; and in a thread
    # of its own, because Playwright's event loop may run in this one.
    with ThreadPoolExecutor(1) as thread:
        page, url = thread.submit(lambda: asyncio.run(start())).result()
    try:
        yield url
    finally:
        page.close(verbose=False)

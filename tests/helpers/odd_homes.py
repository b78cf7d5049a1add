"""Homes with rows as people and imports leave them: too long, empty, in any script, code, forgotten, from elsewhere."""

import random
import uuid
from collections.abc import Callable
from pathlib import Path

from helpers.import_samples import SAMPLES
from helpers.small_cycle import rated_home
from transformers import AutoTokenizer

from assistant.bases.base import STARTER_FOLDER
from assistant.errors import PromptError
from assistant.serving.context_window import fit
from feedback_store import FeedbackStore, NewReply, rows
from feedback_store.importers import import_file

WINDOW = 256
"""Of the tiny home's model."""
TEXTS = (
    "Привет, как дела?", "مرحبا، كيف حالك؟", "你好，今天天气怎么样？", "こんにちは", "👩‍👩‍👧‍👦🏳️‍🌈", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤a̵l̡go",
    "```python\ndef f(x):\n\treturn {x: [x]}\n```", "SELECT * FROM t WHERE a='\\\\';--", "<|im_end|><|im_start|>system",
    "<think>\n</think>", "</think>", "\u200b\u200b", "\ufeff", "a" * 3000, "word " * 2000, "\n" * 500,
    "{{ 7 * 7 }}", "0",    "\u202eright to left", "ﷺ" * 400, "｟｠", "\x0b\x0c\x1b[31m", " ", "",
)  # fmt: skip


class OddHome:
    """Adds odd rows to the store of a home that a cycle can learn from."""

    def __init__(self, store: FeedbackStore, seed: int) -> None:
        self.store = store
        self.random = random.Random(seed)
        self.tokenizer = AutoTokenizer.from_pretrained(STARTER_FOLDER / "base")
        self.kinds: list[Callable[[], None]] = [
            self.served,
            self.imported,
            self.long_conversation,
            self.huge_system_prompt,
            self.system_alone,
            self.branches,
            self.corrected,
            self.compared,
            self.failed,
            self.forgotten,
            self.without_consent,
            self.of_another_base,
            self.of_another_system,
        ]

    def text(self) -> str:
        """A text that some people write; some have no letter at all."""
        odd = self.random.choice(TEXTS)
        return odd if self.random.random() < 0.5 else f"{odd} {self.random.randrange(10**6)}"

    def question(self, before: list[dict[str, str]]) -> str:
        """A text whose prompt is held out as often as not, so that evaluations are asked it too."""
        held_out = self.random.random() < 0.5
        for _ in range(60):
            text = f"{self.text()} {self.random.randrange(10**6)}"
            row = rows.PromptRow([*before, {"role": "user", "content": text}], False, [], "")
            if rows.held_out(row) is held_out:
                break
        return text

    def reply(
        self,
        *,
        before: int = 0,
        system: str = "",
        served: bool = True,
        version: str = "v1",
        rater: str = "tester",
        answer: str | None = None,
        reason: str = "end",
        beside: str | None = None,
        thumb: int | None = None,
    ) -> str:
        """Store a reply after so many earlier exchanges, as it was served or as an import brings it; with a thumb."""
        store, think = self.store, self.random.random() < 0.3
        if beside is None:
            conversation, messages, parent = store.new_conversation(rater), [], None
            if system:
                parent = store.add_message(conversation, None, "system", system).id
                messages.append({"role": "system", "content": system})
            for _ in range(before):
                earlier = self.reply_after(conversation, parent, messages, version)
                parent = earlier
            text = self.question(messages)
            parent = store.add_message(conversation, parent, "user", text).id
            messages.append({"role": "user", "content": text})
        else:
            other = store.reply(beside)
            conversation, parent = other.conversation_id, other.parent_id
            messages = store.transcripts([parent])[parent]
        answer = self.text() if answer is None else answer
        ids = self.ids(messages, think, answer) if served else ([], [])
        new = self.add(conversation, parent, version, think, answer, ids, reason)
        value = self.random.choice((1, -1)) if thumb is None else thumb
        if value:
            store.rate(new, rater, value)
        return new

    def reply_after(
        self, conversation: str, parent: str | None, messages: list[dict[str, str]], version: str
    ) -> str:
        """An earlier exchange of a conversation, and the id of its reply."""
        question, answer = self.text(), self.text()
        message = self.store.add_message(conversation, parent, "user", question)
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return self.add(conversation, message.id, version, False, answer, ([], []), "end")

    def add(
        self,
        conversation: str,
        parent: str,
        version: str,
        think: bool,
        answer: str,
        ids: tuple[list[int], list[int]],
        reason: str,
    ) -> str:
        """Store one reply; its id."""
        new = NewReply(
            id=uuid.uuid4().hex,
            conversation_id=conversation,
            parent_id=parent,
            thought=self.text() if think else None,
            answer=answer,
            think=think,
            sampling={},
            seed=1,
            version=version,
            prompt_ids=ids[0],
            completion_ids=ids[1],
            finish_reason=reason,  # type: ignore[arg-type]
            first_token_seconds=None,
            seconds=0.1,
            thought_seconds=None,
        )
        return self.store.add_reply(new).id

    def ids(self, messages: list[dict[str, str]], think: bool, answer: str) -> tuple[list[int], list[int]]:
        """The ids that the app would have served, which always fit its window; none where it would have refused."""
        try:
            prompt_ids = fit(self.tokenizer, WINDOW, messages, think, 64).ids
        except PromptError:
            return [], []
        written = self.tokenizer(answer, add_special_tokens=False).input_ids
        return prompt_ids, written[: WINDOW - len(prompt_ids)]

    # Each kind of oddity

    def served(self) -> None:
        self.reply()

    def imported(self) -> None:
        self.reply(served=False)

    def long_conversation(self) -> None:
        self.reply(before=self.random.choice((5, 30)), served=self.random.random() < 0.5)

    def huge_system_prompt(self) -> None:
        self.reply(system="Be kind. " * self.random.choice((20, 200, 2000)), served=False)

    def system_alone(self) -> None:
        conversation = self.store.new_conversation("tester")
        self.store.add_message(conversation, None, "system", self.text())

    def branches(self) -> None:
        first = self.reply(thumb=1)
        for thumb in (-1, 0, 1):
            self.reply(beside=first, thumb=thumb)

    def corrected(self) -> None:
        self.store.correct(self.reply(), "tester", self.text() or "better")

    def compared(self) -> None:
        first = self.reply(thumb=0)
        second = self.reply(beside=first, thumb=0)
        choice = self.random.choice(("left", "right", "both_good", "both_bad"))
        self.store.compare(first, second, "tester", choice, blind=True, how="resample")  # type: ignore[arg-type]

    def failed(self) -> None:
        self.reply(answer="", reason="error", served=False)
        self.reply(answer="", reason="stopped", served=False)

    def forgotten(self) -> None:
        rater = f"gone-{uuid.uuid4().hex}"
        self.reply(rater=rater)
        self.store.forget(rater)

    def without_consent(self) -> None:
        self.reply(rater="shy")
        self.store.set_consent("shy", False)

    def of_another_base(self) -> None:
        reply = self.reply(version="v0", served=False, thumb=0)
        stored = self.store.reply(reply)
        ids = ([49_000, 3, 48_000], [49_100, 49_101])
        other = self.add(stored.conversation_id, stored.parent_id, "v0", False, self.text(), ids, "end")
        self.store.rate(other, "tester", self.random.choice((1, -1)))

    def of_another_system(self) -> None:
        files = sorted(path for path in SAMPLES.iterdir() if path.stem not in ("dataset_info",))
        path = self.random.choice(files)
        import_file(self.store, None, path)


def odd_home(home: Path, seed: int) -> Path:
    """A home that a cycle can learn from, and odd rows in it; the same seed draws the same kinds of them."""
    rated_home(home)
    with FeedbackStore.open(home / "feedback.db") as store:
        odd = OddHome(store, seed)
        for kind in odd.random.choices(odd.kinds, k=odd.random.choice((3, 12, 40))):
            kind()
    return home

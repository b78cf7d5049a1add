"""What one open page knows: who is there, what is on the screen. Lives on the server, one per browser tab."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from assistant.page.words import LANGUAGES, Words

if TYPE_CHECKING:
    from assistant.conversation import Turn, Update


@dataclass
class Session:
    """The state of one tab. Handlers change it in place; `view.py` draws all of it."""

    rater: str = ""
    language: str = "en"
    think: bool = True
    conversation: str | None = None
    turns: list[Turn] = field(default_factory=list)

    thought_seconds: dict[str, float] = field(default_factory=dict)  # of replies written in this tab

    sending: str | None = None  # the message on its way, until the history has it
    draft: str | None = None  # that message, kept so that it can return to the box
    live: Update | None = None  # the reply being written
    answering: bool = False  # a reply is asked for and has not ended
    run: int = 0  # number of the latest stream; an older one that finds a newer number ends itself
    stop_wanted: bool = False

    editing: str | None = None  # id of the message whose edit form is open
    rating: str | None = None  # id of the reply whose feedback form is open
    vote_order: int = 0  # number that the browser gave to the latest vote
    remark: tuple[str, str] | None = None  # (reply id, quiet line under it)
    notice: str | None = None  # a line under the conversation: what went wrong, what to do
    notice_is_error: bool = False

    @property
    def words(self) -> Words:
        """The texts in this tab's language."""
        return LANGUAGES[self.language]

    @property
    def busy(self) -> bool:
        """Whether a reply is being written."""
        return self.answering

    def turn(self, turn_id: str) -> Turn | None:
        """The turn on the screen with this id, if there is one."""
        return next((turn for turn in self.turns if turn.id == turn_id), None)

    def ended(self) -> None:
        """No reply is being written any more."""
        self.sending, self.live, self.answering = None, None, False

    def quiet(self) -> None:
        """Clear lines and open forms that belong to an earlier action."""
        self.editing = self.rating = self.remark = self.notice = None
        self.notice_is_error = False

    def memory(self) -> dict[str, Any]:
        """What the browser keeps, so that a reload finds the same person and conversation."""
        return {
            "rater": self.rater,
            "language": self.language,
            "think": self.think,
            "conversation": self.conversation,
        }

    def remember(self, memory: object, browser_language: str) -> None:
        """Take over what the browser kept. Anything malformed there counts as not kept."""
        kept = memory if isinstance(memory, dict) else {}
        rater, language = kept.get("rater"), kept.get("language")
        conversation, think = kept.get("conversation"), kept.get("think")
        self.rater = rater if isinstance(rater, str) and rater else new_rater()
        self.language = language if isinstance(language, str) and language in LANGUAGES else browser_language
        self.conversation = conversation if isinstance(conversation, str) else None
        self.think = think if isinstance(think, bool) else True


def new_rater() -> str:
    """A pseudonym for one browser. It is the only key to that browser's conversations: 128 random bits."""
    return secrets.token_urlsafe(16)

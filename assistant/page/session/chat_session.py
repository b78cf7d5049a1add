"""What one open page knows: who is there, what is on the screen. Lives on the server, one per browser tab."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from assistant.auth.pseudonyms import is_given_out
from assistant.page.i18n.languages import LANGUAGES, ChatTexts
from assistant.page.session.preferences import Preferences, preferences

if TYPE_CHECKING:
    from assistant.auth.accounts import Account, Way
    from assistant.chat.library import ConversationTurn
    from assistant.chat.reply_stream import Update
    from assistant.chat.token_steps import Step
    from feedback_store import Conversation
    from feedback_store.records import How

Mode = Literal["one", "resample", "thinking", "versions"]
MODES: tuple[Mode, ...] = get_args(Mode)


def known_mode(value: object) -> Mode:
    """The mode that `value` names, "one" where it names none."""
    return next((mode for mode in MODES if mode == value), "one")


@dataclass
class Pair:
    """Two answers side by side, and the choice between them."""

    how: How
    left: Update | None = None
    right: Update | None = None
    thinking: tuple[str, ...] = ()  # the sides that thought first
    choice: str | None = None

    @property
    def left_id(self) -> str:
        """Id of the left reply, "" before it has one."""
        return self.left.reply_id if self.left else ""

    @property
    def right_id(self) -> str:
        """Id of the right reply, "" before it has one."""
        return self.right.reply_id if self.right else ""


@dataclass
class TokenView:
    """The tokens of one reply, and which of them is looked at."""

    reply_id: str
    steps: list[Step]
    chosen: int | None = None


@dataclass
class Session:
    """The state of one tab. Handlers change it in place; `view.py` and its neighbours draw all of it."""

    browser: str = ""  # this browser's own pseudonym, used while nobody has signed in
    account: Account | None = None  # who has signed in
    way_in: Way | None = None  # how people sign in here
    admin: bool = False  # whether the dashboard is open to this person
    language: str = "en"
    think: bool = True
    mode: Mode = "one"  # how many answers to a message: one of MODES
    preferences: Preferences = field(default_factory=Preferences)
    conversation: str | None = None
    turns: list[ConversationTurn] = field(default_factory=list)

    conversations: list[Conversation] = field(default_factory=list)  # the person's conversations, as listed
    search: str = ""
    renaming: str | None = None  # id of the conversation whose name is being changed
    deleting: str | None = None  # id of the conversation about which the page asks

    sending: str | None = None  # the message on its way, until the history has it
    draft: str | None = None  # that message, kept so that it can return to the box
    live: Update | None = None  # the reply being written
    pair: Pair | None = None  # two replies, being written or waiting for a choice
    answering: bool = False  # a reply is asked for and has not ended
    run: int = 0  # number of the latest stream; an older one that finds a newer number ends itself
    stop_wanted: bool = False

    editing: str | None = None  # id of the message whose edit form is open
    correcting: str | None = None  # id of the reply for which a better answer is being written
    rating: str | None = None  # id of the reply whose feedback form is open
    vote_order: int = 0  # number that the browser gave to the latest vote
    remark: tuple[str, str] | None = None  # (reply id, quiet line under it)
    notice: str | None = None  # a line under the conversation: what went wrong, what to do
    notice_is_error: bool = False
    tokens: TokenView | None = None

    @property
    def rater(self) -> str:
        """Who the store knows this person as; "" before anything is known of them."""
        return self.account.rater if self.account else self.browser

    @property
    def texts(self) -> ChatTexts:
        """The texts in this tab's language."""
        return LANGUAGES[self.language]

    @property
    def busy(self) -> bool:
        """Whether a reply is being written."""
        return self.answering

    @property
    def occupied(self) -> bool:
        """Whether something is under way here that drawing the page anew would disturb."""
        forms = (self.editing, self.correcting, self.rating, self.renaming, self.deleting)
        choosing = self.pair is not None and self.pair.choice is None
        return self.busy or choosing or any(form is not None for form in forms)

    def writing_ids(self) -> list[str]:
        """Ids of the replies being written."""
        if not self.answering:
            return []
        ids = [self.live.reply_id if self.live else ""]
        if self.pair is not None:
            ids = [self.pair.left_id, self.pair.right_id]
        return [reply_id for reply_id in ids if reply_id]

    def turn(self, turn_id: str) -> ConversationTurn | None:
        """The turn on the screen with this id, if there is one."""
        return next((turn for turn in self.turns if turn.id == turn_id), None)

    def switched(self, think: bool | None, mode: object) -> None:
        """Take over what the switches beside the message box show; None leaves one as it is known here."""
        self.think = self.think if think is None else think
        self.mode = self.mode if mode is None else known_mode(mode)

    def ended(self) -> None:
        """No reply is being written any more."""
        self.sending, self.live, self.answering = None, None, False

    def quiet(self) -> None:
        """Clear lines and open forms that belong to an earlier action."""
        self.editing = self.correcting = self.rating = self.remark = self.notice = None
        self.renaming = self.deleting = None
        self.notice_is_error = False

    def memory(self) -> dict[str, Any]:
        """What the browser keeps, so that a reload finds the same person and conversation."""
        return {
            "rater": self.browser,
            "account": self.account.name if self.account else None,
            "language": self.language,
            "think": self.think,
            "mode": self.mode,
            "preferences": self.preferences.kept(),
            "conversation": self.conversation,
        }

    def remember(self, memory: object, browser_language: str, account: Account | None = None) -> None:
        """Become `account`, or nobody's, with what the browser kept. Anything malformed there is as if not kept."""
        self.run += 1
        self.ended()
        self.quiet()
        self.pair, self.tokens, self.turns, self.search = None, None, [], ""
        kept = memory if isinstance(memory, dict) else {}
        rater, language, mode = kept.get("rater"), kept.get("language"), kept.get("mode")
        conversation, think = kept.get("conversation"), kept.get("think")
        if isinstance(rater, str) and rater and not is_given_out(rater):
            self.browser = rater
        self.browser = self.browser or new_rater()
        self.account = account
        self.language = language if isinstance(language, str) and language in LANGUAGES else browser_language
        theirs = kept.get("account") == (account.name if account else None)
        self.conversation = conversation if isinstance(conversation, str) and theirs else None
        self.think = think if isinstance(think, bool) else True
        self.mode = known_mode(mode)
        self.preferences = preferences(kept.get("preferences"))


def new_rater() -> str:
    """A pseudonym for one browser. It is the only key to that browser's conversations: 128 random bits."""
    return secrets.token_urlsafe(16)

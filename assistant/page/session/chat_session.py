"""The state of one open chat tab: who the person is, and what the page shows them. It lives on the server."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from assistant.auth.pseudonyms import is_reserved
from assistant.bases.model_card import Thinking
from assistant.page.i18n.languages import LANGUAGES, ChatTexts
from assistant.page.session.preferences import Preferences, preferences
from assistant.page.session.sent_blocks import SentBlocks
from feedback_store.records import HOW, How

if TYPE_CHECKING:
    from assistant.admin.next_version import Outlook
    from assistant.auth.accounts import Account, Way
    from assistant.chat.library import ConversationTurn
    from assistant.chat.reply_stream import Update
    from assistant.chat.token_steps import Step
    from assistant.page.session.running_replies import RunningReply
    from feedback_store import Conversation

Mode = Literal["one", "resample", "thinking", "versions"]
"""How many replies a message gets, and how two replies differ."""

MAX_ID = 200
"""Characters of a conversation's id in an address."""

MODES: tuple[Mode, ...] = get_args(Mode)


def known_mode(value: object) -> Mode:
    """The mode named by `value`, "one" if it names none."""
    return next((mode for mode in MODES if mode == value), "one")


@dataclass
class AnswerPair:
    """Two replies side by side, and the choice between them."""

    how: How
    left: Update | None = None
    right: Update | None = None
    thinking: tuple[str, ...] = ()  # the sides that thought first
    choice: str | None = None

    @property
    def is_same(self) -> bool:
        """Whether both are whole and say the same, so that there is nothing to choose between."""
        left, right = self.left, self.right
        if left is None or right is None or {left.finish_reason, right.finish_reason} != {"end"}:
            return False
        return left.answer.strip() == right.answer.strip()

    @property
    def left_id(self) -> str:
        """Id of the left reply, "" before it has one."""
        return self.left.reply_id if self.left else ""

    @property
    def right_id(self) -> str:
        """Id of the right reply, "" before it has one."""
        return self.right.reply_id if self.right else ""


class Unchosen(NamedTuple):
    """Two replies that wait for a choice, as a browser stores them."""

    how: How
    left: str
    right: str

    @classmethod
    def of(cls, stored: object) -> Unchosen | None:
        """The two replies in `stored`, None if it names none."""
        if not isinstance(stored, list | tuple) or len(stored) != 3 or stored[0] not in HOW:
            return None
        how, left, right = stored
        return cls(how, left, right) if isinstance(left, str) and isinstance(right, str) else None


@dataclass
class TokenView:
    """The tokens of one reply, and the position of the one whose alternatives are shown."""

    reply_id: str
    steps: list[Step]
    chosen: int | None = None


@dataclass
class ChatSession:
    """The state of one tab. Handlers change it in place, and the views draw the page from it alone."""

    browser: str = ""  # this browser's own pseudonym, used while nobody has signed in
    account: Account | None = None  # who has signed in
    way_in: Way | None = None  # how people sign in here
    admin: bool = False  # whether this person may open the dashboard
    language: str = "en"
    thinking: Thinking = "native"  # how the model thinks for which the page was drawn
    think: bool | None = None  # whether replies think first, once the person has decided
    mode: Mode = "one"
    preferences: Preferences = field(default_factory=Preferences)
    conversation: str | None = None
    turns: list[ConversationTurn] = field(default_factory=list)

    conversations: list[Conversation] = field(default_factory=list)  # the list beside the conversation
    outlook: Outlook | None = None  # what the next version waits for
    search: str = ""
    renaming: str | None = None  # id of the conversation whose title is being changed
    deleting: str | None = None  # id of the conversation whose deletion waits for confirmation

    sending: str | None = None  # the message being sent, until it is one of `turns`
    draft: str | None = None  # that message, which returns to the message box after a failure
    live: Update | None = None  # the reply being written
    pair: AnswerPair | None = None  # two replies, being written or waiting for a choice
    unchosen: Unchosen | None = None  # two replies that waited for a choice when the browser stored them
    answering: bool = False  # a reply has been requested and has not ended
    follows: bool = False  # a handler is showing that reply; after a reload none is yet
    stream_number: int = 0  # of the latest stream; an older stream that sees a newer number ends itself
    stop_wanted: bool = False

    editing: str | None = None  # id of the message whose edit form is open
    correcting: str | None = None  # id of the reply whose correction form is open
    rating: str | None = None  # id of the reply whose feedback form is open
    rating_order: int = 0  # the browser's number of the latest rating event
    settings_order: int = 0  # and of the latest event about the settings
    remark: tuple[str, str] | None = None  # (reply id, confirmation below that reply)
    told: str = ""  # the version of which the person was told last that it learned from their ratings
    notice: str | None = None  # a line below the conversation: what went wrong, what to do
    notice_is_error: bool = False
    tokens: TokenView | None = None

    sent_messages: SentBlocks = field(
        default_factory=SentBlocks
    )  # the blocks of the conversation that the tab has
    sent_titles: SentBlocks = field(default_factory=SentBlocks)  # and those of the list of conversations
    sent_parts: dict[str, str] = field(default_factory=dict)  # and the HTML of other parts, by name

    @property
    def rater(self) -> str:
        """The person's pseudonym in the store; "" before the session is restored."""
        return self.account.rater if self.account else self.browser

    @property
    def texts(self) -> ChatTexts:
        """The texts in this tab's language."""
        return LANGUAGES[self.language]

    @property
    def thinks(self) -> bool:
        """Whether replies think first: as the person has decided, by default if the model was made for it."""
        if self.thinking == "none":
            return False
        return self.thinking == "native" if self.think is None else self.think

    @property
    def busy(self) -> bool:
        """Whether a reply is being written."""
        return self.answering

    @property
    def is_occupied(self) -> bool:
        """Whether drawing the page would disturb the person: a reply, an open form, a choice to be made."""
        forms = (self.editing, self.correcting, self.rating, self.renaming, self.deleting)
        is_choosing = self.pair is not None and self.pair.choice is None
        return self.busy or is_choosing or any(form is not None for form in forms)

    def live_reply_ids(self) -> list[str]:
        """Ids of the replies being written."""
        if not self.answering:
            return []
        ids = [self.live.reply_id if self.live else ""]
        if self.pair is not None:
            ids = [self.pair.left_id, self.pair.right_id]
        return [reply_id for reply_id in ids if reply_id]

    def turn(self, turn_id: str) -> ConversationTurn | None:
        """The shown turn with this id, or None."""
        return next((turn for turn in self.turns if turn.id == turn_id), None)

    def set_switches(self, think: bool | None, mode: object) -> None:
        """Take over the switches beside the message box; None leaves a switch as it is."""
        if think is not None and think != self.thinks:
            self.think = think
        self.mode = self.mode if mode is None else known_mode(mode)

    def show_running(self, reply: RunningReply) -> None:
        """Show a reply that is being written, after the turns before it."""
        self.turns, self.sending, self.live = list(reply.turns), reply.message, None
        self.pair = AnswerPair(reply.how) if reply.how else None
        self.answering = True
        if reply.latest is not None:
            self.take(reply.latest)

    def take(self, update: Update | tuple[Update, Update]) -> None:
        """Take over the newest update of the reply being written, or of both."""
        if isinstance(update, tuple):
            assert self.pair is not None
            self.pair.left, self.pair.right = update
            self.conversation = update[0].conversation
        else:
            self.live, self.conversation = update, update.conversation

    def end_reply(self) -> None:
        """Mark that this tab shows no reply being written any more."""
        self.sending, self.live, self.answering, self.follows = None, None, False, False

    def forget_sent(self) -> None:
        """Send everything with the next update, to a tab that has nothing or misses something."""
        self.sent_messages.forget()
        self.sent_titles.forget()
        self.sent_parts.clear()

    def close_forms(self) -> None:
        """Close the open form and remove the lines that belong to an earlier action."""
        self.editing = self.correcting = self.rating = self.remark = self.notice = None
        self.renaming = self.deleting = None
        self.notice_is_error = False

    def memory(self) -> dict[str, Any]:
        """What the browser stores, so that a reload finds the same person and conversation."""
        return {
            "rater": self.browser,
            "account": self.account.name if self.account else None,
            "language": self.language,
            "think": self.think,
            "mode": self.mode,
            "preferences": self.preferences.changed(),
            "conversation": self.conversation,
            "pair": self._unchosen(),
            "told": self.told,
        }

    def _unchosen(self) -> Unchosen | None:
        pair = self.pair
        if pair is None or self.busy or pair.choice is not None:
            return None
        return Unchosen(pair.how, pair.left_id, pair.right_id)

    def restore(self, memory: object, browser_language: str, account: Account | None = None) -> None:
        """Become the session of `account`, or of nobody, from what the browser stored.

        Anything malformed in `memory` counts as not stored, and so does another account's conversation.
        """
        self.stream_number += 1
        self.end_reply()
        self.close_forms()
        self.pair, self.tokens, self.turns, self.search = None, None, [], ""
        stored = memory if isinstance(memory, dict) else {}
        rater, language = stored.get("rater"), stored.get("language")
        conversation, think = stored.get("conversation"), stored.get("think")
        if isinstance(rater, str) and rater and not is_reserved(rater):
            self.browser = rater
        self.browser = self.browser or new_rater()
        self.account = account
        self.language = language if isinstance(language, str) and language in LANGUAGES else browser_language
        is_same_account = stored.get("account") == (account.name if account else None)
        self.conversation = conversation if isinstance(conversation, str) and is_same_account else None
        if isinstance(
            shown := stored.get("shown"), str
        ):  # what the address of the tab names, "" for a new one
            self.conversation = shown[:MAX_ID] or None
        self.unchosen = Unchosen.of(stored.get("pair"))
        self.think = think if isinstance(think, bool) else None
        self.mode = known_mode(stored.get("mode"))
        told = stored.get("told")
        self.told = told if isinstance(told, str) and is_same_account else ""
        self.preferences = preferences(stored.get("preferences"))


def new_rater() -> str:
    """A pseudonym for one browser: 128 random bits, because it is the only key to that browser's conversations."""
    return secrets.token_urlsafe(16)

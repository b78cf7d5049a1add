"""The page without a browser: words, safe HTML, handlers over a fake chat, and the named endpoints."""

from __future__ import annotations

import ast
import asyncio
import base64
import dataclasses
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_chat import FakeChat, serving
from gradio_client import Client
from gradio_client.exceptions import AppError

from assistant.conversation import Update
from assistant.errors import AssistantError
from assistant.page import reply_view, view
from assistant.page.desk import Desk
from assistant.page.endpoints import Endpoints
from assistant.page.handlers import Handlers
from assistant.page.preferences import Preferences, preferences
from assistant.page.screen import SKIP, Screen
from assistant.page.session import Session
from assistant.page.text import difference, markdown, plain
from assistant.page.words import CHINESE, ENGLISH, Words, browser_language, explained
from assistant.sampling import Sampling
from feedback_store import StoreError, exporters

PAGE = Path(view.__file__).parent

# Gradio's queue calls pandas in ways that pandas 3 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]


@pytest.fixture
def fake() -> FakeChat:
    return FakeChat()


@pytest.fixture
def handlers(fake: FakeChat) -> Handlers:
    return Handlers(Desk(fake))


@pytest.fixture
def session() -> Session:
    return Session(browser="rater-1")


def event(order: int = 1, **data: Any) -> Any:
    """What the browser sends with an event."""
    return SimpleNamespace(order=order, **data)


def request(accept_language: str = "en") -> Any:
    return SimpleNamespace(headers={"accept-language": accept_language})


def collect(screens: Any) -> list[Screen]:
    async def run() -> list[Screen]:
        return [screen async for screen in screens]

    return asyncio.run(run())


def say(handlers: Handlers, session: Session, text: str) -> list[Screen]:
    return collect(handlers.sending.send(text, session))


def shown(screen: Screen) -> str:
    return "".join(screen.view)


# Words


def texts(words: Words) -> dict[str, str]:
    """Every text of a language by its name."""
    found: dict[str, str] = {}
    for name, value in dataclasses.asdict(words).items():
        if isinstance(value, dict):
            found |= {f"{name}.{key}": text for key, text in value.items()}
        elif isinstance(value, tuple | list):
            found |= {f"{name}.{number}": text for number, text in enumerate(value)}
        else:
            found[name] = value
    return found


def test_every_text_exists_in_both_languages() -> None:
    english, chinese = texts(ENGLISH), texts(CHINESE)
    assert english.keys() == chinese.keys()
    assert all(text.strip() for text in [*english.values(), *chinese.values()])


def test_each_text_is_in_its_own_language() -> None:
    han = re.compile(r"[\u4e00-\u9fff]")
    for name, text in texts(ENGLISH).items():
        assert bool(han.search(text)) == (name in ("other_language", "switch_language")), name
    for name, text in texts(CHINESE).items():
        assert bool(han.search(text)) == (name not in ("code", "other_language", "switch_language")), name


def test_chinese_uses_its_own_punctuation() -> None:
    for name, text in texts(CHINESE).items():
        assert not re.search(r"[\u4e00-\u9fff] ?[,.?!:;(]|\.\.\.", text), name


def test_named_places_are_the_same_in_both_languages() -> None:
    for name, text in texts(ENGLISH).items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", texts(CHINESE)[name])), name


def test_page_code_shows_no_text_of_its_own() -> None:
    """Outside words.py no string holds words between tags, and no component is given a text of its own."""
    for path in PAGE.rglob("*.py"):
        if path.name in ("english.py", "chinese.py"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                own = re.search(r">[^<>{}]*[A-Za-z]{2}[^<>]*<", node.value.replace("Thumbtune", ""))
                assert own is None, f"{path.name}:{node.lineno} shows {node.value!r}"
            if isinstance(node, ast.keyword) and node.arg in ("label", "placeholder", "info", "value"):
                assert not isinstance(node.value, ast.Constant) or not isinstance(node.value.value, str)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("de-DE,zh-TW;q=0.9,en;q=0.5", "zh"),
        ("fr", "en"),
        ("", "en"),
    ],
)
def test_the_first_language_of_the_browser_that_the_page_speaks_is_used(header: str, language: str) -> None:
    assert browser_language(header) == language


def kinds(root: type[Exception]) -> list[type[Exception]]:
    """An error's class and all below it."""
    return [root, *(kind for below in root.__subclasses__() for kind in kinds(below))]


@pytest.mark.parametrize("kind", [*kinds(AssistantError), *kinds(StoreError)], ids=lambda kind: kind.__name__)
def test_every_error_is_told_in_the_language_of_the_page(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "What happened. What to do.")
    assert explained(ENGLISH, error) == "What happened. What to do."
    assert re.search(r"[\u4e00-\u9fff]", explained(CHINESE, error))
    assert "What" not in explained(CHINESE, error)


# What a browser kept, files, differences


@pytest.mark.parametrize(
    "given",
    [
        None,
        [],
        {"temperature": "hot", "top_p": 0, "top_k": -1, "max_new_tokens": 0, "seed": 1.5, "system": 3},
    ],
)
def test_settings_that_make_no_sense_are_not_taken(given: object) -> None:
    assert preferences(given) == Preferences()


def test_settings_differ_from_the_servers_only_where_they_were_changed() -> None:
    server = Sampling(temperature=0.3, max_new_tokens=512)
    assert Preferences().sampling(server) == server
    drawn = preferences({"temperature": "1.25", "top_k": "40"}).sampling(server)
    assert (drawn.temperature, drawn.top_k, drawn.max_new_tokens) == (1.25, 40, 512)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no json", "not_json"),
        ("[" * 100_000, "not_json"),
        ("[]", "not_ours"),
        ('{"format": "thumbtune-conversation"}', "damaged"),
        (
            '{"format": "thumbtune-conversation", "title": "t", "head": null, "messages": '
            '[{"id": "a", "parent": "b", "role": "user", "content": "x"}]}',
            "damaged",
        ),
        ("x" * 2_000_001, "too_large"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_with_its_reason_and_leaves_nothing(
    fake: FakeChat, handlers: Handlers, session: Session, text: str, reason: str
) -> None:
    screen = handlers.shelving.bring(session, event(text=text))
    assert plain(ENGLISH.import_refused[reason]) in shown(screen)
    assert fake.owners == {}


def test_a_conversation_comes_back_from_its_file_with_every_branch_and_no_vote(
    fake: FakeChat, handlers: Handlers, session: Session
) -> None:
    say(handlers, session, "hello")
    first = session.turns[-1].id
    handlers.judging.vote(session, event(turn=first, value="1"))
    collect(handlers.sending.retry(session, event(turn=first)))
    link = handlers.shelving.export_json(session).outbox
    saved = base64.b64decode(link.split("base64,")[1].split('"')[0]).decode()
    handlers.shelving.bring(session, event(text=saved))
    assert [turn.content for turn in session.turns] == ["hello", "You said: hello"]
    assert len(session.turns[-1].siblings) == 2
    assert session.turns[-1].version == "imported"
    assert len(fake.votes) == 1
    assert fake.store.verify() == []


def test_a_difference_marks_words_and_single_chinese_characters() -> None:
    assert difference("It is 5.", "It is 6.") == "It is <del>5</del><ins>6</ins>."
    assert difference("五个苹果", "六个苹果") == "<del>五</del><ins>六</ins>个苹果"
    assert "<b>" not in difference("<b>", "<b>x")


# Safe HTML


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "![](https://example.com/track.png)",
        "<a href='https://example.com' onclick='x()'>x</a>",
    ],
)
def test_html_and_scripts_in_a_reply_are_shown_as_text(text: str) -> None:
    html = markdown(text)
    assert not re.search(r"<(script|img|a [^>]*(onclick|javascript))", html)


@pytest.mark.parametrize(
    ("text", "has", "has_not"),
    [
        (r"$\frac{1}{2}$", "<mfrac>", "frac{1}"),
        ("$$\na^2\n$$", 'display="block"', "$"),
        (r"so \(x_1\)", "<msub>", "\\("),
        ("Then:\n\\[ x + 1 \\]", 'display="block"', "\\["),
        (r"\[\begin{aligned}a&=b\end{aligned}\]", "<mtable", "<mi>&amp;"),
        ("It costs $5 and $6.", "It costs $5 and $6.", "<math"),
        ("`$x$`", "<code>$x$</code>", "<math"),
        (r"$\frac{$", r"\frac{", "<math"),
        ("$" + "{" * 2_000 + "}" * 2_000 + "$", "<code>", "<math"),
        (r"$\text{<b onclick=x>}$", "&lt;b", "<b"),
        (r"$\href{javascript:alert(1)}{x} \style{background:url(//x)}{y} \class{z}{w}$", "<math", 'href="'),
        (r"$\style{background:url(//x)}{y}$", "<math", 'style="'),
    ],
)
def test_formulas_are_drawn_money_is_not_and_nothing_but_signs_gets_in(
    text: str, has: str, has_not: str
) -> None:
    drawn = markdown(text)
    assert has in drawn
    assert has_not not in re.sub(r'data-tex="[^"]*"', "", drawn)


def test_markdown_keeps_code_exactly_as_written() -> None:
    assert "<code>&lt;b&gt; &amp;amp;</code>" in markdown("`<b> &amp;`")


def test_a_message_is_shown_as_written_not_as_markdown(handlers: Handlers, session: Session) -> None:
    html = shown(say(handlers, session, "2*3*4 <b>&</b>")[-1])
    assert "2*3*4 &lt;b&gt;&amp;&lt;/b&gt;" in html.split('class="turn reply')[0]


def test_ids_versions_and_comments_are_escaped(fake: FakeChat, handlers: Handlers, session: Session) -> None:
    fake.version = '<i>"v1'
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    fake.rate(reply, 1, ["clear"], "</textarea><script>x</script>", "rater-1")
    html = shown(
        handlers.judging.feedback(session, event(turn=reply, value="1", reasons=[], text="</textarea><u>"))
    )
    html += view.header(session.words, fake.version, fake.about)
    assert "<i>" not in html.replace("<i></i>", "")
    assert "<script" not in html
    assert "<u>" not in html


# Opening


def test_a_first_visit_gets_an_unguessable_name_and_examples(handlers: Handlers) -> None:
    first, second = Session(), Session()
    screen = handlers.opening.open(first, request("zh-CN"), None)
    handlers.opening.open(second, request(), None)
    assert len(first.rater) >= 22
    assert first.rater != second.rater
    assert all(example in shown(screen) for example in CHINESE.examples)
    assert screen.memory == {
        "rater": first.rater,
        "account": None,
        "language": "zh",
        "think": True,
        "mode": "one",
        "preferences": {},
        "conversation": None,
    }


def test_a_reload_restores_conversation_votes_and_switches(handlers: Handlers, session: Session) -> None:
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    handlers.judging.feedback(session, event(turn=reply, value="-1", reasons=["wrong"], text="no"))
    memory = handlers.opening.set_think(False, session).memory
    again = Session()
    screen = handlers.opening.open(again, request(), memory)
    assert "You said: hello" in shown(screen)
    assert again.turns[-1].rating == -1
    assert again.turns[-1].reasons == ("wrong",)
    assert again.think is False


@pytest.mark.parametrize(
    "memory", ["text", 7, [], {"rater": 3, "conversation": [], "language": "xx", "think": "yes"}]
)
def test_a_malformed_memory_is_a_first_visit(handlers: Handlers, memory: object) -> None:
    session = Session()
    handlers.opening.open(session, request(), memory)
    assert session.rater
    assert session.language == "en"
    assert session.conversation is None


@pytest.mark.parametrize("name", ["login-0f", "api-0f", "api"])
def test_nobody_becomes_a_person_who_signs_in_or_a_program_by_what_a_browser_kept(
    handlers: Handlers, name: str
) -> None:
    handlers.opening.open(session := Session(), request(), {"rater": name})
    assert session.rater and session.rater != name


def test_somebody_elses_conversation_is_not_shown(handlers: Handlers, session: Session) -> None:
    say(handlers, session, "secret")
    thief = Session()
    screen = handlers.opening.open(thief, request(), {**session.memory(), "rater": "rater-2"})
    assert "secret" not in shown(screen)
    assert ENGLISH.lost_conversation in shown(screen)


def test_an_open_page_goes_on_after_the_server_was_restarted(handlers: Handlers, session: Session) -> None:
    say(handlers, session, "hello")
    memory = session.memory()
    again = Session()
    collect(handlers.sending.send("more", again, memory))
    assert again.rater == "rater-1"
    assert [turn.content for turn in again.turns][:3] == ["hello", "You said: hello", "more"]


def test_the_switch_changes_every_text(handlers: Handlers, session: Session) -> None:
    say(handlers, session, "hello")
    screen = handlers.opening.language(session)
    assert f'aria-label="{CHINESE.good}"' in shown(screen)
    assert CHINESE.new_conversation in screen.header
    assert ENGLISH.good not in shown(screen)
    assert screen.memory["language"] == "zh"


# Sending


def test_a_message_streams_thought_then_answer(handlers: Handlers, session: Session) -> None:
    screens = say(handlers, session, "347 + 285")
    assert screens[0].box == ""
    reply = session.turns[-1].id
    assert f'<details class="thought thinking" id="thought-{reply}" open>' in shown(screens[3])
    assert "<summary>Thinking…</summary>" in shown(screens[3])
    final = shown(screens[-1])
    assert re.search(r"<summary>Thought for \d+\.\d s</summary>", final)
    assert " open>" not in final
    assert "The answer is <strong>632</strong>." in final
    assert '<span class="caption">v1</span>' in final


def test_a_message_is_sent_with_the_switches_as_shown_though_their_own_events_come_later(
    fake: FakeChat, handlers: Handlers, session: Session
) -> None:
    collect(handlers.sending.send("which one?", session, None, False, "resample"))
    assert fake.asked == [("which one?", False)] * 2
    assert session.memory()["mode"] == "resample" and session.memory()["think"] is False
    collect(handlers.sending.retry(session, event(turn=session.turns[-1].id), None, True, "resample"))
    assert fake.asked[2:] == [("which one?", True)]


def test_without_thinking_there_is_no_thought_block(
    fake: FakeChat, handlers: Handlers, session: Session
) -> None:
    handlers.opening.set_think(False, session)
    final = shown(say(handlers, session, "347 + 285")[-1])
    assert fake.asked == [("347 + 285", False)]
    assert "<details" not in final


def test_the_browser_learns_the_conversation_with_the_first_update(
    handlers: Handlers, session: Session
) -> None:
    screens = say(handlers, session, "hello")
    assert screens[1].memory["conversation"] == session.conversation is not None


@pytest.mark.parametrize("text", ["", "  ", "\n\t"])
def test_an_empty_message_sends_nothing_and_hints(
    fake: FakeChat, handlers: Handlers, session: Session, text: str
) -> None:
    [screen] = say(handlers, session, text)
    assert fake.asked == []
    assert ENGLISH.empty_message in shown(screen)


def test_an_error_is_shown_and_the_message_stands_where_one_click_asks_again(
    fake: FakeChat, handlers: Handlers, session: Session
) -> None:
    say(handlers, session, "hello")
    final = say(handlers, session, "broken please")[-1]
    assert "The engine stopped answering." in shown(final)
    assert 'role="alert"' in shown(final)
    assert final.box is SKIP
    assert shown(final).count("broken please</div>") == 1
    assert "You said: hello" in shown(final)
    assert not session.busy
    assert f'data-do="retry" data-turn="{session.turns[-1].id}"' in shown(final)
    two = collect(handlers.sending.send("broken twice", session, None, True, "resample"))[-1]
    assert two.box is SKIP and shown(two).count("broken twice</div>") == 1


def test_a_message_whose_reply_was_lost_is_answered_by_one_click_but_not_for_others(
    fake: FakeChat, handlers: Handlers, session: Session
) -> None:
    say(handlers, session, "hello")
    # As a server leaves it that was killed before it kept the reply.
    question = fake.store.add_message(
        str(session.conversation), session.turns[-1].id, "user", "are you there?"
    ).id
    screen = handlers.opening.open(reopened := Session(), request(), session.memory())
    again = f'data-do="retry" data-turn="{question}">{ENGLISH.resend}'
    assert again in shown(screen)
    thief = Session(browser="rater-2", turns=list(reopened.turns))
    screen = collect(handlers.sending.retry(thief, event(turn=question)))[-1]
    assert "belongs to somebody else" in shown(screen)
    assert len(fake.finished) == 1
    screen = collect(handlers.sending.retry(reopened, event(turn=question)))[-1]
    assert reopened.turns[-1].content == "You said: are you there?"
    assert reopened.turns[-2].siblings == (question,)
    assert again not in shown(screen)


def test_an_error_of_the_store_is_shown_too(
    fake: FakeChat, handlers: Handlers, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(handlers, session, "hello")

    def full(*_: object) -> None:
        raise StoreError("The disk is full. Free some space.")

    monkeypatch.setattr(fake, "rate", full)
    html = shown(handlers.judging.vote(session, event(turn=session.turns[-1].id, value="1")))
    assert "The disk is full." in html
    assert "You said: hello" in html


def test_a_message_that_never_got_a_reply_is_replaced_by_the_next(
    fake: FakeChat, handlers: Handlers, session: Session
) -> None:
    say(handlers, session, "hello")
    assert session.conversation is not None
    head = session.turns[-1].id
    fake.store.add_message(session.conversation, head, "user", "lost")
    Desk(fake).refresh(session)
    say(handlers, session, "again")
    assert [turn.content for turn in session.turns] == [
        "hello",
        "You said: hello",
        "again",
        "You said: again",
    ]


def test_an_example_is_sent_as_it_stands(fake: FakeChat, handlers: Handlers, session: Session) -> None:
    collect(handlers.sending.example(session, event(text=ENGLISH.examples[0])))
    assert fake.asked == [(ENGLISH.examples[0], True)]


def test_stop_keeps_what_was_written(fake: FakeChat, handlers: Handlers, session: Session) -> None:
    session.think = False

    async def run() -> Screen:
        screens = handlers.sending.send("slow", session)
        async for screen in screens:
            last = screen
            if session.live is not None and "tick" in session.live.answer:
                await handlers.sending.stop(session)
        return last

    final = asyncio.run(run())
    assert "tick" in session.turns[-1].content
    assert session.turns[-1].finish_reason == "stopped"
    assert '<span class="caption">v1 · stopped</span>' in shown(final)


def test_stop_before_the_first_word_still_stops(handlers: Handlers, session: Session) -> None:
    async def run() -> None:
        screens = handlers.sending.send("slow", session)
        await anext(screens)
        await handlers.sending.stop(session)
        async for _ in screens:
            pass

    asyncio.run(asyncio.wait_for(run(), 10))
    assert session.turns[-1].finish_reason == "stopped"


def test_closing_the_page_cancels_the_reply(fake: FakeChat, handlers: Handlers, session: Session) -> None:
    async def run() -> None:
        screens = handlers.sending.send("slow", session)
        async for _ in screens:
            if session.live is not None:
                break
        await screens.aclose()

    asyncio.run(run())
    assert list(fake.finished.values()) == ["stopped"]
    assert not session.busy


def test_a_new_conversation_ends_the_reply_being_written(
    fake: FakeChat, handlers: Handlers, session: Session
) -> None:
    async def run() -> Screen:
        screens = handlers.sending.send("slow", session)
        async for _ in screens:
            if session.live is not None:
                break
        screen = await handlers.branching.fresh(session)
        assert [screen async for screen in screens] == []
        return screen

    screen = asyncio.run(run())
    assert ENGLISH.greeting in shown(screen)
    assert session.conversation is None
    assert list(fake.finished.values()) == ["stopped"]


def test_a_second_message_waits_for_the_first(fake: FakeChat, handlers: Handlers, session: Session) -> None:
    async def run() -> Screen:
        screens = handlers.sending.send("slow", session)
        await anext(screens)
        hint = await anext(handlers.sending.send("me too", session))
        await handlers.sending.stop(session)
        async for _ in screens:
            pass
        return hint

    assert ENGLISH.busy in shown(asyncio.run(run()))
    assert [message for message, _ in fake.asked] == ["slow"]


# Branches


def test_an_edit_adds_a_sibling_of_the_message(fake: FakeChat, handlers: Handlers, session: Session) -> None:
    say(handlers, session, "first")
    say(handlers, session, "second")
    asked = session.turns[2]
    assert f">\n{asked.content}</textarea>" in shown(handlers.branching.edit(session, event(turn=asked.id)))
    collect(handlers.sending.resend(session, event(turn=asked.id, text="better")))
    assert [turn.content for turn in session.turns] == [
        "first",
        "You said: first",
        "better",
        "You said: better",
    ]
    assert [turn.content for turn in fake.siblings(asked.parent_id)] == ["second", "better"]


def test_editing_the_first_message_begins_at_the_root(
    fake: FakeChat, handlers: Handlers, session: Session
) -> None:
    say(handlers, session, "first")
    collect(handlers.sending.resend(session, event(turn=session.turns[0].id, text="other")))
    assert [turn.content for turn in fake.siblings(None)] == ["first", "other"]
    assert len(fake.owners) == 1


def test_cancelling_an_edit_changes_nothing(handlers: Handlers, session: Session) -> None:
    say(handlers, session, "first")
    handlers.branching.edit(session, event(turn=session.turns[0].id))
    assert "<form" not in shown(handlers.branching.cancel(session))
    assert session.turns[0].content == "first"


def test_retry_adds_a_sibling_reply(fake: FakeChat, handlers: Handlers, session: Session) -> None:
    say(handlers, session, "hello")
    first = session.turns[-1]
    collect(handlers.sending.retry(session, event(turn=first.id)))
    assert session.turns[-1].id != first.id
    assert len(fake.siblings(first.parent_id)) == 2


def test_undo_returns_the_message_to_the_box(handlers: Handlers, session: Session) -> None:
    say(handlers, session, "first")
    say(handlers, session, "second")
    screen = handlers.branching.undo(session)
    assert screen.box == "second"
    assert [turn.content for turn in session.turns] == ["first", "You said: first"]


def test_nothing_is_learned_from_a_deleted_conversation(
    fake: FakeChat, handlers: Handlers, session: Session
) -> None:
    def learned() -> dict[str, int]:
        return {format: len(list(exporters.rows(fake.store, format))) for format in exporters.FORMATS}

    say(handlers, session, "hello")
    reply = session.turns[-1].id
    handlers.judging.vote(session, event(turn=reply, value="-1"))
    handlers.judging.keep_correction(session, event(turn=reply, text="Hello to you."))
    assert all(learned().values())
    asyncio.run(handlers.shelving.delete(session, event(turn=session.conversation)))
    assert not any(learned().values())


# Votes


def test_a_thumb_opens_reasons_that_fit_it(handlers: Handlers, session: Session) -> None:
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    up = shown(handlers.judging.vote(session, event(turn=reply, value="1")))
    assert re.findall(r'name="reason" value="(\w+)"', up) == ["correct", "clear", "helpful", "other"]
    down = shown(handlers.judging.vote(session, event(turn=reply, value="-1")))
    assert re.findall(r'name="reason" value="(\w+)"', down) == [
        "wrong",
        "unclear",
        "off_topic",
        "too_long",
        "too_short",
        "other",
    ]
    assert ENGLISH.thanks in down


def test_reasons_are_kept_as_keys_with_the_comment(
    fake: FakeChat, handlers: Handlers, session: Session
) -> None:
    session.language = "zh"
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    handlers.judging.vote(session, event(turn=reply, value="-1"))
    screen = handlers.judging.finish(
        session, event(turn=reply, value="-1", reasons=["wrong", "too_long"], text="不对")
    )
    vote = fake.votes[reply, "rater-1"]
    assert (vote.value, vote.reasons, vote.comment) == (-1, ("wrong", "too_long"), "不对")
    assert "<form" not in shown(screen)


@pytest.mark.parametrize("how", ["same thumb", "withdraw"])
def test_a_vote_can_be_taken_back(fake: FakeChat, handlers: Handlers, session: Session, how: str) -> None:
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    handlers.judging.vote(session, event(turn=reply, value="1"))
    again = event(turn=reply, value="1")
    screen = (
        handlers.judging.vote(session, again)
        if how == "same thumb"
        else handlers.judging.withdraw(session, again)
    )
    assert fake.votes == {}
    assert 'aria-pressed="true"' not in shown(screen)
    assert ENGLISH.withdrawn in shown(screen)


def test_a_comment_that_arrives_after_the_withdrawal_it_preceded_does_not_bring_the_vote_back(
    fake: FakeChat, handlers: Handlers, session: Session
) -> None:
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    handlers.judging.vote(session, event(1, turn=reply, value="1"))
    handlers.judging.withdraw(session, event(3, turn=reply))
    handlers.judging.feedback(session, event(2, turn=reply, value="1", reasons=[], text="late"))
    assert fake.votes == {}


# Endpoints


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FakeChat, str]]:
    fake = FakeChat()
    with serving(fake) as url:
        yield fake, url


def test_chat_streams_dictionaries_to_a_client(served: tuple[FakeChat, str]) -> None:
    fake, url = served
    client = Client(url, verbose=False)
    job = client.submit("347 + 285", True, None, api_name="/chat")
    last = job.result(timeout=20)
    assert set(last) == {"reply_id", "conversation", "thought", "answer", "version"}
    assert last["answer"] == "The answer is **632**."
    assert "carry 1" in last["thought"]
    assert len(job.outputs()) > 2
    assert fake.asked[-1] == ("347 + 285", True)


def test_chat_needs_only_a_message_and_continues_a_conversation(served: tuple[FakeChat, str]) -> None:
    fake, url = served
    first = Client(url, verbose=False).predict("hello", api_name="/chat")
    assert fake.asked[-1] == ("hello", False)
    second = Client(url, verbose=False).predict(
        message="more", think=False, conversation=first["conversation"], api_name="/chat"
    )
    assert second["conversation"] == first["conversation"]
    assert fake.turns[fake.turns[second["reply_id"]].parent_id or ""].parent_id == first["reply_id"]


def test_rate_stores_a_vote_per_client(served: tuple[FakeChat, str]) -> None:
    fake, url = served
    one, two = Client(url, verbose=False), Client(url, verbose=False)
    reply = one.predict("hello", api_name="/chat")["reply_id"]
    answer = one.predict(reply, -1, ["wrong"], "no", api_name="/rate")
    one.predict(reply_id=reply, value=1, reasons=[], comment="", api_name="/rate")
    two.predict(reply, -1, ["unclear"], "", api_name="/rate")
    votes = {rater: vote.value for (voted, rater), vote in fake.votes.items() if voted == reply}
    assert answer["value"] == -1
    assert sorted(votes.values()) == [-1, 1]
    assert all(rater.startswith("api-") for rater in votes)


@pytest.mark.parametrize(
    ("endpoint", "arguments", "message"),
    [
        ("/chat", ("", False, None), "The message is empty."),
        ("/chat", ("hi", False, "nowhere"), "This conversation is not here any more."),
        ("/rate", ("nothing", 1, [], ""), "There is no reply 'nothing'"),
        ("/rate", ("nothing", 5, [], ""), "value is 5; it must be 1, -1 or 0"),
    ],
)
def test_errors_reach_the_client_as_clear_text(
    served: tuple[FakeChat, str], endpoint: str, arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(AppError, match=re.escape(message)):
        Client(served[1], verbose=False).predict(*arguments, api_name=endpoint)


def test_only_the_two_endpoints_are_public(served: tuple[FakeChat, str]) -> None:
    api = Client(served[1], verbose=False).view_api(return_format="dict")
    assert set(api["named_endpoints"]) == {"/chat", "/rate"}
    assert not api["unnamed_endpoints"]


def test_closing_the_stream_of_an_endpoint_cancels_the_reply(fake: FakeChat) -> None:
    async def run() -> None:
        stream = Endpoints(fake).chat("slow")
        await anext(stream)
        await stream.aclose()

    asyncio.run(run())
    assert list(fake.finished.values()) == ["stopped"]


def test_after_an_unexpected_error_the_page_can_be_used_again(
    fake: FakeChat, handlers: Handlers, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> AsyncIterator[Any]:
        raise ZeroDivisionError
        yield

    monkeypatch.setattr(fake, "reply", broken)
    with pytest.raises(ZeroDivisionError):
        say(handlers, session, "hello")
    screen = handlers.sending.recover(session)
    assert not session.busy
    assert screen.box == "hello"
    assert plain(ENGLISH.unexpected) in shown(screen)


def test_a_reply_that_was_written_without_the_oldest_messages_says_so(
    handlers: Handlers, session: Session
) -> None:
    say(handlers, session, "347 + 285")
    assert "oldest" not in "".join(view.conversation(session, "v1"))
    session.turns[-1] = dataclasses.replace(session.turns[-1], dropped=4)
    assert "written without the 4 oldest messages" in "".join(view.conversation(session, "v1"))


@pytest.mark.parametrize("words", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_who_waits_reads_the_place_in_the_queue_until_the_first_word(words: Words) -> None:
    update = Update("r1", "c1", "", "", "v1", False, None, 0.0, None, waiting=3)
    assert words.queue_format.format(place=3) in reply_view.live(words, update)
    written = dataclasses.replace(update, waiting=0, answer="19")
    assert words.queue_format.split("{place}")[0] not in reply_view.live(words, written)

"""Texts from people and models as HTML: safe, with formulas, and with marked changes."""

from __future__ import annotations

import re

import pytest
from helpers.fake_chat import FakeChat
from helpers.handler_steps import event, say, shown

from assistant.page.chat_events import ChatHandlers
from assistant.page.session.chat_session import ChatSession
from assistant.page.views import conversation
from assistant.page.views.markdown import difference, markdown


def test_a_difference_marks_words_and_single_chinese_characters() -> None:
    assert difference("It is 5.", "It is 6.") == "It is <del>5</del><ins>6</ins>."
    assert difference("五个苹果", "六个苹果") == "<del>五</del><ins>六</ins>个苹果"
    assert "<b>" not in difference("<b>", "<b>x")


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
def test_formulas_become_mathml_without_links_or_styles_and_money_stays_text(
    text: str, has: str, has_not: str
) -> None:
    html = markdown(text)
    assert has in html
    assert has_not not in re.sub(r'data-tex="[^"]*"', "", html)


def test_markdown_keeps_code_exactly_as_written() -> None:
    assert "<code>&lt;b&gt; &amp;amp;</code>" in markdown("`<b> &amp;`")


def test_a_message_is_shown_as_written_not_as_markdown(handlers: ChatHandlers, session: ChatSession) -> None:
    html = shown(say(handlers, session, "2*3*4 <b>&</b>")[-1])
    assert "2*3*4 &lt;b&gt;&amp;&lt;/b&gt;" in html.split('class="turn reply')[0]


def test_ids_versions_and_comments_are_escaped(
    chat: FakeChat, handlers: ChatHandlers, session: ChatSession
) -> None:
    chat.version = '<i>"v1'
    say(handlers, session, "hello")
    reply = session.turns[-1].id
    chat.library.rate(reply, 1, ["clear"], "</textarea><script>x</script>", "rater-1")
    html = shown(
        handlers.rating.feedback(session, event(turn=reply, value="1", reasons=[], text="</textarea><u>"))
    )
    html += conversation.header(session.texts, chat.engine.version.id, chat.about)
    assert "<i>" not in html.replace("<i></i>", "")
    assert "<script" not in html
    assert "<u>" not in html

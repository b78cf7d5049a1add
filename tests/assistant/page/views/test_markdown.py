"""Texts from people and models as HTML: safe, with formulas, and with marked changes."""

from __future__ import annotations

import re

import pytest
from helpers.fake_chat import FakeChat
from helpers.handler_steps import event, say, shown
from helpers.paths import ROOT

from assistant.page.chat_events import ChatHandlers
from assistant.page.i18n.languages import CHINESE, ENGLISH, ChatTexts
from assistant.page.session.chat_session import ChatSession
from assistant.page.views import conversation
from assistant.page.views.code_blocks import _CLASSES
from assistant.page.views.markdown import difference, markdown


def test_a_difference_marks_words_and_single_chinese_characters() -> None:
    assert difference(ENGLISH, "It is 5.", "It is 6.") == "It is <del>5</del><ins>6</ins>."
    assert difference(CHINESE, "五个苹果", "六个苹果") == "<del>五</del><ins>六</ins>个苹果"
    assert "<b>" not in difference(ENGLISH, "<b>", "<b>x")


@pytest.mark.parametrize("texts", [ENGLISH, CHINESE])
def test_an_answer_that_was_rewritten_stands_whole_beside_the_new_one(texts: ChatTexts) -> None:
    before = "I am sorry, but as a language model, I do not have the ability to tell the time in Paris."
    after = "Paris is one hour ahead of the time in London, and two in summer <b>."
    html = difference(texts, before, after)
    assert f"<b>{texts.before}</b><del>{before}</del>" in html
    assert f"<b>{texts.after}</b><ins>{after[:-4]}&lt;b&gt;.</ins>" in html


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


@pytest.mark.parametrize(
    ("text", "has", "has_not"),
    [
        ("~~old~~ new ~ x ~", "<s>old</s> new ~ x ~", "~~"),
        ("- [x] done\n- [ ] open", 'checked="checked"', "[x]"),
        ("see https://a.org/x_(y)_z?q=1&r=2).", 'href="https://a.org/x_(y)_z?q=1&amp;r=2"', 'r=2)"'),
        ("见https://a.org/路径。然后", ">https://a.org/路径</a>。然后", "然后</a>"),
        ("www.a.org and me@a.org!", 'href="https://www.a.org"', 'a.org!"'),
        ("www.a.org and me@a.org!", 'href="mailto:me@a.org"', 'a.org!"'),
        ("`https://a.org` [x](https://b.org)", "<code>https://a.org</code>", ">https://b.org<"),
        ("[a](https://b.org) <https://c.org>", 'target="_blank" rel="noopener noreferrer"', "<a href"),
        ("javascript:alert(1) //a.org", "javascript:alert(1) //a.org", "<a"),
    ],
)
def test_what_people_write_besides_commonmark_is_understood(text: str, has: str, has_not: str) -> None:
    html = markdown(text)
    assert has in html
    assert has_not not in html.replace('<a href="https://c.org', "").replace('<a href="https://b.org', "")


def test_code_is_coloured_by_its_language_and_can_be_copied_and_stays_text() -> None:
    html = markdown("```python\ndef f(x):\n    return '<b>'  # why\n```", copy_label="Copy <it>")
    assert '<i class="k">def</i> <i class="f">f</i>' in html
    assert '<i class="s">&#39;&lt;b&gt;&#39;</i>' in html and '<i class="c"># why</i>' in html
    assert 'data-do="copy_code"' in html and 'aria-label="Copy &lt;it&gt;"' in html
    assert (
        re.sub("<[^>]+>", "", html).replace("&#39;", "'")
        == "pythondef f(x):\n    return '&lt;b&gt;'  # why\n"
    )
    for unknown in ("```<script>\nx = 1\n```", "```\nx = 1\n```", "    x = 1\n"):
        assert "<code>x = 1\n</code>" in markdown(unknown) and "<script" not in markdown(unknown)


def test_each_kind_of_word_in_code_has_a_colour_of_its_own_in_light_and_in_dark() -> None:
    styles = (ROOT / "assistant" / "page" / "static" / "answer.css").read_text(encoding="utf-8")
    kinds = set(_CLASSES.values())
    light, dark = (
        dict(re.findall(r"--tt-code-(\w): (#[0-9a-f]{6});", block))
        for block in re.findall(r"^(?::root|\.dark) \{(.*)\}$", styles, re.MULTILINE)
    )
    assert set(light) == set(dark) == kinds
    assert all(len(set(scheme.values())) == len(kinds) for scheme in (light, dark))
    for kind in kinds:
        assert light[kind] != dark[kind]
        assert f".answer .{kind} {{ color: var(--tt-code-{kind}); }}" in styles


def test_the_code_that_is_being_written_is_coloured_when_it_ends() -> None:
    text = "```python\nx = 1\n```\n\n```python\ny = 2"
    growing = markdown(text, is_growing=True)
    assert '<i class="n">1</i>' in growing and "<code>y = 2</code>" in growing
    assert '<i class="n">2</i>' in markdown(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello.\n\nمرحبا.", ['<p dir="ltr">Hello', '<p dir="rtl">مرحبا']),
        ("- واحد\n- two", ['<ul dir="rtl">', '<li dir="rtl">واحد', '<li dir="ltr">two']),
        ("> שלום\n\n1. one", ['<blockquote dir="rtl">', '<ol dir="ltr">']),
        ("## `x` עברית", ['<h2 dir="rtl"><code>x</code> עברית']),
        (
            "| لغة | n |\n|-|-|\n| عربي | 2 |",
            ['tabindex="0" dir="rtl"><table dir="rtl">', '<th class="short" dir="ltr">n'],
        ),
        ("12 apples", ["<p>12 apples"]),
    ],
)
def test_each_paragraph_list_and_cell_has_the_direction_of_its_own_letters(
    text: str, expected: list[str]
) -> None:
    html = markdown(text)
    assert [part for part in expected if part not in html] == []


def test_a_short_cell_stays_on_one_line_and_a_wide_table_scrolls() -> None:
    html = markdown(
        "| Quantity | Explanation |\n|-|-|\n| 12 | "
        + "long words " * 5
        + "|\n| 十二个 | 很长很长很长很长的说明 |"
    )
    assert html.startswith('<div class="table" tabindex="0"><table>')
    assert re.findall(r'<td class="short">(\S+?)</td>', html) == ["12", "十二个"]


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

"""Code in replies: coloured by Pygments, with its language and a button that copies it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape
from pygments.lexers import get_lexer_by_name
from pygments.token import Token
from pygments.util import ClassNotFound

from assistant.page.views.templates import render

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from pygments.token import _TokenType

MAX_COLOURED = 20_000
"""Characters. Longer code is shown in one colour: colouring takes about a second for a million characters."""

_CLASSES = {
    Token.Comment: "c",
    Token.Keyword: "k",
    Token.Literal.String: "s",
    Token.Literal.Number: "n",
    Token.Name.Attribute: "f",
    Token.Name.Builtin: "b",
    Token.Name.Class: "f",
    Token.Name.Decorator: "f",
    Token.Name.Exception: "b",
    Token.Name.Function: "f",
    Token.Name.Tag: "k",
    Token.Generic.Deleted: "n",
    Token.Generic.Heading: "k",
    Token.Generic.Inserted: "s",
    Token.Operator.Word: "k",
}


def code_blocks(reader: MarkdownIt) -> None:
    """Let a Markdown reader draw code blocks with colours.

    Its environment says more: "copy_label" is the name of the button, which is left out without one; with "is_growing"
    a last block is not coloured, because it would be again and again.
    """
    reader.add_render_rule("fence", _drawn)
    reader.add_render_rule("code_block", _drawn)


@lru_cache(maxsize=512)
def coloured(code: str, language: str) -> Markup:
    """Code as HTML, with a class for each kind of word; in one colour if nobody knows the language."""
    try:
        if not language or len(code) > MAX_COLOURED:
            return escape(code)
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return escape(code)
    parts: list[tuple[str, str]] = []
    for kind, text in lexer.get_tokens(code):
        name = _class(kind)
        if parts and parts[-1][0] == name:
            parts[-1] = (name, parts[-1][1] + text)
        else:
            parts.append((name, text))
    return Markup().join(
        Markup('<i class="{}">{}</i>').format(name, text) if name else escape(text) for name, text in parts
    )


def _class(kind: _TokenType) -> str:
    """The class of a kind of word, or of the kind above it; "" for none."""
    while kind is not Token:
        if kind in _CLASSES:
            return _CLASSES[kind]
        kind = kind.parent
    return ""


def _drawn(self: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    language = token.info.strip().split(" ")[0] if token.info.strip() else ""
    is_growing = env.get("is_growing") and index == len(tokens) - 1
    return render(
        "chat/code_block.html",
        code=escape(token.content) if is_growing else coloured(token.content, language.lower()),
        language=language[:30],
        copy_label=env.get("copy_label", ""),
    )

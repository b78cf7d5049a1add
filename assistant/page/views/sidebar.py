"""The list of conversations, as HTML: a column on a desk, a drawer on a phone."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.page.i18n.languages import LANGUAGES
from assistant.page.views import icons
from assistant.page.views.markdown import plain

if TYPE_CHECKING:
    from assistant.page.session.chat_session import Session
    from feedback_store import Conversation


def side(session: Session) -> str:
    """What stands above the list. It is drawn once, so that typing in the search is not disturbed."""
    words = session.words
    return (
        f'<div class="side-top"><h2>{plain(words.conversations)}</h2>'
        f'<button type="button" class="icon close" data-do="drawer" title="{plain(words.close_list)}" '
        f'aria-label="{plain(words.close_list)}">{icons.CROSS}</button></div>'
        f'<form role="search" data-do="find" data-input="find">'
        f'<input type="search" name="text" dir="auto" value="{plain(session.search)}" '
        f'placeholder="{plain(words.search)}" aria-label="{plain(words.search)}"></form>'
    )


def shelf(session: Session) -> str:
    """The list itself, and what can be done with the open conversation."""
    words = session.words
    items = "".join(_item(session, conversation) for conversation in session.shelf)
    if not items:
        text = words.nothing_found if session.search.strip() else words.no_conversations
        items = f'<li class="empty">{plain(text)}</li>'
    saving = ""
    if session.turns:
        saving = "".join(
            f'<button type="button" class="quiet" data-do="{action}">{icons.SAVE}<span>{plain(label)}</span></button>'
            for action, label in (
                ("export_markdown", words.export_markdown),
                ("export_json", words.export_json),
            )
        )
    return (
        f'<nav class="shelf" lang="{words.code}" data-state="{state(session)}" '
        f'aria-label="{plain(words.conversations)}"><ul>{items}</ul></nav>'
        f'<div class="side-bottom">{saving}<label class="quiet file">{icons.OPEN}'
        f'<span>{plain(words.import_json)}</span><input type="file" accept=".json,application/json" '
        f'data-file="bring" aria-label="{plain(words.import_json)}"></label>{_person(session)}</div>'
    )


def state(session: Session) -> str:
    """A short sign of all that other tabs may have changed: it differs where they would show something else."""
    shown = [
        (turn.id, turn.rating, turn.reasons, turn.comment, turn.correction, turn.siblings)
        for turn in session.turns
    ]
    listed = [(one.id, one.title) for one in session.shelf]
    return f"{zlib.crc32(repr((session.conversation, shown, listed)).encode()):08x}"


def door() -> str:
    """What stands above Gradio's form for name and password: its look, and why to sign in, in every language."""
    style = (Path(__file__).parents[1] / "static" / "door.css").read_text(encoding="utf-8")
    lines = "".join(f'<p lang="{words.code}">{plain(words.door)}</p>' for words in LANGUAGES.values())
    return f"<style>{style}</style>{lines}"


def _person(session: Session) -> str:
    """Who has signed in and the way out, or the way in; for admins, the way to the dashboard."""
    words, rows = session.words, []
    if session.admin:
        rows.append(
            f'<a class="quiet" href="dashboard">{icons.BARS}<span>{plain(words.dashboard)}</span></a>'
        )
    if session.account is not None:
        name = plain(session.account.name)
        label = plain(words.signed_in_format.format(name=session.account.name))
        # This browser's alone: signing out here must not do so everywhere.
        rows.append(
            f'<div class="person"><span class="quiet" aria-label="{label}">{icons.PERSON}'
            f'<span dir="auto">{name}</span></span>'
            f'<a class="quiet" href="logout?all_session=false">{plain(words.sign_out)}</a></div>'
        )
    elif session.way_in == "hugging_face":
        rows.append(
            f'<a class="quiet" href="login/huggingface" title="{plain(words.sign_in_help)}">{icons.PERSON}'
            f"<span>{plain(words.sign_in)}</span></a>"
        )
    return "".join(rows)


def _item(session: Session, conversation: Conversation) -> str:
    words, name = session.words, plain(conversation.title or session.words.untitled)
    turn = f'data-turn="{plain(conversation.id)}"'
    if session.renaming == conversation.id:
        return (
            f'<li><form data-do="rename" {turn}><input name="text" maxlength="200" dir="auto" data-focus '
            f'value="{name}" aria-label="{plain(words.rename_label)}"><div class="row">'
            f'<button type="button" class="quiet" data-do="cancel">{plain(words.cancel)}</button>'
            f'<button type="submit" class="strong">{plain(words.save)}</button></div></form></li>'
        )
    if session.deleting == conversation.id:
        return (
            f'<li><div class="asking" role="alertdialog" aria-label="{plain(words.delete)}">'
            f'<strong dir="auto">{name}</strong>'
            f'<p>{plain(words.delete_question)}</p><div class="row">'
            f'<button type="button" class="quiet" data-do="cancel" data-focus>{plain(words.cancel)}</button>'
            f'<button type="button" class="strong danger" data-do="delete" {turn}>'
            f"{plain(words.delete_for_good)}</button></div></div></li>"
        )
    current = ' aria-current="true"' if conversation.id == session.conversation else ""
    return (
        f'<li><button type="button" class="name" data-do="switch" {turn}{current} dir="auto">{name}</button>'
        f'<button type="button" class="icon" data-do="ask_rename" {turn} title="{plain(words.rename)}" '
        f'aria-label="{plain(words.rename)}: {name}">{icons.PENCIL}</button>'
        f'<button type="button" class="icon" data-do="ask_delete" {turn} title="{plain(words.delete)}" '
        f'aria-label="{plain(words.delete)}: {name}">{icons.BIN}</button></li>'
    )

"""Signing in to the chat in Chromium: conversations belong to the account, in every browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio import oauth
from gradio_client import Client
from helpers.browser_steps import MARKS, PHONE, expect, phone_is_slow, picture, send, visits
from helpers.fake_chat import FakeChat, serving

from assistant.auth.accounts import Accounts
from assistant.auth.pseudonyms import Raters
from assistant.page.i18n.languages import CHINESE, ENGLISH

pytestmark = [
    *MARKS,
    # Outside of a Space, Gradio imitates Hugging Face's login and warns of it.
    pytest.mark.filterwarnings("ignore:Gradio does not support OAuth features outside of a Space"),
]
NAMES = "#conversation-list .name"


@contextmanager
def page(home: Path, chat: FakeChat, **ways: Any) -> Iterator[str]:
    home.mkdir()
    with serving(chat, accounts=Accounts(Raters(home), **ways)) as url:
        yield url
    chat.store.close()


def give_password(tab: Any, name: str, password: str) -> None:
    tab.locator("input").first.fill(name)
    tab.locator("input[type=password]").fill(password)
    tab.keyboard.press("Enter")


def open_list(tab: Any) -> None:
    if tab.viewport_size == PHONE and not tab.locator("#sidebar.drawer-open").count():
        tab.locator("#header [data-do=drawer]").click()


@phone_is_slow
def test_with_passwords_nobody_chats_without_one_and_conversations_are_in_every_browser(
    browser: Any, home: Path, size: dict[str, int]
) -> None:
    chat = FakeChat()
    logins = {"Ada": "correct horse", "Bob": "battery staple"}
    with (
        page(home, chat, passwords=logins) as url,
        visits(browser, url, ready="input[type=password]") as visit,
    ):
        first = visit(size)
        expect(first.get_by_text(ENGLISH.login_reason)).to_be_visible()
        expect(first.get_by_text(CHINESE.login_reason)).to_be_visible()
        picture(first, f"login-{size['width']}")
        with pytest.raises(Exception, match=r"401|auth|login"):
            Client(url, verbose=False)
        assert "tour-word_chain" not in httpx.get(f"{url}tour").text
        give_password(first, "ada", "a wrong guess")
        expect(first.get_by_text("Incorrect")).to_be_visible()
        give_password(first, "ada", "correct horse")
        send(first, "mine alone")

        second = visit(size)  # another browser of the same person
        give_password(second, "Ada", "correct horse")
        open_list(second)
        expect(second.locator(NAMES)).to_have_text(["mine alone"])
        second.locator(NAMES).click()
        expect(second.locator(".answer")).to_have_text("You said: mine alone")
        open_list(second)
        picture(second, f"signed-in-{size['width']}")
        other = visit(size)
        give_password(other, "Bob", "battery staple")
        expect(other.locator(".welcome")).to_be_visible()
        expect(other.locator(NAMES)).to_have_count(0)
        # A conversation that the person's program began is in the person's list too.
        client = Client(url, auth=("bob", "battery staple"), verbose=False)
        client.predict("from a script", api_name="/chat")
        other.reload()
        open_list(other)
        expect(other.locator(NAMES)).to_have_text(["from a script"])

        second.get_by_role("link", name=ENGLISH.sign_out).click()
        expect(second.locator("input[type=password]")).to_be_visible()
        send(first, "and still here")  # signing out in one browser does not sign out in another
        assert set(chat.owners.values()) == {
            Raters(home).signed_in("password", name) for name in ("ada", "bob")
        }


def profile(user: str, name: str) -> dict[str, Any]:
    return {
        "access_token": "token",
        "expires_at": time.time() + 600,
        "userinfo": {"sub": user, "preferred_username": name, "name": name, "profile": "", "picture": ""},
    }


@phone_is_slow
def test_a_hugging_face_account_keeps_its_conversations_and_signing_out_leaves_none_behind(
    browser: Any, home: Path, monkeypatch: pytest.MonkeyPatch, size: dict[str, int]
) -> None:
    chat = FakeChat()
    monkeypatch.setattr(oauth, "_get_mocked_oauth_info", lambda: profile("17", "ada"))
    with page(home, chat, hugging_face=True) as url, visits(browser, url) as visit:
        tab = visit(size)
        send(tab, "before")  # nobody needs to sign in
        open_list(tab)
        picture(tab, f"sign-in-{size['width']}")
        tab.get_by_role("link", name=ENGLISH.sign_in).click()
        expect(tab.locator(".welcome")).to_be_visible()
        expect(tab.locator(NAMES)).to_have_count(0)
        idle = tab.context.new_page()  # another tab of the same person
        idle.goto(url)
        expect(idle.locator(".welcome")).to_be_visible()
        send(tab, "signed in")
        tab.reload()
        expect(tab.locator(".bubble")).to_have_text("signed in")

        second = visit(size)  # another browser
        open_list(second)
        expect(second.locator(NAMES)).to_have_count(0)
        second.get_by_role("link", name=ENGLISH.sign_in).click()
        open_list(second)
        expect(second.locator(NAMES)).to_have_text(["signed in"])

        open_list(tab)
        tab.get_by_role("link", name=ENGLISH.sign_out).click()
        open_list(tab)
        expect(tab.locator(NAMES)).to_have_text(["before"])
        expect(tab.locator(".bubble")).to_have_count(0)
        # A tab that was open before the person signed out is not signed in any more either.
        send(idle, "after")
        owner = {message.content: message.conversation_id for message in chat.turns.values()}
        signed = Raters(home).signed_in("hugging_face", "17")
        assert [name for name in ("before", "signed in", "after") if chat.owners[owner[name]] == signed] == [
            "signed in"
        ]

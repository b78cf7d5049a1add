"""Sign-in to the chat: names with passwords from the settings, Hugging Face accounts, and their pseudonyms."""

import time
from pathlib import Path
from typing import Any

import pytest

from assistant.auth import passwords
from assistant.auth.accounts import Accounts
from assistant.auth.pseudonyms import SHARED_RATER, Raters, is_reserved
from assistant.settings import from_command_line


@pytest.fixture
def raters(home: Path) -> Raters:
    home.mkdir()
    return Raters(home)


def login(user: str, name: str, expires: float | None = None) -> dict[str, Any]:
    """The content of a Hugging Face login session."""
    expires = time.time() + 60 if expires is None else expires
    return {"oauth_info": {"userinfo": {"sub": user, "preferred_username": name}, "expires_at": expires}}


@pytest.mark.parametrize(
    ("name", "password", "right"),
    [
        ("Ada", "correct horse", True),
        (" ada ", "correct horse", True),
        ("ada", "battery staple", False),
        ("eve", "correct horse", False),
        ("eve", "", False),
        ("", "", False),
    ],
)
def test_each_name_accepts_its_own_password_alone(
    raters: Raters, name: str, password: str, right: bool
) -> None:
    accounts = Accounts(raters, {"Ada": "correct horse", "bob": "battery staple"})
    assert accounts.check(name, password) is right


def test_after_five_wrong_passwords_for_a_name_even_the_right_one_waits_and_others_do_not(
    raters: Raters, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = Accounts(raters, {"ada": "correct horse", "bob": "battery staple"})
    for _ in range(passwords.TRIES):
        assert not accounts.check("ADA", "guess")
    assert not accounts.check("ada", "correct horse")
    assert accounts.check("bob", "battery staple")
    later = time.monotonic() + passwords.WINDOW_SECONDS + 1
    monkeypatch.setattr(passwords.time, "monotonic", lambda: later)
    assert accounts.check("ada", "correct horse")


def test_a_person_has_one_pseudonym_that_does_not_tell_the_name_and_is_another_elsewhere(
    raters: Raters, tmp_path: Path
) -> None:
    # A name that no hexadecimal number can hold by chance.
    first = Accounts(raters, {"Uwe": "correct horse"}).who("uwe", {})
    again = Accounts(raters, {"Uwe": "another horse"}).who(" UWE", {})
    assert first is not None and again is not None
    assert first.rater == again.rater and (first.name, again.name) == ("uwe", "UWE")
    assert "uwe" not in first.rater and is_reserved(first.rater) and is_reserved(SHARED_RATER)
    (tmp_path / "other").mkdir()
    elsewhere = Accounts(Raters(tmp_path / "other"), {"Uwe": "correct horse"}).who("uwe", {})
    assert elsewhere is not None and elsewhere.rater != first.rater


def test_a_hugging_face_account_stays_the_same_person_under_a_new_name(raters: Raters) -> None:
    accounts = Accounts(raters, hugging_face=True)
    before, after, other = (
        accounts.who(None, login(user, name)) for user, name in (("1", "ada"), ("1", "ada2"), ("2", "ada"))
    )
    assert before is not None and after is not None and other is not None
    assert before.rater == after.rater != other.rater
    assert after.name == "ada2"


@pytest.mark.parametrize(
    "session", [{}, login("1", "ada", expires=1.0), {"oauth_info": {"expires_at": 9e12}}, {"oauth_info": 3}]
)
def test_an_expired_or_malformed_login_is_no_account(raters: Raters, session: dict[str, Any]) -> None:
    assert Accounts(raters, hugging_face=True).who(None, session) is None


def test_a_kind_of_login_that_is_switched_off_is_no_account(raters: Raters) -> None:
    assert Accounts(raters).who("ada", login("1", "ada")) is None
    assert Accounts(raters).way is None
    assert Accounts(raters, {"ada": "correct horse"}).who(None, login("1", "ada")) is None


def test_passwords_from_the_environment_switch_hugging_face_login_off(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    home.mkdir()
    monkeypatch.setenv("SPACE_ID", "ada/space")
    monkeypatch.setenv("OAUTH_CLIENT_ID", "some-client")
    assert Accounts.of(from_command_line(["--home", str(home)])).way == "hugging_face"
    monkeypatch.setenv("THUMBTUNE_LOGINS", "Ada:correct horse, bob:with:colon ,")
    accounts = Accounts.of(from_command_line(["--home", str(home)]))
    assert accounts.way == "password"
    assert accounts.check("ada", "correct horse") and accounts.check("bob", "with:colon")


@pytest.mark.parametrize(
    "value", ["", " , ", "ada", ":correct horse", "ada:short", "ada:12345678,ADA:12345678"]
)
def test_empty_malformed_and_weak_logins_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("THUMBTUNE_LOGINS", value)
    with pytest.raises(Exception, match="logins"):
        from_command_line([])

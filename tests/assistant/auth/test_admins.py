"""Dashboard authentication: a password with a limit on guesses, named accounts on Spaces, and nobody else."""

import time
from typing import Any

import pytest

from assistant.auth import admins as admins_module
from assistant.auth import passwords
from assistant.auth.admins import COOKIE, Admins, NotAnAdmin, TooManyTries, WrongPassword
from assistant.settings import Settings

PASSWORD = "correct horse battery"


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(admins_module, "time", clock)
    monkeypatch.setattr(passwords, "time", clock)
    return clock


def account(name: str, expires: float | None = None) -> dict[str, Any]:
    return {
        "userinfo": {"sub": f"id of {name}", "preferred_username": name},
        "expires_at": time.time() + 60 if expires is None else expires,
    }


def test_a_person_with_the_password_is_an_admin_until_they_sign_out() -> None:
    admins = Admins(PASSWORD)
    token = admins.sign_in(PASSWORD, "Ada", "1.2.3.4")
    assert admins.who({COOKIE: token}) == "Ada (password)"
    admins.sign_out(token)
    with pytest.raises(NotAnAdmin):
        admins.who({COOKIE: token})


def test_a_session_ends_after_its_time(clock: Clock) -> None:
    admins = Admins(PASSWORD)
    token = admins.sign_in(PASSWORD, "Ada", "1.2.3.4")
    clock.now += admins_module.SESSION_SECONDS - 1
    admins.who({COOKIE: token})
    clock.now += 2
    with pytest.raises(NotAnAdmin):
        admins.who({COOKIE: token})


@pytest.mark.parametrize("cookies", [{}, {COOKIE: ""}, {COOKIE: "guess"}, {"other": "x"}])
def test_without_a_session_nobody_is_an_admin(cookies: dict[str, str]) -> None:
    admins = Admins(PASSWORD)
    admins.sign_in(PASSWORD, "Ada", "1.2.3.4")
    with pytest.raises(NotAnAdmin):
        admins.who(cookies)


@pytest.mark.parametrize("guess", ["", "x", PASSWORD + " ", PASSWORD.upper(), "密码", "\udc80"])
def test_a_wrong_password_is_refused(guess: str) -> None:
    with pytest.raises(WrongPassword):
        Admins(PASSWORD).sign_in(guess, "Ada", "1.2.3.4")


@pytest.mark.parametrize("guess", ["", "None", PASSWORD])
def test_without_a_configured_password_every_password_is_refused(guess: str) -> None:
    admins = Admins()
    assert not admins.by_password and not admins.by_name
    with pytest.raises(WrongPassword):
        admins.sign_in(guess, "Ada", "1.2.3.4")


def test_after_five_wrong_passwords_from_one_address_none_is_checked_for_a_while(clock: Clock) -> None:
    admins = Admins(PASSWORD)
    for _ in range(passwords.TRIES):
        with pytest.raises(WrongPassword):
            admins.sign_in("guess", "Eve", "6.6.6.6")
        clock.now += 1
    with pytest.raises(TooManyTries) as refused:
        admins.sign_in(PASSWORD, "Eve", "6.6.6.6")
    assert refused.value.seconds == passwords.WINDOW_SECONDS - passwords.TRIES
    admins.sign_in(PASSWORD, "Ada", "1.2.3.4")  # from elsewhere
    clock.now += refused.value.seconds + 1
    admins.sign_in(PASSWORD, "Ada", "6.6.6.6")


def test_many_addresses_together_are_slowed_down_too(clock: Clock) -> None:
    admins = Admins(PASSWORD)
    for number in range(passwords.TRIES_IN_ALL):
        with pytest.raises(WrongPassword):
            admins.sign_in("guess", "Eve", f"address {number}")
    with pytest.raises(TooManyTries):
        admins.sign_in(PASSWORD, "Eve", "another")


def test_a_right_password_is_not_counted_as_a_guess() -> None:
    admins = Admins(PASSWORD)
    for _ in range(3 * passwords.TRIES):
        admins.sign_in(PASSWORD, "Ada", "1.2.3.4")


def test_named_accounts_are_admins_whatever_the_case() -> None:
    admins = Admins(names=["Ada", "bob"])
    assert admins.who({}, account("ada")) == "ada (Hugging Face)"
    assert admins.who({}, account("Bob")) == "Bob (Hugging Face)"


@pytest.mark.parametrize(
    "login",
    [
        None,
        {},
        account("eve"),
        account("ada", expires=1.0),
        {"userinfo": None, "expires_at": 9e12},
        {"expires_at": "x"},
    ],
)
def test_any_other_account_is_no_admin(login: dict[str, Any] | None) -> None:
    with pytest.raises(NotAnAdmin):
        Admins(names=["ada"]).who({}, login)


def test_names_count_only_if_hugging_face_login_is_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SPACE_ID", "OAUTH_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings(admins="ada, bob")
    assert not Admins.of(settings).by_name
    monkeypatch.setenv("SPACE_ID", "ada/space")
    assert not Admins.of(settings).by_name
    monkeypatch.setenv("OAUTH_CLIENT_ID", "some-client")
    assert Admins.of(settings).by_name


def test_a_name_cannot_imitate_an_account_or_break_the_line() -> None:
    admins = Admins(PASSWORD)
    token = admins.sign_in(PASSWORD, "Eve (Hugging Face)\nroot" + "x" * 99, "1.2.3.4")
    who = admins.who({COOKIE: token})
    assert who.startswith("Eve Hugging Faceroot") and who.endswith(" (password)")
    assert "\n" not in who and len(who) <= admins_module.MAX_NAME + len(" (password)")


def test_the_oldest_session_ends_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admins_module, "SESSIONS", 2)
    admins = Admins(PASSWORD)
    first, second, third = (admins.sign_in(PASSWORD, name, "1.2.3.4") for name in "abc")
    with pytest.raises(NotAnAdmin):
        admins.who({COOKIE: first})
    assert admins.who({COOKIE: second}) == "b (password)"
    assert admins.who({COOKIE: third}) == "c (password)"

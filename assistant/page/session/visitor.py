"""Who is behind a request: an account that has signed in, an admin, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradio.context import LocalContext

from assistant.auth.admins import NotAnAdmin

if TYPE_CHECKING:
    from assistant.auth.accounts import Account, Accounts
    from assistant.auth.admins import Admins


def request_now() -> Any:
    """The request of the event that is being handled; None outside of one, as in a test that calls a handler."""
    return LocalContext.request.get(None)


def login_session(request: Any) -> dict[str, Any]:
    """What Hugging Face's login keeps in its signed cookie, for a request of Gradio's or of Starlette's."""
    asked = getattr(request, "request", request)
    return dict(getattr(asked, "scope", {}).get("session") or {})


def account_of(request: Any, accounts: Accounts | None) -> Account | None:
    """Who has signed in to chat."""
    if request is None or accounts is None:
        return None
    return accounts.who(getattr(request, "username", None), login_session(request))


def is_admin(request: Any, admins: Admins | None) -> bool:
    """Whether the dashboard is open to whoever asks."""
    if request is None or admins is None:
        return False
    asked = getattr(request, "request", request)
    try:
        admins.who(asked.cookies, login_session(request).get("oauth_info") if admins.by_name else None)
    except NotAnAdmin:
        return False
    return True

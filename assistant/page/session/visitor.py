"""Who sent a request: an account that has signed in, an admin, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from assistant.auth.admins import NotAnAdmin
from assistant.page.session.gradio_compat import starlette_request

if TYPE_CHECKING:
    from assistant.auth.accounts import Account, Accounts
    from assistant.auth.admins import Admins


def login_session(request: Any) -> dict[str, Any]:
    """What Hugging Face's login keeps in its signed cookie, for a request of Gradio's or of Starlette's."""
    return dict(getattr(starlette_request(request), "scope", {}).get("session") or {})


def account_of(request: Any, accounts: Accounts | None) -> Account | None:
    """The account that has signed in to the chat; None without one, without a request, or if nobody can sign in."""
    if request is None or accounts is None:
        return None
    return accounts.who(getattr(request, "username", None), login_session(request))


def is_admin(request: Any, admins: Admins | None) -> bool:
    """Whether the request may open the dashboard."""
    if request is None or admins is None:
        return False
    oauth = login_session(request).get("oauth_info") if admins.by_name else None
    try:
        admins.who(starlette_request(request).cookies, oauth)
    except NotAnAdmin:
        return False
    return True

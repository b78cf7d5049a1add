"""Access to the dashboard: admins sign in by password or by account, and nobody else gets in by any way."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from gradio_client import Client
from helpers.fake_chat import FakeChat
from helpers.fake_dashboard import PASSWORD, WHO, filled, services_over, serving
from helpers.fake_provider import CLIENT, SECRET, Provider, running_provider
from itsdangerous import TimestampSigner

from assistant.auth.admins import Admins
from assistant.page import build_page
from assistant.page.dashboard import AdminServices
from assistant.page.dashboard.views.layout import sign_in
from assistant.page.i18n.dashboard_languages import LANGUAGES
from assistant.registry import live_comparison
from assistant.registry.versions import Versions

# Gradio's queue calls pandas in ways that pandas 3 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'future.no_silent_downcasting' is deprecated"),
    pytest.mark.filterwarnings("ignore:The copy keyword is deprecated"),
]


@pytest.fixture(scope="module")
def served_dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AdminServices, str]]:
    services = filled(tmp_path_factory.mktemp("dashboard") / "home")
    with serving(services) as url:
        yield services, url


def dashboard_functions(services: AdminServices) -> list[Any]:

    async def build() -> Any:
        return build_page(services.chat, services)

    # Without a running event loop Gradio makes one for every lock, and never closes it.
    page = asyncio.run(build())
    return [function for function in page.fns.values() if function.page == "dashboard"]


def call(client: httpx.Client, url: str, number: int, data: dict[str, Any], **headers: str) -> str:
    """Send an event to Gradio's queue, as anybody can, and return the whole response, errors included."""
    event = {"data": [None], "fn_index": number, "session_hash": f"s{number}", "event_data": data}
    joined = client.post(f"{url}gradio_api/queue/join", json=event, headers=headers)
    if joined.status_code != 200:
        return joined.text
    response = ""
    with client.stream("GET", f"{url}gradio_api/queue/data?session_hash=s{number}", timeout=30) as stream:
        for line in stream.iter_lines():
            response += line
            if "process_completed" in line:
                break
    return response


FORGED: dict[str, Any] = {
    "view": "versions", "version": "v6", "share": "20", "prompt": "Hello", "version_a": "v4", "version_b": "v6",
    "choice": "left", "text": "x", "who": WHO, "name": WHO, "do": "release",
}  # fmt: skip


def test_every_event_of_the_page_goes_through_the_guard(services: AdminServices) -> None:
    functions = dashboard_functions(services)
    assert len(functions) >= 20
    assert {function.fn.__qualname__.split(".")[0] for function in functions} == {"guarded"}
    assert {function.api_visibility for function in functions} == {"private"}


def test_no_event_gives_or_does_anything_for_others_than_admins(
    served_dashboard: tuple[AdminServices, str],
) -> None:
    services, url = served_dashboard
    trail = services.actions.audit.last(99)
    with httpx.Client() as client:
        for function in dashboard_functions(services):
            response = call(client, url, function._id, FORGED)
            assert "process_completed" in response
            for secret in ("v4", "v6", "promoted", "live-comparison-", "Ada"):
                assert secret not in response, function.name
            assert 'class=\\"sign-in' in response
    assert services.versions.released() == "v4"
    assert live_comparison.read(services.home) is None
    assert services.actions.runner.started() is None
    assert services.chat.requests == []  # type: ignore[attr-defined]
    assert services.actions.audit.last(99) == trail


def test_the_served_page_contains_no_data(served_dashboard: tuple[AdminServices, str]) -> None:
    _, url = served_dashboard
    for page in ("dashboard", "config", "gradio_api/info"):
        sent = httpx.get(f"{url}{page}").text
        assert "v6" not in sent
        assert "views" not in sent.partition("<body")[2] and "promoted" not in sent


def test_the_python_client_finds_no_endpoint_of_the_dashboard(
    served_dashboard: tuple[AdminServices, str],
) -> None:
    services, url = served_dashboard
    client = Client(url, verbose=False)
    for name in ("/release", "/run", "/open", "/guarded"):
        with pytest.raises(ValueError, match=r"[Cc]annot find|not find"):
            client.predict(api_name=name)
    named = client.view_api(return_format="dict")["named_endpoints"]
    assert set(named) == {"/chat", "/rate"}
    assert services.versions.released() == "v4"


@contextmanager
def signed_in(url: str) -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        answer = client.post(f"{url}admin/login", json={"name": "Ada", "password": PASSWORD})
        assert answer.status_code == 204
        yield client


def test_an_admin_gets_in_but_not_when_another_site_sends_the_cookie(
    served_dashboard: tuple[AdminServices, str],
) -> None:
    services, url = served_dashboard
    number = next(function._id for function in dashboard_functions(services) if function.name == "run")
    with signed_in(url) as client:
        assert "v4" in call(client, url, number, {"view": "versions"})
        cookie = client.cookies.get("thumbtune-admin")
        evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        answer = call(client, url, number, {"view": "versions"}, **evil)
        assert "v4" not in answer
        assert client.get(f"{url}admin/export/trl-kto", headers=evil).status_code == 403
        assert client.post(f"{url}admin/logout", json={}, headers=evil).status_code == 403
        assert client.get(f"{url}admin/export/audit").status_code == 200
        client.post(f"{url}admin/logout", json={})
        # The server has ended the session, so that a copy of its cookie opens nothing.
        client.cookies.set("thumbtune-admin", str(cookie))
        assert client.get(f"{url}admin/export/audit").status_code == 403


def test_scripts_and_other_sites_cannot_use_the_cookie(served_dashboard: tuple[AdminServices, str]) -> None:
    _, url = served_dashboard
    login = {"name": "Ada", "password": PASSWORD}
    plain = httpx.post(f"{url}admin/login", json=login).headers["set-cookie"].lower()
    assert "httponly" in plain and "samesite=strict" in plain and "secure" not in plain
    proxied = httpx.post(f"{url}admin/login", json=login, headers={"x-forwarded-proto": "https"})
    assert "secure" in proxied.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"[]", 400), (b"{", 400), (b'{"password": 5}', 400), (b"x" * 5_000, 413)],
)
def test_a_malformed_sign_in_is_refused(
    served_dashboard: tuple[AdminServices, str], body: bytes, status: int
) -> None:
    assert httpx.post(f"{served_dashboard[1]}admin/login", content=body).status_code == status


def test_wrong_passwords_are_refused_and_audited_and_soon_not_checked_at_all(home: Path) -> None:
    services = filled(home)
    with serving(services) as url:
        for _ in range(5):
            answer = httpx.post(f"{url}admin/login", json={"name": "Eve", "password": "a guess of hers"})
            assert (answer.status_code, answer.json()) == (401, {"error": "wrong"})
            assert "set-cookie" not in answer.headers
        answer = httpx.post(f"{url}admin/login", json={"name": "Ada", "password": PASSWORD})
        assert answer.status_code == 429 and answer.json()["seconds"] > 200
    entries = services.actions.audit.last(99)
    assert [entry["what"] for entry in entries] == ["sign in: failed"] * 5
    assert "guess" not in json.dumps(entries)


def test_a_version_is_downloaded_for_other_programs_by_admins_and_that_is_audited(
    served_dashboard: tuple[AdminServices, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    services, url = served_dashboard
    commands: list[tuple[str, ...]] = []

    def write(*arguments: str) -> None:
        commands.append(arguments)
        folder = Path(arguments[-1])
        folder.mkdir(parents=True)
        (folder / "README.md").write_text("# v4", encoding="utf-8")

    monkeypatch.setattr(services.actions.runner, "call", write)
    assert httpx.get(f"{url}admin/versions/v4/peft").status_code == 403
    with signed_in(url) as client:
        assert client.get(f"{url}admin/versions/v4/exe").status_code == 404
        unknown = client.get(f"{url}admin/versions/v99/peft")
        assert unknown.status_code == 500 and "v99" in unknown.json()["error"]
        assert not commands
        for _ in range(2):
            answer = client.get(f"{url}admin/versions/v4/peft")
            assert answer.headers["content-type"] == "application/zip"
            with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
                assert archive.read("v4-peft/README.md") == b"# v4"
    folder = services.home / "exports" / "v4-peft"
    assert commands == [("export", "v4", "--format", "peft", "--out", str(folder))]
    line = json.loads(services.actions.audit.path.read_text(encoding="utf-8").splitlines()[-1])
    assert (line["who"], line["what"], line["detail"]) == (WHO, "export", "v4 as peft")


@pytest.mark.parametrize("what", ["trl-kto", "trl-preference", "trl-sft", "trl-prompt", "audit"])
def test_an_export_is_for_admins_and_audited(served_dashboard: tuple[AdminServices, str], what: str) -> None:
    services, url = served_dashboard
    assert httpx.get(f"{url}admin/export/{what}").status_code == 403
    with signed_in(url) as client:
        answer = client.get(f"{url}admin/export/{what}")
        assert answer.status_code == 200
        rows = [json.loads(line) for line in answer.text.splitlines()]
        assert rows or what == "trl-sft"
        assert client.get(f"{url}admin/export/../../feedback.db").status_code == 404
        assert client.get(f"{url}admin/export/passwd").status_code == 404
    line = services.actions.audit.last(1)[0]
    assert (line["who"], line["what"], line["detail"]) == (WHO, "export", what)


@pytest.mark.parametrize("code", LANGUAGES)
def test_without_a_password_or_names_the_page_says_how_to_switch_it_on(code: str) -> None:
    texts = LANGUAGES[code]
    html = sign_in(texts, Admins())
    assert texts.switched_off in html
    assert "THUMBTUNE_ADMIN_PASSWORD" in html and "hf_oauth: true" in html
    assert "<form" not in html
    assert "<form" in sign_in(texts, Admins(PASSWORD))
    assert "<form" not in sign_in(texts, Admins(names=["ada"]))


class Visitor:
    """As much of a browser as a login needs: it keeps the session's cookie, which is for HTTPS only."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client()
        self.cookie: dict[str, str] = {}

    def get(self, address: str) -> httpx.Response:
        ours = address.startswith(self.url)
        answer = self.client.get(address, headers=self.cookie if ours else {})
        for name, value in (line.partition("=")[::2] for line in answer.headers.get_list("set-cookie")):
            if name == "session":
                assert "httponly" in value.lower() and "secure" in value.lower()
                self.cookie = {"cookie": f"session={value.partition(';')[0]}"}
        return answer

    def sign_in(self) -> None:
        """Follow the login there and back."""
        address = f"{self.url}login/huggingface?_target_url=/dashboard"
        for _ in range(5):
            answer = self.get(address)
            if not answer.is_redirect:
                break
            address = str(answer.url.join(answer.headers["location"]))
        assert urlsplit(address).path == "/dashboard"


@pytest.fixture
def by_account(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[AdminServices, Visitor, Provider]]:
    """A dashboard as on a Space, where a provider on this machine plays Hugging Face's part of the login."""
    from gradio import oauth

    filled(home).store.close()
    services = services_over(FakeChat("v4"), Versions(home), Admins(names=["Ada"]))
    with running_provider() as provider:
        for name, value in {
            "OAUTH_CLIENT_ID": CLIENT,
            "OAUTH_CLIENT_SECRET": SECRET,
            "OAUTH_SCOPES": "openid profile",
            "OPENID_PROVIDER_URL": provider.url,
        }.items():
            monkeypatch.setattr(oauth, name, value)
        monkeypatch.setattr(oauth, "get_space", lambda: "somebody/thumbtune")
        with serving(services) as url:
            visitor = Visitor(url)
            with visitor.client:
                yield services, visitor, provider


def test_an_account_named_in_the_settings_can_sign_in_and_out(
    by_account: tuple[AdminServices, Visitor, Provider],
) -> None:
    services, visitor, provider = by_account
    number = next(function._id for function in dashboard_functions(services) if function.name == "run")

    def seen() -> str:
        return call(visitor.client, visitor.url, number, {"view": "versions"}, **visitor.cookie)

    assert 'class=\\"sign-in' in seen()
    provider.name = "ada"
    visitor.sign_in()
    assert "ada (Hugging Face)" in seen() and "v4" in seen()
    assert httpx.get(f"{visitor.url}admin/export/audit", headers=visitor.cookie).status_code == 200
    answer = httpx.post(f"{visitor.url}admin/logout", json={}, headers=visitor.cookie)
    assert answer.status_code == 204 and "session=null" in answer.headers["set-cookie"]


def test_another_account_does_not_get_in_and_a_login_expires(
    by_account: tuple[AdminServices, Visitor, Provider],
) -> None:
    services, visitor, provider = by_account
    number = next(function._id for function in dashboard_functions(services) if function.name == "run")
    provider.name = "eve"
    visitor.sign_in()
    assert "v4" not in call(visitor.client, visitor.url, number, {"view": "versions"}, **visitor.cookie)
    assert httpx.get(f"{visitor.url}admin/export/audit", headers=visitor.cookie).status_code == 403
    provider.name, provider.seconds = "ada", 0
    visitor.sign_in()
    assert httpx.get(f"{visitor.url}admin/export/audit", headers=visitor.cookie).status_code == 403


def test_a_cookie_that_the_login_did_not_sign_opens_nothing(
    by_account: tuple[AdminServices, Visitor, Provider],
) -> None:
    _, visitor, _ = by_account
    forged = base64.b64encode(
        json.dumps({"oauth_info": {"userinfo": {"preferred_username": "ada"}, "expires_at": 9e12}}).encode()
    ).decode()
    signed = TimestampSigner("a guess").sign(forged).decode()
    for value in (forged, signed):
        answer = httpx.get(f"{visitor.url}admin/export/audit", headers={"cookie": f"session={value}"})
        assert answer.status_code == 403

"""Two processes of the app on one store and one home: what happens in one is seen by the other."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from helpers.changed_version import changed
from helpers.running_app import running_apps

from assistant.admin.audit import Audit
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore

PASSWORD = "of the two processes"


@pytest.fixture
def store_arguments(engine_name: str, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Flags of the store: none for SQLite in the home."""
    if engine_name == "sqlite":
        yield []
        return
    server = request.getfixturevalue("postgresql")
    database = server.new_database("empty")
    yield ["--store-url", server.url(database)]
    server.drop(database)


class App:
    """One of the processes, as its clients use it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.http = httpx.Client(base_url=address, timeout=60)
        self.gradio = Client(address, verbose=False)

    def close(self) -> None:
        self.http.close()
        self.gradio.close()

    def complete(self, *texts: str) -> tuple[str, str]:
        """Id and text of the reply to a conversation that begins and ends with a user's message."""
        roles = ("user", "assistant")
        messages = [{"role": roles[turn % 2], "content": text} for turn, text in enumerate(texts)]
        body = {"model": "thumbtune", "user": "ann", "messages": messages, "temperature": 0}
        body |= {"max_tokens": 60, "reasoning_effort": "none"}
        answer = self.http.post("/v1/chat/completions", json=body).raise_for_status().json()
        return answer["id"].removeprefix("chatcmpl-"), answer["choices"][0]["message"]["content"]

    def rate(self, reply: str, value: int) -> None:
        body = {"id": f"chatcmpl-{reply}", "value": value, "user": "ann"}
        self.http.post("/v1/feedback", json=body).raise_for_status()

    def sign_in(self, name: str) -> None:
        body = {"name": name, "password": PASSWORD}
        assert self.http.post("/admin/login", json=body).status_code == 204

    def admin_action(self, handler: str, **data: Any) -> str:
        """Send an event of the dashboard, as its page does; what Gradio answers."""
        functions = self.http.get("/config").json()["dependencies"]
        (number,) = {
            function["id"]
            for function in functions
            if any(target[1] == handler for target in function["targets"])
        }
        event = {"data": [None], "fn_index": number, "session_hash": handler, "event_data": data}
        self.http.post("/gradio_api/queue/join", json=event).raise_for_status()
        with self.http.stream("GET", f"/gradio_api/queue/data?session_hash={handler}") as stream:
            response = ""
            for line in stream.iter_lines():
                response += line
                if "process_completed" in line:
                    break
        assert '"success":true' in response.replace(" ", ""), response
        return json.dumps(json.loads(response[response.rindex("data:") + 5 :]), ensure_ascii=False)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.timeout(600)
def test_what_happens_in_one_process_is_seen_by_the_other(
    home: Path, store_arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THUMBTUNE_ADMIN_PASSWORD", PASSWORD)
    home.mkdir()
    with (
        running_apps(home, 2, "--engine", "llama.cpp", *store_arguments) as addresses,
        closing(App(addresses[0])) as one,
        closing(App(addresses[1])) as two,
    ):
        versions = Versions(home)
        # Both began on an empty home, and one of them made its first version.
        assert versions.ids() == ["v1"] and len(versions.history()) == 1
        with FeedbackStore.open_home(home) as store:
            conversations_and_votes(one, two, store)
            releases_and_admin_actions(one, two, versions, store)
            assert store.verify() == []


def conversations_and_votes(one: App, two: App, store: FeedbackStore) -> None:
    first, answer = one.complete("What is 12 + 7?")
    second, _ = two.complete("What is 12 + 7?", answer, "And plus 5?")
    assert store.reply(second).conversation_id == store.reply(first).conversation_id
    began = one.gradio.predict("Hello", False, None, api_name="/chat")
    went_on = two.gradio.predict("And you?", False, began["conversation"], api_name="/chat")
    assert went_on["conversation"] == began["conversation"]
    assert store.reply(went_on["reply_id"]).prompt_ids != store.reply(began["reply_id"]).prompt_ids

    # Both know the person by the same pseudonym, so that a vote in one replaces that in the other.
    two.rate(first, 1)
    one.rate(first, -1)
    assert votes(store, first) == [-1]
    two.rate(first, 0)
    assert votes(store, first) == [0]
    one.rate(first, 1)
    two.gradio.predict(began["reply_id"], 1, ["clear"], "", api_name="/rate")
    for app in (one, two):
        assert app.http.get("/health").json() == {"status": "ok", "version": "v1"}


def votes(store: FeedbackStore, reply: str) -> list[int]:
    return [rating.value for rating, rated in store.ratings() if rated.id == reply]


def releases_and_admin_actions(one: App, two: App, versions: Versions, store: FeedbackStore) -> None:
    second = changed(versions.open("v1"), versions, 0.5)
    one.sign_in("Ada")
    two.sign_in("Grace")
    # An admin's session belongs to the process where they signed in.
    with closing(App(two.address)) as stranger:
        stranger.http.cookies.update(one.http.cookies)
        assert "Sign in" in stranger.admin_action("go", view="audit")

    assert "thumbs" in two.admin_action("go", view="versions", language="en")
    one.admin_action("release", version=second.id, why="it is better", view="versions", language="en")
    assert versions.released() == second.id
    for app in (one, two):
        until(lambda app=app: app.http.get("/health").json()["version"] == second.id)  # type: ignore[misc]
        assert store.reply(app.complete("Hello")[0]).version == second.id
    seen = two.admin_action("go", view="audit", language="en")
    assert "Ada" in seen and "it is better" in seen
    two.admin_action("roll_back", why="worse after all", view="versions", language="en")
    for app in (one, two):
        until(lambda app=app: app.http.get("/health").json()["version"] == "v1")  # type: ignore[misc]
    seen = one.admin_action("go", view="audit", language="en")
    assert "Grace" in seen and "worse after all" in seen
    done = [(entry["who"], entry["what"]) for entry in reversed(Audit(versions.home).last(99))]
    assert done == [
        ("Ada (password)", "sign in"),
        ("Grace (password)", "sign in"),
        ("Ada (password)", "release"),
        ("Grace (password)", "roll back"),
    ]

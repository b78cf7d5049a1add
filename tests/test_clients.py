"""The clients that people use, each as its makers ship it, against the served app."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import client_trials
from helpers.running_app import running_app

from assistant.auth.pseudonyms import Raters
from feedback_store import FeedbackStore

pytestmark = pytest.mark.slow

PACKAGES = {
    "openai": ("openai", "openai"),
    "litellm": ("litellm", "litellm"),
    "langchain": ("langchain_openai", "langchain-openai"),
    "llama-index": (
        "llama_index.llms.openai_like, llama_index.embeddings.openai",
        "llama-index-llms-openai-like llama-index-embeddings-openai",
    ),
}
"""What each client is imported as, and what is installed for it."""
CONTEXT_ERRORS = {
    "openai": "openai.BadRequestError",
    "litellm": "litellm.exceptions.ContextWindowExceededError",
    "langchain": "langchain_openai.chat_models.base.OpenAIContextOverflowError",
    "llama-index": "openai.BadRequestError",
}
ENVIRONMENT = os.environ.get("THUMBTUNE_CLIENTS")
"""A virtual environment with the clients, which want other versions of each other's packages than the tests have."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clients") / "home"


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with running_app(home, "--engine", "llama.cpp") as address:
        yield address


def interpreter(client: str) -> str:
    """The Python that has a client; skips where it is not installed."""
    python = f"{ENVIRONMENT}/bin/python" if ENVIRONMENT else sys.executable
    imports, packages = PACKAGES[client]
    has_it = subprocess.run([python, "-c", f"import {imports}"], capture_output=True, check=False)
    if has_it.returncode:
        pytest.skip(
            f"python3 -m venv clients && clients/bin/pip install {packages}, and THUMBTUNE_CLIENTS=clients"
        )
    return python


@pytest.mark.parametrize("client", PACKAGES)
def test_a_client_chats_streams_stops_goes_on_and_names_its_errors(
    home: Path, address: str, client: str
) -> None:
    command = [interpreter(client), client_trials.__file__, client, f"{address}/v1"]
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200, env=environment)
    assert run.returncode == 0, run.stderr
    outcome = json.loads(run.stdout.splitlines()[-1])
    assert outcome["chat"] == outcome["streamed"] == "12+7=19"
    assert outcome["stopped"] == "12+7"
    assert "7" in outcome["goes_on"]
    assert outcome["structured"]["value"] == 19
    assert outcome["structured"]["sure"] in (True, False)
    assert outcome["called"] == outcome["structured"]
    assert CONTEXT_ERRORS[client] in outcome["too_long"]
    assert "Shorten it" in outcome["too_long"][-1]
    assert "openai.NotFoundError" in outcome["embedded"]
    assert "nothing at '/v1/embeddings'" in outcome["embedded"][-1]

    rater = Raters(home).pseudonym(client, None)
    with FeedbackStore.open(home / "feedback.db") as store:
        (conversation,) = [item.id for item in store.conversations(rater) if store.messages(item.id)[3:]]
        paths = [store.path(message.id) for message in store.messages(conversation)]
    # The second question continues the stored conversation, and what was asked again is a sibling in it.
    assert ["user", "assistant"] * 2 in [[message.role for message in path] for path in paths]

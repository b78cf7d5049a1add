"""The whole circle: chat, thumb, train, release, and the running app answers from the next version."""

import sys
import time
from pathlib import Path
from typing import Any

import torch
from gradio_client import Client
from helpers import warm_process
from helpers.running_app import ROOT, running_app
from safetensors.torch import load_file

from assistant.bases.base import STARTER_FOLDER, folder_hash
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore

QUESTIONS = [
    "What is {} + 7?",
    "Tom has {} apples and buys 5 more. How many apples has he?",
    "{}减3等于多少？",
]


def alignment(home: Path, *arguments: str) -> str:
    done = warm_process.run([sys.executable, "-m", "alignment", *arguments, "--home", str(home)], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def ask(client: Client, message: str, think: bool, conversation: str | None = None) -> dict[str, Any]:
    updates = list(client.submit(message, think, conversation, api_name="/chat"))
    assert {"reply_id", "conversation", "thought", "answer", "version"} == set(updates[-1])
    return dict(updates[-1])


def test_thumbs_given_to_a_running_app_make_the_version_that_it_serves_next(home: Path) -> None:
    base_before = folder_hash(STARTER_FOLDER / "base")
    with running_app(home) as address:
        client = Client(address, verbose=False)
        rated = 0
        for number in range(10, 26):
            said = ask(client, QUESTIONS[number % 3].format(number), think=number % 2 == 0)
            assert said["version"] == "v1"
            value, reason = (1, "clear") if number % 2 else (-1, "unclear")
            client.predict(said["reply_id"], value, [reason], "", api_name="/rate")
            rated += 1
        follow_up = ask(client, "and plus 5?", think=True, conversation=said["conversation"])
        assert follow_up["conversation"] == said["conversation"]

        assert alignment(home, "kto", "--min_steps=6", "--epochs=1") == "v2"
        assert ask(client, "Hello", think=False)["version"] == "v1"
        assert alignment(home, "release", "v2") == "v2"
        deadline = time.monotonic() + 30
        while (answered := ask(client, "Hello", think=False))["version"] != "v2":
            assert time.monotonic() < deadline
        assert answered["version"] == "v2"

    first, second = (
        load_file(Versions(home).open(version).folder / "adapter_model.safetensors")
        for version in ("v1", "v2")
    )
    moved = [name for name in first if not torch.equal(first[name], second[name])]
    assert len(moved) == len(first)
    assert folder_hash(STARTER_FOLDER / "base") == base_before
    manifest = Versions(home).open("v2").manifest
    counted = manifest.data["thumbs_up"] + manifest.data["thumbs_down"] + manifest.data["held_out"]
    assert counted + manifest.data["too_long"] == rated
    with FeedbackStore.open(home / "feedback.db", create=False) as store:
        assert store.verify() == []
        assert store.counts()["replies"] >= rated + 3

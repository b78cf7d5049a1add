"""Feedback that was acknowledged before a `kill -9` is stored completely, and the store opens and verifies."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.paths import ROOT

from feedback_store import FeedbackStore

KILLS = int(os.environ.get("THUMBTUNE_KILLS", "200"))  # number of kills in the slow test
# Prints each piece of feedback only after the store has acknowledged it.
WRITER = """
import sys
from pathlib import Path
from helpers.store_fixtures import new_reply, one_turn
from feedback_store import FeedbackStore

place = sys.argv[1]
with FeedbackStore.open(place if "://" in place else Path(place)) as store:
    while True:
        reply = one_turn(store)
        for value in (1, -1):
            store.rate(reply.id, "ann", value)
            print("rated", reply.id, value, flush=True)
        store.correct(reply.id, "ann", "Four.")
        print("corrected", reply.id, flush=True)
        retry = store.add_reply(new_reply(reply.conversation_id, reply.parent_id, answer="5"))
        store.compare(reply.id, retry.id, "ann", "left", blind=True, how="resample")
        print("compared", reply.id, retry.id, flush=True)
"""


def kill_a_writer(place: Path | str, after: float) -> list[list[str]]:
    """Kill a writing process `after` seconds after its first line; returns the feedback that was acknowledged."""
    source = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(place)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": source},
    )
    assert writer.stdout is not None
    first_line = writer.stdout.readline()
    time.sleep(after)
    os.kill(writer.pid, signal.SIGKILL)
    lines = [first_line, *writer.stdout.read().splitlines(keepends=True)]
    writer.stdout.close()
    writer.wait()
    return [line.split() for line in lines if line.endswith("\n")]  # an incomplete line acknowledges nothing


def check(place: Path | str, acknowledged: list[list[str]]) -> None:
    with FeedbackStore.open(place) as store:
        assert store.verify() == []
        thumbs = {rating.reply_id: rating.value for rating, _ in store.ratings()}
        better = {correction.reply_id for correction, _ in store.corrections()}
        chosen = {frozenset((left.id, right.id)) for _, left, right in store.comparisons()}
    last = {words[1]: int(words[2]) for words in acknowledged if words[0] == "rated"}
    for reply, value in last.items():
        # The second vote may have been committed before the kill, but not printed.
        assert thumbs[reply] in (value, -1), reply
    assert {words[1] for words in acknowledged if words[0] == "corrected"} <= better
    assert {frozenset(words[1:]) for words in acknowledged if words[0] == "compared"} <= chosen


def test_a_killed_writer_loses_nothing_that_it_acknowledged(place: Path | str) -> None:
    chance = random.Random(0)
    acknowledged: list[list[str]] = []
    for _ in range(3):
        acknowledged += kill_a_writer(place, chance.uniform(0, 0.2))
    assert len(acknowledged) >= 3
    check(place, acknowledged)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_at_random_moments_lose_nothing_that_was_acknowledged(place: Path | str) -> None:
    """`pytest -m slow tests/feedback_store/store/test_store_killed.py`: kills at random moments."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    acknowledged: list[list[str]] = []
    for _ in range(KILLS):
        votes = kill_a_writer(place, chance.uniform(0, 0.25))
        acknowledged += votes
        check(place, votes)
    print(f"{len(acknowledged)} acknowledged words")
    check(place, acknowledged)

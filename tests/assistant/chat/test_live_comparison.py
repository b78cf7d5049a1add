"""A live comparison in service: who gets which version, whose thumbs count, how it ends by itself."""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client
from helpers.changed_version import changed
from helpers.running_app import running_app

from alignment.evaluation.release_policy import LivePolicy
from alignment.live import live_run as trials
from assistant.admin.cycle_runner import CycleRunner, Follower
from assistant.chat.chat import Chat
from assistant.chat.reply_stream import Update
from assistant.events.describe import describe
from assistant.events.event import Event, text_event
from assistant.registry.first_version import version_to_serve
from assistant.registry.live_comparison import FILE, Trial, arm, read, write
from assistant.registry.versions import Versions, now
from assistant.sampling_settings import Sampling
from assistant.serving.transformers_engine import TransformersEngine
from feedback_store import FeedbackStore, NewReply

BRIEF = Sampling(temperature=0.0, max_new_tokens=4)
NEARLY_ALL = 1 - 1e-9
"""A share of conversations that leaves the released version none in a test."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformersEngine]:
    """The starter as v1, and v2 beside it, which says something else."""
    home = tmp_path_factory.mktemp("trial")
    serving = TransformersEngine(Versions(home), version_to_serve(home, "starter"))
    changed(serving.version, Versions(home), 8.0)
    yield serving
    serving.close()


@pytest.fixture
def under_way(engine: TransformersEngine) -> Iterator[Trial]:
    home = engine._registry.home
    trial = Trial(uuid.uuid4().hex, "v2", "v1", 0.5, now())
    write(home, trial)
    yield trial
    (home / FILE).unlink(missing_ok=True)


@pytest.fixture
def store(home: Path) -> Iterator[FeedbackStore]:
    home.mkdir()
    with FeedbackStore.open(home / "feedback.db") as opened:
        yield opened


@pytest.fixture
def chat(engine: TransformersEngine, store: FeedbackStore) -> Chat:
    return Chat(store, engine, BRIEF, engine._registry)


async def ask(chat: Chat, **options: Any) -> Update:
    options = {"think": False, "rater": "ann", **options}
    return [update async for update in chat.reply("What is 12 + 7?", **options)][-1]


async def one_of_each(chat: Chat) -> dict[str, Update]:
    """The first reply of each arm, by version."""
    updates: dict[str, Update] = {}
    for _ in range(60):
        update = await ask(chat)
        updates.setdefault(update.version, update)
        if len(updates) == 2:
            return updates
    raise AssertionError(f"60 conversations, and only {set(updates)} answered")


async def test_conversations_are_divided_between_arms_and_each_reply_names_its_version(
    chat: Chat, store: FeedbackStore, under_way: Trial
) -> None:
    updates = await one_of_each(chat)
    assert set(updates) == {"v1", "v2"}
    for version, update in updates.items():
        assert under_way.version(update.conversation) == version
        assert store.reply(update.reply_id).version == version


async def test_a_conversation_keeps_its_version_in_later_exchanges_and_after_a_restart(
    chat: Chat, store: FeedbackStore, engine: TransformersEngine, under_way: Trial
) -> None:
    for version, first in (await one_of_each(chat)).items():
        again = Chat(store, engine, BRIEF, engine._registry)
        assert (await ask(again, conversation=first.conversation)).version == version
        retried = [update async for update in again.retry(first.reply_id, think=False, rater="ann")]
        assert retried[-1].version == version
        pairs = again.compare(
            "And 3 + 4?", how="resample", think=False, rater="ann", conversation=first.conversation
        )
        assert {side.version for side in [pair async for pair in pairs][-1]} == {version}


async def test_a_request_that_names_a_version_is_in_no_arm(
    chat: Chat, engine: TransformersEngine, under_way: Trial
) -> None:
    assert {(await ask(chat, version="v1")).version for _ in range(8)} == {"v1"}
    write(engine._registry.home, Trial(under_way.id, "v2", "v1", NEARLY_ALL, now()))
    pairs = chat.compare("2 + 2?", how="versions", think=False, rater="ann", other="v2")
    assert {side.version for side in [pair async for pair in pairs][-1]} == {"v1", "v2"}


async def test_only_replies_whose_version_was_drawn_are_counted(
    chat: Chat, home: Path, under_way: Trial
) -> None:
    drawn = await one_of_each(chat)
    retried = [u async for u in chat.retry(drawn["v2"].reply_id, think=False, rater="ann")][-1]
    transcript = [{"role": "user", "content": "What is 2 + 7?"}]
    completed = [u async for u in chat.complete(transcript, think=False, rater="ann")][-1]
    counted = [*drawn.values(), retried, completed]
    # Of so many conversations some are drawn for the version that was named.
    others = [await ask(chat, version=version) for version in ("v1", "v2") for _ in range(6)]
    named = chat.retry(drawn["v1"].reply_id, think=False, rater="ann", version="v1")
    others.append([update async for update in named][-1])
    branch = chat.continue_with(drawn["v2"].reply_id, 0, 9, rater="ann")
    others.append([update async for update in branch][-1])
    for options in ({"how": "resample"}, {"how": "versions", "other": "v2"}):
        pairs = chat.compare("2 + 2?", think=False, rater="ann", **options)  # type: ignore[arg-type]
        others += [pair async for pair in pairs][-1]
    for update in [*counted, *others]:
        chat.library.rate(update.reply_id, 1, (), "", "ann")
    with FeedbackStore.open(home / "feedback.db") as again:
        votes = trials.votes_of(again, under_way)
    arms = ["candidate" if update.version == "v2" else "released" for update in counted]
    assert sorted(vote.arm for vote in votes) == sorted(arms)


async def test_a_transcript_of_the_api_stays_with_its_version(chat: Chat, under_way: Trial) -> None:
    seen = set()
    for number in range(60):
        messages = [{"role": "user", "content": f"What is {number} + 7?"}]
        first = [update async for update in chat.complete(messages, think=False, rater="api")][-1]
        messages += [
            {"role": "assistant", "content": first.answer},
            {"role": "user", "content": "And 1 more?"},
        ]
        second = [update async for update in chat.complete(messages, think=False, rater="api")][-1]
        assert (second.conversation, second.version) == (first.conversation, first.version)
        assert under_way.version(first.conversation) == first.version
        seen.add(first.version)
        if len(seen) == 2:
            return
    raise AssertionError(f"only {seen} answered")


@pytest.mark.parametrize("trouble", ["damaged file", "unknown candidate", "another release"])
async def test_a_trial_that_cannot_be_served_leaves_everybody_with_the_released_version(
    chat: Chat, engine: TransformersEngine, under_way: Trial, trouble: str
) -> None:
    home = engine._registry.home
    if trouble == "damaged file":
        (home / FILE).write_text("{")
    elif trouble == "unknown candidate":
        write(home, Trial(under_way.id, "v99", "v1", NEARLY_ALL, now()))
    else:
        write(home, Trial(under_way.id, "v2", "v0", NEARLY_ALL, now()))
    assert {(await ask(chat)).version for _ in range(6)} == {"v1"}


async def test_the_end_of_a_trial_is_followed_with_the_next_message(
    chat: Chat, engine: TransformersEngine, under_way: Trial
) -> None:
    candidate = (await one_of_each(chat))["v2"]
    trials.end(engine._registry.home, under_way, "stopped", Event.of("live_stopped"))
    assert (await ask(chat, conversation=candidate.conversation)).version == "v1"


# Thumbs: a store and a registry are enough.


def thumbs(home: Path, trial: Trial, liked: str, each: int = 40) -> None:
    """Replies of both arms with a vote each by another rater; those of `liked` are thumbs up, the others down."""
    with FeedbackStore.open(home / "feedback.db") as store:
        left = {"candidate": each, "released": each}
        while any(left.values()):
            rater = f"person-{sum(left.values())}"
            conversation = store.new_conversation(rater)
            drawn = arm(conversation, trial.id, trial.share)
            if not left[drawn]:
                continue
            left[drawn] -= 1
            version = trial.version(conversation)
            reply = reply_of(store, conversation, version, trial.id)
            store.rate(reply, rater, 1 if version == liked else -1)


def reply_of(store: FeedbackStore, conversation: str, version: str, trial: str | None) -> str:
    question = store.add_message(conversation, None, "user", "What is 2 + 3?")
    return store.add_reply(
        NewReply(
            id=uuid.uuid4().hex,
            conversation_id=conversation,
            parent_id=question.id,
            thought=None,
            answer="5",
            think=False,
            sampling={"trial": trial} if trial else {},
            seed=1,
            version=version,
            prompt_ids=[1],
            completion_ids=[2],
            finish_reason="end",
            first_token_seconds=0.1,
            seconds=0.2,
            thought_seconds=None,
        )
    ).id


@pytest.fixture
def compared(home: Path) -> Trial:
    """A home with v1 released and v2 in a live comparison with it."""
    version_to_serve(home, "starter")
    changed(Versions(home).open("v1"), Versions(home), 8.0)
    trial = Trial(uuid.uuid4().hex, "v2", "v1", 0.5, "2026-01-01T00:00:00+00:00")
    write(home, trial)
    return trial


def test_thumbs_of_both_arms_are_counted_and_those_of_a_version_that_was_not_drawn_are_not(
    home: Path, compared: Trial
) -> None:
    thumbs(home, compared, "v1", each=3)
    with FeedbackStore.open(home / "feedback.db") as store:
        stray = store.new_conversation("stray")
        other = "v1" if compared.version(stray) == "v2" else "v2"
        store.rate(reply_of(store, stray, other, compared.id), "stray", 1)
        chosen = compared.version(stray)
        for before in (None, "an earlier comparison"):
            store.rate(reply_of(store, stray, chosen, before), "stray", 1)
        counted = trials.votes_of(store, compared)
    assert (
        sorted((vote.arm, vote.value) for vote in counted) == [("candidate", -1)] * 3 + [("released", 1)] * 3
    )


@pytest.mark.parametrize(
    ("liked", "verdict", "served"), [("v1", "roll back", "v1"), ("v2", "candidate wins", "v2")]
)
def test_a_running_app_ends_a_decided_trial_by_itself(
    home: Path, store: FeedbackStore, compared: Trial, liked: str, verdict: str, served: str
) -> None:
    thumbs(home, compared, liked)
    follower = Follower(CycleRunner(home), store, seconds=0.05)
    try:
        deadline = time.monotonic() + 60
        while (home / FILE).exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        follower.close()
    assert Versions(home).released() == served
    kept = json.loads((home / "trials" / f"{compared.id}.json").read_text())
    assert kept["verdict"] == verdict
    assert kept["outcome"]["candidate"]["raters"] >= LivePolicy().minimum_raters
    assert len(kept["course"]["low"]) == len(kept["course"]["votes"]) > 0


def test_an_undecided_trial_goes_on_and_where_it_stands_is_written_down(home: Path, compared: Trial) -> None:
    thumbs(home, compared, "v1", each=5)
    event = CycleRunner(home).call("trial", "follow")
    assert describe(event).startswith("v2 is being compared with v1")
    assert read(home) == compared
    kept = json.loads((home / "trials" / f"{compared.id}.json").read_text())
    assert (kept["verdict"], kept["outcome"]["candidate"]["votes"]) == ("continue", 5)


def test_a_clock_that_was_set_back_before_the_start_is_told(home: Path, compared: Trial) -> None:
    later = replace(compared, started=(datetime.now(UTC) + timedelta(hours=1)).isoformat())
    write(home, later)
    thumbs(home, later, "v2")
    event = trials.follow(home, LivePolicy())
    assert event is not None and f"the clock stands before {later.started}" in describe(event)
    assert read(home) == later


def test_a_follower_does_not_look_again_before_something_has_changed(
    home: Path, store: FeedbackStore, compared: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    thumbs(home, compared, "v1", each=1)
    calls: list[tuple[str, ...]] = []
    monkeypatch.setattr(CycleRunner, "call", lambda self, *given: calls.append(given) or text_event(""))
    follower = Follower(CycleRunner(home), store, seconds=0.01)
    time.sleep(0.5)
    assert calls == [("trial", "follow")]
    thumbs(home, compared, "v1", each=1)
    deadline = time.monotonic() + 30
    while len(calls) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    follower.close()


@pytest.mark.slow
def test_a_running_app_serves_both_arms_and_rolls_back_what_people_dislike(
    home: Path, compared: Trial
) -> None:
    for _ in range(2):  # the second time after a restart
        with running_app(home) as address:
            client = Client(address, verbose=False)
            seen = set()
            for _ in range(30):
                reply = list(client.submit("What is 12 + 7?", False, None, api_name="/chat"))[-1]
                assert reply["version"] == compared.version(reply["conversation"])
                seen.add(reply["version"])
                if len(seen) == 2:
                    break
            assert seen == {"v1", "v2"}
    with running_app(home) as address:
        thumbs(home, compared, "v1")
        deadline = time.monotonic() + 120
        while (home / FILE).exists():
            assert time.monotonic() < deadline
            time.sleep(0.5)
        client = Client(address, verbose=False)
        replies = [list(client.submit("Hello", False, None, api_name="/chat"))[-1] for _ in range(5)]
        assert {reply["version"] for reply in replies} == {"v1"}

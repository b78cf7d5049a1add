"""What the chat page says that the next version waits for: by the rule that a cycle obeys."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from helpers.chinese_text import english_left
from helpers.empty_versions import add
from helpers.store_fixtures import one_turn

from assistant.admin.cycle_rule import (
    CandidatePlan,
    CycleMinimums,
    CycleRule,
    keep_rule,
    rule_of,
    standing_votes,
)
from assistant.admin.next_version import Holdup, NextVersion, Outlook
from assistant.page.i18n.languages import LANGUAGES
from assistant.page.views.my_feedback import my_feedback
from assistant.page.views.outlook import obstacle_texts, outlook_text
from assistant.registry import live_comparison
from assistant.registry.live_comparison import Trial
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore
from feedback_store.rows import Rules

POLICY = "cycle: {minimum_feedback: 4, minimum_thumbs: 3, stages: [correct, kto]}"


@pytest.fixture
def lived_in(home: Path) -> Iterator[FeedbackStore]:
    """The store of a home that serves v1."""
    add(Versions(home))
    Versions(home).release("v1")
    with FeedbackStore.open_home(home) as store:
        yield store


@pytest.fixture
def follower(lived_in: FeedbackStore, home: Path) -> NextVersion:
    (home / "policy.yaml").write_text(POLICY)
    return NextVersion(lived_in, home, home / "policy.yaml", patience=60)


def rate(store: FeedbackStore, *values: int, rater: str = "ann") -> list[str]:
    """Thumbs on new replies of v1; the ids of the replies."""
    start = store.counts()["replies"]
    replies = [
        one_turn(store, rater, f"Question {start + n}?", answer=f"{n}").id for n, _ in enumerate(values)
    ]
    for reply, value in zip(replies, values, strict=True):
        store.rate(reply, rater, value)
    return replies


def write_cycle(home: Path, number: int, votes: set[str], **state: Any) -> None:
    folder = home / "cycles" / str(number)
    folder.mkdir(parents=True)
    (folder / "votes.json").write_text(json.dumps(sorted(votes)))
    (folder / "state.json").write_text(json.dumps(state))


def test_every_new_vote_of_whoever_consents_counts(lived_in: FeedbackStore, follower: NextVersion) -> None:
    assert follower.outlook() == Outlook("votes", 0, 4)
    (first, _) = rate(lived_in, 1, -1)
    assert follower.outlook() == Outlook("votes", 2, 4)
    lived_in.correct(first, "ann", "Better")
    assert follower.outlook() == Outlook("votes", 3, 4)
    lived_in.correct(first, "ann", "")
    rate(lived_in, 1, rater="bob")
    assert follower.outlook() == Outlook("votes", 3, 4)

    lived_in.set_consent("bob", False)
    follower.recount()
    assert follower.outlook() == Outlook("votes", 2, 4)


def test_what_the_last_ended_cycle_knew_is_not_new_unless_it_is_changed(
    lived_in: FeedbackStore, follower: NextVersion, home: Path
) -> None:
    first, *_ = rate(lived_in, 1, 1, 1)
    write_cycle(home, 1, standing_votes(lived_in), ended="yes", outcome={"what": "nothing"})
    write_cycle(home, 2, set(), ended="yes", outcome={"what": "discarded"})
    follower.recount()
    assert follower.outlook() == Outlook("votes", 0, 4)
    lived_in.rate(first, "ann", -1)
    assert follower.outlook() == Outlook("votes", 1, 4)


def test_enough_votes_of_the_wrong_kind_name_what_each_stage_lacks(
    lived_in: FeedbackStore, follower: NextVersion
) -> None:
    rate(lived_in, *[1] * 12)
    outlook = follower.outlook()
    assert outlook is not None and (outlook.holdup, outlook.votes) == ("rows", 12)
    assert {stage: why.code for stage, why in outlook.obstacles.items()} == {
        "correct": "too_few_corrections",
        "kto": "thumbs_all_alike",
    }
    english, chinese = LANGUAGES["en"], LANGUAGES["zh"]
    assert outlook_text(english, outlook) == english.waits_format.format(votes=12)
    panel = my_feedback(english, [], True, "v1", outlook)
    assert "0 of 5 corrections; 5 more are needed" in panel and "point up" in panel
    assert english_left(" ".join(obstacle_texts(chinese, outlook))) == []

    disliked = rate(lived_in, *[-1] * 12)
    assert follower.outlook() == Outlook("nothing", 24, 4)

    for reply in disliked:
        lived_in.rate(reply, "ann", 0)
    outlook = follower.outlook()
    assert outlook is not None and (outlook.holdup, outlook.votes) == ("rows", 12)


def test_votes_beyond_those_that_are_enough_read_no_texts_again(
    lived_in: FeedbackStore, follower: NextVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate(lived_in, *[1, -1] * 8)
    assert follower.outlook() == Outlook("nothing", 16, 4)
    monkeypatch.setattr(CandidatePlan, "of_store", None)
    rate(lived_in, 1)
    assert follower.outlook() == Outlook("nothing", 17, 4)


def test_while_a_cycle_runs_or_was_interrupted_that_is_said_instead(
    lived_in: FeedbackStore, follower: NextVersion, home: Path
) -> None:
    write_cycle(home, 1, set(), began="now")
    assert follower.outlook() == Outlook("interrupted")
    own = psutil.Process()
    run = {"pid": os.getpid(), "created": own.create_time(), "host": socket.gethostname(), "began": "now"}
    (home / "cycles" / "last_run.json").write_text(json.dumps(run))
    assert follower.outlook() == Outlook("training")


def test_a_live_comparison_is_what_the_next_version_waits_for(follower: NextVersion, home: Path) -> None:
    live_comparison.write(home, Trial("t", "v5", "v1", 0.2, "2026-11-29T00:00:00+00:00"))
    assert follower.outlook() == Outlook("comparison", candidate="v5")


def test_without_a_policy_the_rule_of_the_last_run_counts(home: Path) -> None:
    assert rule_of(home, None) == CycleRule()
    (home / "cycles").mkdir(parents=True)
    rule = CycleRule(
        CycleMinimums(minimum_feedback=7, stages=["kto"], learn_from="all"), Rules(minimum_votes=2)
    )
    keep_rule(home, rule)
    assert rule_of(home, None) == rule


@pytest.mark.parametrize(
    "text", ["cycle: {minimum_feedback: many}", "cycle: [", "- 1", "rules: {odd: 1}", "cycle: {stages: [x]}"]
)
def test_a_policy_that_cannot_be_read_gives_no_count(lived_in: FeedbackStore, home: Path, text: str) -> None:
    policy = home / "policy.yaml"
    policy.write_text(text)
    outlook = NextVersion(lived_in, home, policy, patience=60).outlook()
    assert outlook is None
    assert outlook_text(LANGUAGES["en"], outlook) == LANGUAGES["en"].learns


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("holdup", ["votes", "nothing", "training", "interrupted", "comparison"])
def test_each_holdup_has_a_sentence_of_its_own(code: str, holdup: Holdup) -> None:
    texts = LANGUAGES[code]
    sentences = {outlook_text(texts, Outlook(kind, 31, 50, {}, "v5")) for kind in ("votes", holdup)}
    assert len(sentences) == (1 if holdup == "votes" else 2)
    assert all("31" in text for text in sentences if holdup in ("votes", "nothing"))

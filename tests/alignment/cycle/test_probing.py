"""A cycle asks corrections again, guards liked replies, and keeps what it found."""

import json
from pathlib import Path

from helpers.feedback import rate_replies
from helpers.small_cycle import rated_home, run, state, write_policy

from alignment.cycle.probing import probes_file
from assistant.admin import cycle_records
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore
from feedback_store.copies_in_home import remove_records
from feedback_store.rows import unpaired_rows

QUICK = {"min_steps": 1, "epochs": 0.1, "near": 2, "far": 0, "anchors_an_update": 1}
FACTS = {"Brazil": "Brasília", "Chile": "Santiago", "Peru": "Lima"}


def test_a_cycle_learns_corrections_and_probes_them_with_the_liked_replies(
    home: Path, tmp_path: Path
) -> None:
    asked = {f"What is the capital of {country}?": f"{city}." for country, city in FACTS.items()}
    rate_replies(rated_home(home), [(question, "Rio.", -1) for question in asked])
    with FeedbackStore.open_home(home) as store:
        for row in unpaired_rows(store):
            if row.answer == "Rio.":
                store.correct(row.reply_id, "tester", asked[row.messages[-1]["content"]])
    policy = write_policy(tmp_path, stages=["correct"], minimum_corrections=3, recipes={"correct": QUICK})

    assert run(home, policy) == 0

    recorded = state(home)
    assert recorded["candidates"] == [{"stage": "correct", "version": "v2"}]
    assert Versions(home).open("v2").manifest.data["corrections"] == 3
    reasons = {reason["measure"]: reason for reason in recorded["decisions"][0]["reasons"]}
    assert (reasons["corrections hold"]["kind"], reasons["corrections hold"]["prompts"]) == ("primary", 3)
    assert reasons["corrections hold"]["finding"] == "too few prompts"
    assert (
        reasons["surprise at liked replies"]["kind"],
        reasons["surprise at liked replies"]["prompts"],
    ) == ("guard", 12)
    probes = json.loads(probes_file(home / "cycles" / "1", "v2").read_text(encoding="utf-8"))
    assert [(probe["asked"], probe["correction"]) for probe in probes] == list(asked.items())
    assert all(probe["wrong"] == "Rio." and probe["held_before"] is False for probe in probes)
    # As far as people are forgotten, so are these copies of what they wrote.
    with FeedbackStore.open_home(home) as store:
        answers = sorted((home / "cycles" / "1").glob("answers-*.json"))
        assert answers and remove_records(store, home).removed == answers
        store.forget("tester")
        assert len(remove_records(store, home).removed) == 1
    assert cycle_records.probes(home, 1, "v2") == []

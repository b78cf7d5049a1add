"""A cycle of a model that is not the starter: judges, held-out votes, general questions and texts, and plain words."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.feedback import apples, rate_replies
from helpers.small_cycle import SMALL, run, state
from helpers.tiny_home import tiny_home

from alignment.cycle import candidates
from alignment.cycle.cycle_state import Journal, looks
from alignment.evaluation.release_policy import Policy
from alignment.scoring import judging
from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions

QUICK = {"min_steps": 1, "epochs": 0.1, "evaluations": 1}


def test_held_out_votes_that_may_promote_a_candidate_did_not_choose_its_weights(home: Path) -> None:
    version_to_serve(home / "starter", "starter")
    (starter, other) = (
        Versions(folder).open("v1") for folder in (home / "starter", tiny_home(home / "other"))
    )
    for stage in ("dpo", "kto"):
        assert candidates.clean_test(stage, other, Policy()) == {"keep_last": True}
        assert candidates.clean_test(stage, starter, Policy()) == {}
    assert candidates.clean_test("reward", other, Policy()) == {}


def test_a_candidate_of_a_discarded_cycle_was_looked_at(home: Path) -> None:
    looked = [{"released": "v1"}, {"released": "v1"}]
    discarded = Journal(home / "cycles" / "1", {"looked": looked})
    ended = Journal(home / "cycles" / "2", {"looked": looked, "decisions": [*looked, {"released": "v2"}]})
    assert [looks([discarded, ended], version) for version in ("v1", "v2", "v3")] == [4, 1, 0]


def test_another_model_than_the_starter_is_compared_without_the_starters_tasks(
    home: Path, tmp_path: Path
) -> None:
    rate_replies(tiny_home(home), apples(80))
    policy = tmp_path / "policy.yaml"
    recipes = {"kto": {**QUICK, "min_steps": 2, "batch_size": 8}, "reward": QUICK}
    cycle = {**SMALL["cycle"], "minimum_judgements": 10, "recipes": recipes}
    evaluate = {"general": 12, "retention": 4, "max_new_tokens": 4}
    gate = {"minimum_prompts": 4}
    policy.write_text(yaml.safe_dump({"gate": gate, "evaluate": evaluate, "cycle": cycle}))
    assert run(home, policy) == 0
    recorded = state(home)
    (decision,) = recorded["decisions"]
    kinds = {reason["measure"]: reason["kind"] for reason in decision["reasons"]}
    assert recorded["looked"] == [{"released": "v1"}]
    assert kinds["held-out votes"] == "primary"
    assert kinds["surprise at general texts"] == kinds["ends"] == "guard"
    assert not any(name.startswith("right") for name in kinds)
    # Every judge was measured on the other half, and where they are not surely right they decide nothing.
    measures = {known["half"]: known for known in recorded["judge_measures"]}
    assert measures.keys() == {"a", "b"} and all(known["of"] >= 10 for known in measures.values())
    together = recorded["judges_together"]
    assert ("wins by the reward model" in kinds) is together["sure"] is (together["p"] <= judging.SURE)
    report = (home / "cycles" / "1" / "report.md").read_text()
    assert f"In plain words, {decision['candidate']} beside v1." in report
    assert f"- {measures['a']['version']} is right on" in report and "\n- together: " in report
    assert Versions(home).released() == "v1" or decision["verdict"] == "promote"


def test_a_dry_run_says_what_could_show_that_a_candidate_is_better(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rate_replies(tiny_home(home), apples(80))

    def planned(**sections: dict[str, Any]) -> str:
        policy = tmp_path / "policy.yaml"
        policy.write_text(yaml.safe_dump(sections))
        assert run(home, policy, "--dry-run") == 0
        return capsys.readouterr().out

    by_default = planned()
    assert "so it would be held. There are prompts with held-out votes: " in by_default
    assert " of 30; corrections: 0 of 6; " in by_default
    assert "people would decide in a live comparison" in planned(cycle={"undecided": "trial"})
    assert "ppo: would not run: there are no reward models to learn from" in by_default
    for enough, means in (
        (
            {"cycle": {"minimum_judgements": 10}},
            "reward models, if they judge held-out votes better than chance",
        ),
        ({"gate": {"minimum_prompts": 2}}, "held-out votes on "),
        ({"evaluate": {"suite": "starter"}}, "the policy's suite"),
    ):
        decided = planned(**enough)
        assert "nothing could show yet" not in decided
        assert f"what could show that a candidate is better: {means}" in decided

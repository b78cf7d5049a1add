"""The release policy: defaults, one YAML file, and errors that name the key."""

from dataclasses import asdict
from pathlib import Path

import pytest
from helpers.paths import ROOT

from alignment.errors import PolicyError
from alignment.evaluation.release_policy import GatePolicy, LivePolicy, Policy, read_policy


def test_a_policy_file_is_read_by_section_with_defaults_for_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("gate: {alpha: 0.1, margins: {perplexity: 0.2}}\nlive: {minimum_raters: 20}\n")
    policy = read_policy(path)
    assert policy.gate == GatePolicy(alpha=0.1, margins={"perplexity": 0.2})
    assert policy.live == LivePolicy(minimum_raters=20)
    path.write_text("")
    assert read_policy(path).gate == GatePolicy()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "gate: {alfa: 0.1}",
            "unknown key alfa in gate. Known keys: alpha, margin, margins, minimum_prompts, minimum_probes",
        ),
        ("gates: {}", "unknown key gates in the policy"),
        ("gate: {alpha: 2}", r"gate.alpha is 2; it must be a number between 0 and 0.5"),
        ("gate: {margin: five}", "gate.margin is 'five'"),
        ("gate: {margins: {ended: -1}}", "gate.margins.ended is -1"),
        ("gate: {margins: 3}", "gate.margins must name guards"),
        ("gate: {minimum_prompts: yes}", "gate.minimum_prompts is True"),
        ("gate: [1]", "gate must hold keys and values"),
        ("live: {minimum_votes: 1}", "live.minimum_votes is 1; it must be a whole number of at least 2"),
        ("gate: {", "cannot be read"),
    ],
)
def test_an_invalid_policy_is_refused_with_file_and_reason(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError, match=says) as raised:
        read_policy(path)
    assert str(path) in str(raised.value)


def test_a_missing_policy_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"nowhere\.yaml"):
        read_policy(tmp_path / "nowhere.yaml")


def test_the_reference_lists_every_policy_key_with_its_default() -> None:
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    for section in ("gate", "live"):
        for key, default in asdict(getattr(Policy(), section)).items():
            assert f"| `{section}.{key}` | {default or 'none'} |" in reference, key

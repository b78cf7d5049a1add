"""The command `evaluate`."""

import json
from pathlib import Path

import pytest
from helpers.feedback import rate_replies
from helpers.small_cycle import add_twin, rated_home, write_policy
from helpers.tiny_home import tiny_home

from alignment.corrections.probes import FixProbe
from alignment.cycle.evaluate import main
from alignment.cycle.probing import ProbedCorrection, summary, table
from alignment.errors import DataError
from assistant.admin.fix_states import fix_states
from assistant.errors import VersionError
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore
from feedback_store.rows import unpaired_rows


def test_the_base_alone_answers_otherwise_than_the_version_in_a_new_home(tmp_path: Path) -> None:
    with pytest.raises(VersionError, match="none yet"):
        main(["v2", "--home", str(tmp_path)])
    shares, asking = {}, {}
    for flags in ([], ["--base"]):
        output = tmp_path / f"{len(flags)}.json"
        main(
            [
                "v1",
                "--home",
                str(tmp_path),
                "--kinds",
                "outside",
                "--each",
                "8",
                "--output",
                str(output),
                *flags,
            ]
        )
        written = json.loads(output.read_text(encoding="utf-8"))
        assert written["base"] is bool(flags)
        shares[bool(flags)] = [cell["count"] for cell in written["cells"] if cell["measure"] == "correct"]
        asking[bool(flags)] = sum(cell["count"] for cell in written["cells"] if cell["measure"] == "asks")
    assert Versions(tmp_path).released() == "v1"
    assert sum(shares[False]) > sum(shares[True])
    assert asking[False] < asking[True]


def test_two_versions_are_asked_corrections_again_in_own_wordings_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, asked = rated_home(tmp_path / "home"), "What is the capital of Chile?"
    rate_replies(home, [(asked, "Rio.", -1)])
    with FeedbackStore.open_home(home) as store:
        (reply,) = (row.reply_id for row in unpaired_rows(store) if row.answer == "Rio.")
        store.correct(reply, "tester", "Santiago.")
    add_twin(home, "v2")
    own = tmp_path / "own.jsonl"
    rows = [{"prompt": asked, "wordings": ["Chile's capital?"]}, {"prompt": "Other?", "wordings": ["x"]}]
    own.write_text("\n".join(map(json.dumps, rows)))
    flags = ["--home", str(home), "--policy", str(write_policy(tmp_path)), "--wordings", str(own)]

    main(["v2", "--against", "v1", *flags])

    output = capsys.readouterr().out
    assert (
        "Corrections asked again: 0 of 1 hold in v2, 0 in v1. Fixed: 0. Lost: 0. Wrong as before: 1."
        in output
    )
    assert "v1 says" in output and "wrong  What is the capital of Chile?  Santiago." in output
    assert "corrections hold" in output and "1 of 2 prompts in the file of wordings is no" in output
    written = json.loads((home / "evaluations" / "v2-against-v1.json").read_text())
    (probe,) = written["probes"]
    assert (probe["fate"], probe["correction"], probe["wordings"]) == ("wrong", "Santiago.", 5)
    assert probe["answer"] == probe["answer_before"]

    main(["v2", "--against", "v1", "--corrections", *flags])

    output = capsys.readouterr().out
    assert "asking 1 correction again" in output and "0 of 1 hold in v2, 0 in v1" in output
    assert "corrections hold" not in output and "not worse" not in output, "nothing else is asked"
    again = json.loads((home / "evaluations" / "v2-against-v1-corrections.json").read_text())
    assert again["probes"] == [probe]
    # People see it beside their correction, and whoever runs the app in the version's panel.
    (state,) = fix_states(home, "v2").values()
    assert (state.state, state.answer) == ("wrong", probe["answer"])


def test_without_corrections_there_is_nothing_to_ask_again(tmp_path: Path) -> None:
    home = rated_home(tmp_path / "home")
    add_twin(home, "v2")
    with pytest.raises(DataError, match="no corrections"):
        main(["v2", "--against", "v1", "--corrections", "--home", str(home)])


def test_both_answers_stand_side_by_side_and_lost_corrections_come_first() -> None:
    def probe(asked: str, answer: str) -> FixProbe:
        return FixProbe(asked, "Right.", "Wrong.", answer, 4 * (answer == "Right."), 4)

    found = [
        ProbedCorrection(probe(asked, new), probe(asked, old))
        for asked, old, new in (
            ("a?", "Right.", "Right."),
            ("b?", "Wrong.", "Right."),
            ("c?", "Right.", "Wrong,\nand more " + "words " * 20),
            ("d?", "Wrong.", "Wrong."),
        )
    ]
    lines = table(found, "v2", "v1").splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["lost", "wrong", "fixed", "held"]
    assert lines[1].startswith("lost   c?     Right.      Right.   Wrong, and more words") and "…" in lines[1]
    (chinese,) = table(
        [ProbedCorrection(probe("问" * 40, "Right."), probe("", ""))], "v2", "v1"
    ).splitlines()[1:]
    assert "问" * 21 + "…  Right." in chinese
    assert summary(found, "v2", "v1").params == {
        "candidate": "v2", "released": "v1", "count": 4,
        "holding": 2, "before": 2, "fixed": 1, "lost": 1, "wrong": 1,
    }  # fmt: skip


def test_a_kind_or_a_number_of_tasks_that_the_suite_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no task kind cooking"):
        main(["v1", "--home", str(tmp_path), "--kinds", "cooking"])
    with pytest.raises(DataError, match="--against"):
        main(["v1", "--home", str(tmp_path), "--wordings", "own.jsonl"])
    with pytest.raises(DataError, match="--against"):
        main(["v1", "--home", str(tmp_path), "--corrections"])
    with pytest.raises(DataError, match="has 500 tasks of addition"):
        main(["v1", "--home", str(tmp_path), "--kinds", "addition", "--each", "501"])


def test_another_model_than_the_starter_is_asked_its_owners_tasks(home: Path, tmp_path: Path) -> None:
    add_twin(tiny_home(home), "v2")
    with pytest.raises(DataError, match="--suite FILE"):
        main(["v2", "--home", str(home)])
    suite, policy = tmp_path / "suite.jsonl", tmp_path / "policy.yaml"
    suite.write_text("\n".join(json.dumps({"prompt": f"{n} + 1?", "answer": str(n + 1)}) for n in range(2)))
    policy.write_text("{evaluate: {general: 2, retention: 2, max_new_tokens: 2}}")
    main(["v2", "--against", "v1", "--suite", str(suite), "--policy", str(policy), "--home", str(home)])
    written = json.loads((home / "evaluations" / "v2-against-v1.json").read_text())
    kinds = {reason["measure"]: reason["kind"] for reason in written["decision"]["reasons"]}
    assert [name for name, kind in kinds.items() if kind == "primary" and name.startswith("right")]

"""The command `evaluate`."""

import json
from pathlib import Path

import pytest

from alignment.errors import DataError
from alignment.evaluation.evaluate import main
from assistant.errors import VersionError
from assistant.registry.versions import Versions


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


def test_a_kind_or_a_number_of_tasks_that_the_suite_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no task kind cooking"):
        main(["v1", "--home", str(tmp_path), "--kinds", "cooking"])
    with pytest.raises(DataError, match="has 500 tasks of addition"):
        main(["v1", "--home", str(tmp_path), "--kinds", "addition", "--each", "501"])

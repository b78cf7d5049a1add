"""Each small file that was once read wrongly gives what is right, and nothing else."""

from pathlib import Path

import pytest
from helpers.dataset_cases import DATASETS
from helpers.import_cases import added
from helpers.system_cases import CHATS

from feedback_store import FeedbackStore
from feedback_store.errors import NothingUsable
from feedback_store.importers import import_file

# What is read is the same on every database engine.
pytestmark = pytest.mark.parametrize("engine_name", ["sqlite"])


CASES = DATASETS | CHATS


@pytest.mark.parametrize("name", CASES)
def test_a_file_gives_what_it_says_and_nothing_else(store: FeedbackStore, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    path = case.write(tmp_path)
    if case.is_usable:
        report = import_file(store, case.system, path)
        assert dict(report.skipped) == case.skipped
        assert dict(report.left_out) == case.left_out
    else:
        with pytest.raises(NothingUsable) as error:
            import_file(store, case.system, path)
        assert all(f"{number}: {reason}" in str(error.value) for reason, number in case.skipped.items())
    assert added(store) == case.expected
    assert store.verify() == []

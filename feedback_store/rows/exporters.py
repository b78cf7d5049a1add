"""Training rows out of the store, in the formats of TRL's trainers: to a file, or to a dataset on the Hub."""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from feedback_store.errors import PushFailed, StoreUnwritable
from feedback_store.optional_packages import optional_package
from feedback_store.progress_bars import ShowProgress, no_progress
from feedback_store.rows.demonstrations import iter_demonstrations, iter_prompts
from feedback_store.rows.pairs import iter_preferences
from feedback_store.rows.rules import DEFAULT_RULES, Rules
from feedback_store.rows.thumbs import iter_unpaired
from feedback_store.rows.trl_format import trl_kto, trl_preference, trl_prompt, trl_sft
from feedback_store.store.open_store import FeedbackStore

PARQUET_ROWS = 1_000  # in one group
# Which rows of the store a format is made from, and by what.
FORMATS: dict[str, tuple[Callable[..., Iterator[Any]], Callable[[Any], dict[str, Any]]]] = {
    "trl-kto": (iter_unpaired, trl_kto),
    "trl-preference": (iter_preferences, trl_preference),
    "trl-sft": (iter_demonstrations, trl_sft),
    "trl-prompt": (iter_prompts, trl_prompt),
}


def rows(
    store: FeedbackStore,
    format: str,
    version: str | None = None,
    rules: Rules = DEFAULT_RULES,
    progress: ShowProgress = no_progress,
) -> Iterator[dict[str, Any]]:
    """The store's rows in one of FORMATS, one at a time; `version` keeps those of its replies."""
    made, as_trl = FORMATS[format]
    for one in progress(made(store, version, rules, Counter(), progress), f"{format} rows"):
        yield as_trl(one.row)


def write(path: Path, format: str, found: Iterable[dict[str, Any]]) -> int:
    """Write rows as Parquet where the name ends in .parquet, else as JSON lines. Returns how many.

    A reader finds the whole file or the one before, never a half. Raises: StoreUnwritable, MissingDependency.
    """
    with _aside(path) as aside:
        return _parquet(aside, format, found) if path.suffix == ".parquet" else _lines(aside, found)


def push(repository: str, format: str, found: Iterable[dict[str, Any]]) -> tuple[int, str]:
    """Put rows into a dataset of the Hub, as `data/FORMAT.parquet`. Returns how many, and where they are.

    A dataset that does not exist is made, private. The token is the one of `hf auth login`, or HF_TOKEN.
    Raises: PushFailed, MissingDependency.
    """
    hub = optional_package("huggingface_hub", "Datasets on the Hub")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        number = write(path, format, found)
        try:
            api = hub.HfApi()
            api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
            commit = api.upload_file(
                path_or_fileobj=path,
                path_in_repo=f"data/{format}.parquet",
                repo_id=repository,
                repo_type="dataset",
                commit_message=f"{number} {format} rows",
            )
        # The Hub's client raises its own errors, those of its HTTP library, and plain ones for a bad name.
        except Exception as error:
            raise PushFailed(
                f"The Hub did not take the rows for {repository}: {error!s:.500} "
                "Check the name, the network, and that `hf auth whoami` names who may write there."
            ) from error
    return number, str(commit.repo_url)


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A file to write in the place of `path`, which it replaces only when all of it is on the disk."""
    aside = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        aside = Path(name)
        yield aside
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise StoreUnwritable(
            f"The export cannot be written to {path}: {error.strerror or error}. "
            "Name a file in a folder that you can write."
        ) from error
    finally:
        if aside is not None:
            aside.unlink(missing_ok=True)


def _lines(path: Path, found: Iterable[dict[str, Any]]) -> int:
    number = 0
    with path.open("w", encoding="utf-8") as file:
        for row in found:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            number += 1
    return number


def _parquet(path: Path, format: str, found: Iterable[dict[str, Any]]) -> int:
    arrow, parquet = (
        optional_package("pyarrow", "Parquet files"),
        optional_package("pyarrow.parquet", "Parquet files"),
    )
    schema = _schema(arrow, format)
    waiting, number = iter(found), 0
    with parquet.ParquetWriter(path, schema) as writer:
        while some := list(islice(waiting, PARQUET_ROWS)):
            writer.write_table(arrow.Table.from_pylist(some, schema=schema))
            number += len(some)
    return number


def _schema(arrow: Any, format: str) -> Any:
    # Named here and not taken from the rows, so that no rows at all still are a dataset with these columns.
    messages = arrow.list_(arrow.struct([("role", arrow.string()), ("content", arrow.string())]))
    columns = {
        "trl-kto": [("prompt", messages), ("completion", messages), ("label", arrow.bool_())],
        "trl-preference": [("prompt", messages), ("chosen", messages), ("rejected", messages)],
        "trl-sft": [("prompt", messages), ("completion", messages)],
        "trl-prompt": [("prompt", messages)],
    }
    mode = ("chat_template_kwargs", arrow.struct([("enable_thinking", arrow.bool_())]))
    return arrow.schema([*columns[format], mode])

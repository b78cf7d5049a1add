"""Export training rows in the formats of TRL's trainers: to a file, or to a dataset on the Hub."""

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

PARQUET_ROWS = 1_000  # in one row group
# For each format: what yields its rows, and what converts a row to it.
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
    """Yield the store's rows in one of FORMATS; `version` keeps those of this version's replies."""
    iter_rows, convert = FORMATS[format]
    for item in progress(iter_rows(store, version, rules, Counter(), progress), f"{format} rows"):
        yield convert(item.row)


def write(path: Path, format: str, rows: Iterable[dict[str, Any]]) -> int:
    """Write rows to `path`, as Parquet if its name ends in .parquet, else as JSON Lines. Returns the number of rows.

    The file is replaced in one step: readers see the old file or the whole new one. Raises StoreUnwritable,
    MissingDependency.
    """
    with _aside(path) as aside:
        return _parquet(aside, format, rows) if path.suffix == ".parquet" else _lines(aside, rows)


def push(repository: str, format: str, rows: Iterable[dict[str, Any]]) -> tuple[int, str]:
    """Upload rows to a dataset of the Hub, as `data/FORMAT.parquet`. Returns the number of rows and the dataset's URL.

    A missing dataset is created, private. The token is that of `hf auth login`, or HF_TOKEN.
    Raises PushFailed, MissingDependency.
    """
    hub = optional_package("huggingface_hub", "Datasets on the Hub")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.parquet"
        number = write(path, format, rows)
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
    """Yield a temporary file beside `path`, which replaces `path` once all of it is on the disk."""
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


def _lines(path: Path, rows: Iterable[dict[str, Any]]) -> int:
    number = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            number += 1
    return number


def _parquet(path: Path, format: str, rows: Iterable[dict[str, Any]]) -> int:
    arrow, parquet = (
        optional_package("pyarrow", "Parquet files"),
        optional_package("pyarrow.parquet", "Parquet files"),
    )
    schema = _schema(arrow, format)
    remaining, number = iter(rows), 0
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(remaining, PARQUET_ROWS)):
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
            number += len(batch)
    return number


def _schema(arrow: Any, format: str) -> Any:
    # Not inferred from the rows, so that an export without rows is still a dataset with these columns.
    messages = arrow.list_(arrow.struct([("role", arrow.string()), ("content", arrow.string())]))
    columns = {
        "trl-kto": [("prompt", messages), ("completion", messages), ("label", arrow.bool_())],
        "trl-preference": [("prompt", messages), ("chosen", messages), ("rejected", messages)],
        "trl-sft": [("prompt", messages), ("completion", messages)],
        "trl-prompt": [("prompt", messages)],
    }
    mode = ("chat_template_kwargs", arrow.struct([("enable_thinking", arrow.bool_())]))
    return arrow.schema([*columns[format], mode])

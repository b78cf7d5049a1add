"""Import a file with feedback of another system into the store.

The file is read twice. The first pass only checks it, so that a damaged file leaves the store unchanged.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from tqdm import tqdm

from feedback_store.errors import ImportFailed, NothingUsable, StoreError
from feedback_store.importers.datasets import hh_rlhf, llama_factory, trl_rows
from feedback_store.importers.parsing.files import Item, regular
from feedback_store.importers.parsing.items import ImportedConversation, Unusable
from feedback_store.importers.store_writer import ImportRun, check, write
from feedback_store.importers.systems import (
    argilla,
    chat_ui,
    feel,
    gradio_log,
    librechat,
    open_assistant,
    open_webui,
)
from feedback_store.plurals import counted_rows
from feedback_store.store.open_store import FeedbackStore

SYSTEMS: dict[str, tuple[Callable[[Path], Iterator[Item]], str]] = {
    "argilla": (argilla.read, "records of to_list(), as JSON"),
    "chat-ui": (chat_ui.read, "Parquet export of HF chat-ui"),
    "feel": (feel.read, "conversations of FeeL, as JSON"),
    "gradio": (gradio_log.read, "log.csv of chat flagging in Gradio"),
    "hh-rlhf": (hh_rlhf.read, "pairs of texts marked with Human: and Assistant:, as JSON"),
    "librechat": (librechat.read, "an exported conversation, or the messages collection, as JSON"),
    "llama-factory": (
        llama_factory.read,
        "alpaca or sharegpt rows, with an optional dataset_info.json",
    ),
    "open-assistant": (open_assistant.read, "message trees, as JSON lines"),
    "open-webui": (open_webui.read, "feedback-history-export-*.json"),
    "trl": (trl_rows.read, "rows for TRL, and the files of the export command"),
}
MOST_ROWS = 200  # in one transaction
MOST_TURNS = 2_000  # messages in one transaction


@dataclass
class Report:
    """The result of an import, `import_id`: what happened to the rows of a file.

    `kept` counts the imported rows, including the `unchanged` ones that were in the store before. `skipped`
    counts the other rows by reason, and `first` has the number of the first row for each reason. `left_out` counts,
    by reason, the messages of kept rows that were not imported. `added` counts the new rows of the store by kind.
    """

    import_id: str = ""
    read: int = 0
    kept: int = 0
    unchanged: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)

    def skip(self, row: int, reason: Unusable) -> None:
        self.skipped[str(reason)] += 1
        self.first.setdefault(str(reason), row)

    def lines(self) -> list[str]:
        """The report as lines of text."""
        lines = [
            f"rows read     {self.read:>9,}",
            f"rows kept     {self.kept:>9,}  ({self.unchanged:,} of them were in the store already)",
            f"rows skipped  {self.skipped.total():>9,}",
        ]
        lines += [
            f"  {number:>9,}  {reason} (first: row {self.first[reason]})"
            for reason, number in self.skipped.most_common()
        ]
        if self.left_out:
            lines.append(f"messages left out of kept rows: {self.left_out.total():,}")
            lines += [f"  {number:>9,}  {reason}" for reason, number in self.left_out.most_common()]
        added = counted_rows(+self.added)
        lines.append(f"added: {added or 'nothing'}")
        if self.added["conversations"]:
            lines.append(f"import {self.import_id}; to undo it: forget --imported {self.import_id}")
        return lines


def import_file(store: FeedbackStore, system: str, path: Path, *, quiet: bool = True) -> Report:
    """Import a file of another system into the store. Rows that are in the store already are not added again.

    `path` may be a pipe, or `-` for standard input. `quiet` hides the progress bars. Raises: FileDamaged,
    NothingUsable, MissingDependency, each before anything is written; ImportFailed if the store fails during the
    import: complete rows that were written stay, and running the same import again continues after them.
    """
    with regular(path) as file:
        return add_rows(store, system, file, count_rows(system, file, quiet=quiet), quiet=quiet)


def count_rows(system: str, path: Path, *, quiet: bool = True) -> int:
    """Check and count the rows of a file. Raises: NothingUsable, FileDamaged, ImportFailed."""
    total, reasons = 0, Counter[str]()
    with tqdm(desc="checking", unit="row", disable=quiet or None) as progress:
        for _, item in _items(system, path):
            total += 1
            if isinstance(item, Unusable):
                reasons[str(item)] += 1
            progress.update()
    if not total:
        raise NothingUsable(f"{path} has no rows. Nothing was imported.")
    if reasons.total() == total:
        reason, number = reasons.most_common(1)[0]
        raise NothingUsable(
            f"None of the {total:,} rows of {path} can be imported as {system} "
            f"({number:,}: {reason}). Nothing was imported. Check that the file comes from that system."
        )
    return total


def add_rows(store: FeedbackStore, system: str, path: Path, total: int, *, quiet: bool = True) -> Report:
    """Write the `total` rows of a file that `count_rows` has checked. Raises: ImportFailed."""
    run = ImportRun(uuid4().hex[:12], system, path.name)
    report = Report(import_id=run.id)
    with tqdm(total=total, desc="importing", unit="row", disable=quiet or None) as progress:
        for batch in _batches(system, path, report):
            try:
                with store._write() as session:
                    outcomes, added = write(session, run, [conversation for _, conversation in batch])
            except StoreError as error:
                raise ImportFailed(
                    f"The import stopped: {error} The rows before row {batch[0][0]} are in the store "
                    f"({report.kept:,} kept), this row and later ones are not. Run the same import again to continue."
                ) from error
            for (row, conversation), outcome in zip(batch, outcomes, strict=True):
                if isinstance(outcome, Unusable):
                    report.skip(row, outcome)
                else:
                    report.left_out.update(conversation.left_out)
                    report.kept += 1
                    report.unchanged += not outcome
            report.added += added
            progress.update(report.read - progress.n)
    return report


def _items(system: str, path: Path) -> Iterator[tuple[int, Item]]:
    """Iterate over (row number, checked conversation or the reason why the row is unusable)."""
    read, _ = SYSTEMS[system]
    for row, item in enumerate(read(path), 1):
        if isinstance(item, ImportedConversation):
            try:
                check(item)
            except Unusable as reason:
                yield row, reason
                continue
        yield row, item


def _batches(system: str, path: Path, report: Report) -> Iterator[list[tuple[int, ImportedConversation]]]:
    """Group usable rows into batches for one transaction each; record the other rows in the report."""
    batch: list[tuple[int, ImportedConversation]] = []
    turns = 0
    for row, item in _items(system, path):
        report.read = row
        if isinstance(item, Unusable):
            report.skip(row, item)
            continue
        batch.append((row, item))
        turns += len(item.turns)
        if len(batch) >= MOST_ROWS or turns >= MOST_TURNS:
            yield batch
            batch, turns = [], 0
    if batch:
        yield batch

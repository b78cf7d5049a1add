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
from feedback_store.importers.datasets import battles, hh_rlhf, llama_factory, trl_rows
from feedback_store.importers.datasets.mapped_columns import read_phoenix, reader
from feedback_store.importers.detect import system_of
from feedback_store.importers.parsing.check_items import check
from feedback_store.importers.parsing.files import Item, regular
from feedback_store.importers.parsing.items import ImportedConversation, Unusable
from feedback_store.importers.store_writer import ImportRun, write
from feedback_store.importers.systems import (
    argilla,
    chat_ui,
    chatgpt,
    claude,
    feel,
    gradio_log,
    label_studio,
    langfuse,
    librechat,
    open_assistant,
    open_webui,
)
from feedback_store.plurals import counted_rows
from feedback_store.store.open_store import FeedbackStore

Read = Callable[[Path], Iterator[Item]]
SYSTEMS: dict[str, tuple[Read, str]] = {
    "alpaca-eval": (battles.read_alpaca_eval, "annotations of AlpacaEval: output_1, output_2, preference"),
    "argilla": (argilla.read, "records of to_list(), as JSON"),
    "chat-ui": (chat_ui.read, "Parquet export of HF chat-ui"),
    "chatgpt": (chatgpt.read, "the export's ZIP, or its conversations.json"),
    "claude": (claude.read, "the export's ZIP, or its conversations.json"),
    "feel": (feel.read, "conversations of FeeL, as JSON"),
    "gradio": (gradio_log.read, "log.csv of chat flagging in Gradio"),
    "helpsteer3": (battles.read_helpsteer3, "rows of HelpSteer3: response1, response2, overall_preference"),
    "hh-rlhf": (hh_rlhf.read, "pairs of texts marked with Human: and Assistant:, as JSON"),
    "label-studio": (label_studio.read, "tasks with pairwise annotations, as JSON"),
    "langfuse": (langfuse.read, "traces with their scores, as CSV or JSON"),
    "librechat": (librechat.read, "an exported conversation, or the messages collection, as JSON"),
    "llama-factory": (
        llama_factory.read,
        "alpaca or sharegpt rows, with an optional dataset_info.json",
    ),
    "lmarena": (battles.read_lmarena, "battles: conversation_a, conversation_b, winner"),
    "open-assistant": (open_assistant.read, "message trees, nested or flat"),
    "open-webui": (open_webui.read, "feedback-history-export-*.json, or exported chats"),
    "openai": (trl_rows.read, "rows for OpenAI's fine-tuning, with weights or preferences"),
    "phoenix": (read_phoenix, "annotations of Phoenix's spans, as CSV"),
    "trl": (trl_rows.read, "rows for TRL, and the files of the export command"),
}
MAPPED = "columns"
"""Stands for the system of a file that is read by a mapping of its columns."""
MOST_REASONS = 5  # named by the error of a file of which no row is usable
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


@dataclass(frozen=True)
class ImportSource:
    """Where a file comes from: the name of a system, and the function that reads its files."""

    system: str
    read: Read


def source_of(path: Path, system: str | None = None, columns: dict[str, str] | None = None) -> ImportSource:
    """The source of a file: a system, the meaning of its columns, or what the file says. Raises: ImportFailed."""
    if columns is not None:
        return ImportSource(MAPPED, reader(columns))
    system = system or system_of(path)
    return ImportSource(system, SYSTEMS[system][0])


def import_file(
    store: FeedbackStore,
    system: str | None,
    path: Path,
    *,
    columns: dict[str, str] | None = None,
    quiet: bool = True,
) -> Report:
    """Import a file of another system into the store. Rows that are in the store already are not added again.

    `system` None reads it from the file; `columns` says what the columns of any other file mean. `path` may be a
    pipe, or `-` for standard input. `quiet` hides the progress bars. Raises: FileDamaged, NothingUsable,
    MissingDependency, each before anything is written; ImportFailed if the store fails during the import: complete
    rows that were written stay, and running the same import again continues after them.
    """
    with regular(path) as file:
        source = source_of(file, system, columns)
        return add_rows(store, source, file, count_rows(source, file, quiet=quiet), quiet=quiet)


def count_rows(source: ImportSource, path: Path, *, quiet: bool = True) -> int:
    """Check and count the rows of a file. Raises: NothingUsable, FileDamaged, ImportFailed."""
    total, reasons = 0, Counter[str]()
    with tqdm(desc="checking", unit="row", disable=quiet or None) as progress:
        for _, item in _items(source, path):
            total += 1
            if isinstance(item, Unusable):
                reasons[str(item)] += 1
            progress.update()
    if not total:
        raise NothingUsable(f"{path} has no rows. Nothing was imported.")
    if reasons.total() == total:
        named = "; ".join(f"{number:,}: {reason}" for reason, number in reasons.most_common(MOST_REASONS))
        check = "the mapping" if source.system == MAPPED else "that the file comes from that system"
        raise NothingUsable(
            f"None of the {total:,} rows of {path} can be imported as {source.system} ({named}). "
            f"Nothing was imported. Check {check}."
        )
    return total


def add_rows(
    store: FeedbackStore, source: ImportSource, path: Path, total: int, *, quiet: bool = True
) -> Report:
    """Write the `total` rows of a file that `count_rows` has checked. Raises: ImportFailed."""
    run = ImportRun(uuid4().hex[:12], source.system, path.name)
    report = Report(import_id=run.id)
    with tqdm(total=total, desc="importing", unit="row", disable=quiet or None) as progress:
        for batch in _batches(source, path, report):
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


def _items(source: ImportSource, path: Path) -> Iterator[tuple[int, Item]]:
    """Iterate over (row number, checked conversation or the reason why the row is unusable)."""
    for row, item in enumerate(source.read(path), 1):
        if isinstance(item, ImportedConversation):
            try:
                check(item)
            except Unusable as reason:
                yield row, reason
                continue
        yield row, item


def _batches(
    source: ImportSource, path: Path, report: Report
) -> Iterator[list[tuple[int, ImportedConversation]]]:
    """Group usable rows into batches for one transaction each; record the other rows in the report."""
    batch: list[tuple[int, ImportedConversation]] = []
    turns = 0
    for row, item in _items(source, path):
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

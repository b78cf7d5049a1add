"""Import one file of another system\'s feedback into the store.

A file is read twice: the first time nothing is written, so that a damaged file leaves the store as it was.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from feedback_store.errors import ImportFailed, NothingUsable, StoreError
from feedback_store.importers.parsing.files import Item
from feedback_store.importers.parsing.items import ImportedConversation, Unusable
from feedback_store.importers.store_writer import check, write
from feedback_store.importers.systems import (
    argilla,
    chat_ui,
    feel,
    gradio_log,
    hh_rlhf,
    librechat,
    llama_factory,
    open_assistant,
    open_webui,
    trl_rows,
)
from feedback_store.plurals import counted_rows
from feedback_store.store.open_store import FeedbackStore

SYSTEMS: dict[str, tuple[Callable[[Path], Iterator[Item]], str]] = {
    "argilla": (argilla.read, "records of to_list(), as JSON"),
    "chat-ui": (chat_ui.read, "HF chat-ui's Parquet export"),
    "feel": (feel.read, "FeeL's conversations, as JSON"),
    "gradio": (gradio_log.read, "log.csv of Gradio's chat flagging"),
    "hh-rlhf": (hh_rlhf.read, "pairs of texts with Human: and Assistant:, as JSON"),
    "librechat": (librechat.read, "an exported conversation, or the messages collection, as JSON"),
    "llama-factory": (
        llama_factory.read,
        "alpaca or sharegpt rows, with dataset_info.json where there is one",
    ),
    "open-assistant": (open_assistant.read, "message trees, as JSON lines"),
    "open-webui": (open_webui.read, "feedback-history-export-*.json"),
    "trl": (trl_rows.read, "TRL's rows, and what export writes"),
}
MOST_ROWS = 200  # in one transaction
MOST_TURNS = 2_000


@dataclass
class Report:
    """What became of a file's rows.

    `kept` rows brought something, or were there before; of these `unchanged` brought nothing new. `skipped`
    counts the others by reason, and `first` names the first row of each. `added` counts new rows of the store.
    """

    read: int = 0
    kept: int = 0
    unchanged: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)
    added: Counter[str] = field(default_factory=Counter)

    def skip(self, row: int, reason: Unusable) -> None:
        self.skipped[str(reason)] += 1
        self.first.setdefault(str(reason), row)

    def lines(self) -> list[str]:
        """The report in words."""
        said = [
            f"rows read     {self.read:>9,}",
            f"rows kept     {self.kept:>9,}  ({self.unchanged:,} of them were there already)",
            f"rows skipped  {self.skipped.total():>9,}",
        ]
        said += [
            f"  {number:>9,}  {reason} (first: row {self.first[reason]})"
            for reason, number in self.skipped.most_common()
        ]
        news = counted_rows(+self.added)
        return [*said, f"added: {news or 'nothing'}"]


def import_file(store: FeedbackStore, system: str, path: Path, *, quiet: bool = True) -> Report:
    """Bring the feedback of another system's file into the store; what is there already is not doubled.

    `quiet` shows no progress bars. Raises: FileDamaged, NothingUsable, MissingDependency, before anything is
    written; ImportFailed where the store fails on the way: what was written stays, whole row by whole row, and
    the same import again goes on from there.
    """
    total = _checked(system, path, quiet)
    report = Report()
    with tqdm(total=total, desc="importing", unit="row", disable=quiet or None) as progress:
        for some in _batches(system, path, report):
            try:
                with store._write() as session:
                    outcomes, added = write(session, system, [one for _, one in some])
            except StoreError as error:
                raise ImportFailed(
                    f"The import stopped: {error} The rows before row {some[0][0]} are in the store "
                    f"({report.kept:,} kept), this and later ones are not. Run the same import again to go on."
                ) from error
            for (row, _), outcome in zip(some, outcomes, strict=True):
                if isinstance(outcome, Unusable):
                    report.skip(row, outcome)
                else:
                    report.kept += 1
                    report.unchanged += not outcome
            report.added += added
            progress.update(report.read - progress.n)
    return report


def _checked(system: str, path: Path, quiet: bool) -> int:
    """How many rows the file has. Raises: NothingUsable, and what reading raises."""
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
            f"({number:,}: {reason}). Nothing was imported; is it another system's file?"
        )
    return total


def _items(system: str, path: Path) -> Iterator[tuple[int, Item]]:
    """Every row's number and what came of it, checked."""
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
    """Usable rows, as many at once as one transaction should hold; the others go into the report."""
    some: list[tuple[int, ImportedConversation]] = []
    turns = 0
    for row, item in _items(system, path):
        report.read = row
        if isinstance(item, Unusable):
            report.skip(row, item)
            continue
        some.append((row, item))
        turns += len(item.turns)
        if len(some) >= MOST_ROWS or turns >= MOST_TURNS:
            yield some
            some, turns = [], 0
    if some:
        yield some

"""`python -m feedback_store forget`: delete a person, a conversation, or what an import added."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from feedback_store.copies_in_home import remove_records, remove_work_folders
from feedback_store.errors import UnknownImport, UnknownRater
from feedback_store.importers import MAPPED, SYSTEMS
from feedback_store.importers.store_writer import rater_id
from feedback_store.plurals import counted_rows
from feedback_store.store.open_store import FeedbackStore


def add_forget(commands: Any, where: argparse.ArgumentParser) -> None:
    """Add `forget` to the commands. `where` is the parser of the options that name the store."""
    command = commands.add_parser(
        "forget", parents=[where], help="delete everything of one rater, one conversation, or one import"
    )
    subject = command.add_mutually_exclusive_group(required=True)
    subject.add_argument("rater", nargs="?", metavar="RATER", help="the rater's id")
    subject.add_argument(
        "--conversation", metavar="ID", help="delete this conversation instead, whoever took part"
    )
    subject.add_argument(
        "--imported", metavar="IMPORT", help="delete instead what this import added; `list` names the imports"
    )
    subject.add_argument(
        "--user", metavar="ID", help="the rater is this person of the other system in --from"
    )
    command.add_argument(
        "--from",
        dest="system",
        choices=[*SYSTEMS, MAPPED],
        metavar="SYSTEM",
        help="the other system of --user",
    )
    command.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    command.set_defaults(command=forget, parser=command)


def forget(store: FeedbackStore, options: argparse.Namespace) -> int:
    if (options.user is None) != (options.system is None):
        options.parser.error("--user and --from go together")
    if options.imported == "list":
        print("\n".join(_imports(store)) or "no imports")
        return 0
    rater = options.rater if options.user is None else rater_id(options.system, options.user)
    subject = _known_subject(store, options, rater)
    if not options.yes and not _agreed(f"Delete everything {subject}, for ever? [y/N] "):
        print("Nothing was deleted. Answer y, or give --yes.", file=sys.stderr)
        return 2
    if rater:
        counts = store.forget(rater)
    elif options.imported:
        counts = store.forget_import(options.imported)
    else:
        counts = store.forget_conversation(options.conversation)
    print(f"deleted: {counted_rows(counts)}")
    _remove_copies(store, options.home)
    snapshots = list(_snapshots_to_delete(store))
    for folder in snapshots:
        print(f"delete this snapshot, it still holds data of somebody forgotten: {folder}")
    for cycle in sorted({folder.parent for folder in snapshots if _is_of_unfinished_cycle(folder)}):
        print(
            f"cycle {cycle.name} has not ended and learns from its snapshot: end it if it is running, and delete the "
            "snapshot. The next run then discards this cycle and begins a new one."
        )
    if versions := store.versions_to_retrain():
        print(f"retrain these versions, they learned from somebody forgotten: {', '.join(versions)}")
    print(
        "Backups made before now still hold what was deleted, and so do exports. Where you keep backups, run "
        "`python -m feedback_store backup URL --home DIR --keep 1` (PostgreSQL: pg_dump), and delete older copies."
    )
    return 0


def _remove_copies(store: FeedbackStore, home: Path | None) -> None:
    """Remove the copies of deleted words that lie in the home, and say which, and which could not be removed."""
    if home is None:
        print(
            "Only this database was reached. Give the home that uses it, by --home, for the copies in its files."
        )
        return
    for copies in (remove_records(store, home), remove_work_folders(home)):
        for path in copies.removed:
            print(f"removed copies of what people wrote: {path}")
        for sentence in copies.left:
            print(sentence)


def _snapshots_to_delete(store: FeedbackStore) -> Iterator[Path]:
    """Folders of snapshots that hold data of somebody forgotten, as far as they are still there."""
    for record in store.snapshots():
        if record.forgotten_at is not None:
            yield from (folder for folder in record.folders if folder.exists())


def _is_of_unfinished_cycle(folder: Path) -> bool:
    """Whether a snapshot lies in HOME/cycles/NUMBER, in the folder of a cycle that has not ended."""
    if folder.parent.parent.name != "cycles":
        return False
    try:
        return "ended" not in json.loads((folder.parent / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def _known_subject(store: FeedbackStore, options: argparse.Namespace, rater: str | None) -> str:
    """What is to be deleted, in words. Raises: StoreError if it is unknown, before anything is asked."""
    if rater:
        try:
            store.consent(rater)
        except UnknownRater:
            if options.user is None:
                raise
            raise UnknownRater(
                f"There is no person {options.user!r} of {options.system}: nothing of theirs was imported, or they "
                "were forgotten already. Check the id; a system whose file names nobody has no people."
            ) from None
        return f"of and by {rater}"
    if options.imported:
        known = {record.id: record for record in store.imports()}
        if options.imported not in known:
            raise UnknownImport(
                "\n".join(
                    [f"There is no import {options.imported!r}; the store has these:", *_imports(store)]
                )
            )
        record = known[options.imported]
        return f"that import {record.id} added ({record.conversations:,} conversations of {record.file})"
    store.conversation(options.conversation)
    return f"in conversation {options.conversation}"


def _imports(store: FeedbackStore) -> list[str]:
    return [
        f"{record.id}  {record.created_at:%Y-%m-%d %H:%M}  {record.conversations:>9,} conversations  "
        f"{record.system}  {record.file}"
        for record in store.imports()
    ]


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:  # standard input is closed
        return False

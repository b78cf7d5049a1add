"""`python -m feedback_store import --from SYSTEM FILE`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feedback_store.database.store_location import store_of
from feedback_store.importers.datasets.mapped_columns import COLUMNS, columns_of
from feedback_store.importers.parsing.files import regular
from feedback_store.importers.run_import import SYSTEMS, add_rows, count_rows, source_of
from feedback_store.store.open_store import FeedbackStore


def add_import(commands: Any, where: argparse.ArgumentParser) -> None:
    """Add `import` to the commands. `where` is the parser of the options that name the store."""
    command = commands.add_parser("import", parents=[where], help="import the feedback of another system")
    command.add_argument(
        "file", type=Path, metavar="FILE", help="file that the other system exported, or - for standard input"
    )
    command.add_argument(
        "--from",
        dest="system",
        choices=list(SYSTEMS),
        metavar="SYSTEM",
        help="system that the file comes from, see --list (default: the file says what it is)",
    )
    command.add_argument(
        "--map",
        dest="maps",
        action="append",
        metavar="MEANING=COLUMN,…",
        help=f"import any other file by its columns; meanings: {', '.join(COLUMNS)}",
    )
    command.add_argument(
        "--list", action=_List, nargs=0, help="list the systems, and the file that is read for each"
    )
    command.add_argument("--quiet", action="store_true", help="show no progress")
    # The store is opened here, after the file was checked: a file that is refused makes no store.
    command.set_defaults(command=run, opens=False, parser=command)


def run(_store: None, options: argparse.Namespace) -> int:
    if options.maps and options.system:
        options.parser.error("--map is for files of no known system; leave out --from")
    columns = columns_of(options.maps) if options.maps else None
    with regular(options.file) as file:
        source = source_of(file, options.system, columns)
        total = count_rows(source, file, quiet=options.quiet)
        # The first feedback of a new store may come from another system.
        with FeedbackStore.open(options.store_url or store_of(options.home), create=True) as store:
            report = add_rows(store, source, file, total, quiet=options.quiet)
    if not options.system and not columns:
        print(f"read as       {source.system}")
    print("\n".join(report.lines()))
    return 0


class _List(argparse.Action):
    """Print the systems and exit, like --help, without requiring the other arguments."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        for system, (_, description) in SYSTEMS.items():
            print(f"{system:<16}{description}")
        parser.exit()

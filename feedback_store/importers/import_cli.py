"""`python -m feedback_store import --from SYSTEM FILE`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feedback_store.importers.run_import import SYSTEMS, import_file
from feedback_store.store.open_store import FeedbackStore


def add_import(commands: Any, where: argparse.ArgumentParser) -> None:
    """Add the command. `where` names the store."""
    command = commands.add_parser("import", parents=[where], help="bring in another system's feedback")
    command.add_argument("file", type=Path, metavar="FILE", help="what the other system exported")
    command.add_argument(
        "--from", dest="system", required=True, choices=list(SYSTEMS), metavar="SYSTEM", help="see --list"
    )
    command.add_argument("--list", action=_List, nargs=0, help="list the systems and what is read of each")
    command.add_argument("--quiet", action="store_true", help="show no progress")
    # A store may begin with what another system knows.
    command.set_defaults(command=run, create=True)


def run(store: FeedbackStore, options: argparse.Namespace) -> int:
    report = import_file(store, options.system, options.file, quiet=options.quiet)
    print("\n".join(report.lines()))
    return 0


class _List(argparse.Action):
    """Like --help: it answers, and nothing else is asked for."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        for system, (_, what) in SYSTEMS.items():
            print(f"{system:<16}{what}")
        parser.exit()

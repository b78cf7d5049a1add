"""`python -m feedback_store stats|export|import|snapshot|verify|forget|backup|restore --home DIR`."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from feedback_store.backup.backup_cli import add_backup
from feedback_store.database.store_location import store_of
from feedback_store.errors import StoreError
from feedback_store.forget_cli import add_forget
from feedback_store.importers.import_cli import add_import
from feedback_store.plurals import counted
from feedback_store.progress_bars import progress_bars
from feedback_store.rows import Rules
from feedback_store.rows.exporters import FORMATS, push, rows, write
from feedback_store.rows.snapshot import KINDS, take
from feedback_store.stats import summary
from feedback_store.stats.plots import draw
from feedback_store.store.open_store import FeedbackStore

FORMAT_OF = {
    "unpaired": "trl-kto",
    "preference": "trl-preference",
    "demonstration": "trl-sft",
    "prompt": "trl-prompt",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 for success, 1 if `verify` found problems, 2 for an error."""
    options = _parser().parse_args(arguments)
    try:
        if not options.opens:
            return int(options.command(None, options))
        location = options.store_url or store_of(options.home)
        with FeedbackStore.open(location, create=options.create) as store:
            return int(options.command(store, options))
    except StoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def stats(store: FeedbackStore, options: argparse.Namespace) -> int:
    counted_feedback = summary.gather(store, progress_bars(options.quiet))
    if options.json:
        print(json.dumps(counted_feedback.plain(), ensure_ascii=False, indent=2))
    else:
        print("\n".join(summary.lines(counted_feedback)))
    if options.plots:
        for path in draw(counted_feedback, options.plots):
            print(path, file=sys.stderr if options.json else sys.stdout)
    return 0


def export(store: FeedbackStore, options: argparse.Namespace) -> int:
    labels: Counter[bool | None] = Counter()
    row_format = options.format or FORMAT_OF[options.kind]
    rules = _rules(options)

    def counted_labels() -> Iterator[dict[str, Any]]:
        for row in rows(store, row_format, options.version, rules, progress_bars(options.quiet)):
            labels[row.get("label")] += 1
            yield row

    if options.push:
        number, target = push(options.push, row_format, counted_labels())
    else:
        number, target = write(options.out, row_format, counted_labels()), options.out
    balance = f" ({labels[True]} up, {labels[False]} down)" if row_format == "trl-kto" else ""
    print(f"{counted(number, 'row', 'rows')}{balance} written to {target}")
    return 0


def snapshot(store: FeedbackStore, options: argparse.Namespace) -> int:
    new_snapshot = take(
        store,
        options.folder,
        _rules(options),
        version=options.version,
        kinds=options.kind or KINDS,
        progress=progress_bars(options.quiet),
    )
    print(
        ", ".join(f"{number} {kind}" for kind, number in new_snapshot.counts.items())
        + f" rows in {new_snapshot.folder}"
    )
    print(new_snapshot.id)
    return 0


def verify(store: FeedbackStore, options: argparse.Namespace) -> int:
    problems = store.verify(progress_bars(options.quiet))
    for problem in problems:
        print(problem)
    print(f"problems: {len(problems)}" if problems else "clean")
    return 1 if problems else 0


def _rules(options: argparse.Namespace) -> Rules:
    return Rules(**{name: getattr(options, name) for name in Rules.__dataclass_fields__})


def _parser() -> argparse.ArgumentParser:
    location = argparse.ArgumentParser(add_help=False)
    location_group = location.add_mutually_exclusive_group(required=True)
    location_group.add_argument(
        "--home",
        type=Path,
        metavar="DIR",
        help="the data directory; its store is DIR/feedback.db, or the database named in DIR",
    )
    location_group.add_argument(
        "--store-url", metavar="URL", help="use this database instead, such as postgresql://user@host/name"
    )

    progress = argparse.ArgumentParser(add_help=False)
    progress.add_argument("--quiet", action="store_true", help="show no progress")
    rules = _rules_parser()
    parser = argparse.ArgumentParser(
        prog="python -m feedback_store", description="Inspect, export and maintain the feedback store."
    )
    parser.set_defaults(create=False, opens=True)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "stats", parents=[location, progress], help="count feedback, and draw plots of it"
    )
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--plots", type=Path, metavar="DIR", help="also write plots (PNG) to this folder")
    command.set_defaults(command=stats)

    command = commands.add_parser("export", parents=[location, rules, progress], help="write training rows")
    target = command.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path, metavar="FILE", help="the JSON Lines or .parquet file to write")
    target.add_argument(
        "--push", metavar="REPOSITORY", help="upload the rows to this Hub dataset, created as private"
    )
    kind_group = command.add_mutually_exclusive_group()
    kind_group.add_argument(
        "--kind", choices=KINDS, default="unpaired", help="the kind of row (default: %(default)s)"
    )
    kind_group.add_argument(
        "--format", choices=list(FORMATS), help="the kind of row, by the name of its TRL format"
    )
    command.set_defaults(command=export)

    add_import(commands, location)

    command = commands.add_parser(
        "snapshot", parents=[location, rules, progress], help="write an immutable set of training rows"
    )
    command.add_argument(
        "--folder", type=Path, required=True, metavar="DIR", help="a new folder for the snapshot"
    )
    command.add_argument(
        "--kind", choices=KINDS, action="append", help="a kind of row; may be repeated (default: all)"
    )
    command.set_defaults(command=snapshot)

    command = commands.add_parser(
        "verify", parents=[location, progress], help="check that the store is undamaged and consistent"
    )
    command.set_defaults(command=verify)

    add_forget(commands, location)
    add_backup(commands)
    return parser


def _rules_parser() -> argparse.ArgumentParser:
    default = Rules()
    rules = argparse.ArgumentParser(add_help=False)
    rules.add_argument("--version", metavar="ID", help="only replies of this version")
    for name, meaning in (
        ("minimum_votes", "people who must have rated it"),
        ("most_per_rater", "votes of one person that count"),
        ("most_per_prompt", "rows that nearly identical prompts may give"),
    ):
        rules.add_argument(
            f"--{name.replace('_', '-')}",
            type=int,
            default=getattr(default, name),
            metavar="N",
            help=f"{meaning} (default: %(default)s)",
        )
    rules.add_argument(
        "--majority",
        type=float,
        default=default.majority,
        metavar="SHARE",
        help="the winning side needs more than this share of the votes (default: %(default)s)",
    )
    rules.add_argument("--blind-only", action="store_true", help="only comparisons that were blind")
    return rules


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # `| head` has read enough. What is left in the buffer would fail once more at the program's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)

"""`python -m feedback_store backup URL --home DIR` and `restore URL --home DIR`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from feedback_store.backup.create_backup import KEEP, back_up
from feedback_store.backup.manifest import Backup
from feedback_store.backup.restore_backup import backups, restore


def add_backup(commands: Any) -> None:
    """Add `backup` and `restore`. Both work on a home as a whole, so they do not open its store first."""
    command = commands.add_parser("backup", help="back up a home, also while the app runs")
    _add_common(command)
    _add_home(command, required=True)
    command.add_argument(
        "--keep",
        type=_at_least_one,
        default=KEEP,
        metavar="N",
        help="how many of the newest backups to keep (default: %(default)s)",
    )
    command.set_defaults(command=run_backup, opens=False)

    command = commands.add_parser("restore", help="fill an empty home from a backup")
    _add_common(command)
    target = command.add_mutually_exclusive_group(required=True)
    _add_home(target)
    target.add_argument("--list", action="store_true", help="list the backups at URL and restore nothing")
    command.add_argument(
        "--backup",
        metavar="ID",
        help="which backup to restore, see --list (default: the newest undamaged one)",
    )
    command.set_defaults(command=run_restore, opens=False)


def run_backup(_store: None, options: argparse.Namespace) -> int:
    saved = back_up(options.home, options.url, keep=options.keep, quiet=options.quiet)
    if saved.new:
        print(f"{_summary(saved.backup)}; {saved.sent:,} bytes were uploaded")
    else:
        print(f"nothing has changed since {_summary(saved.backup)}")
    if saved.elsewhere:
        print(f"warning: {saved.elsewhere}", file=sys.stderr)
    print(saved.backup.id)
    return 0


def run_restore(_store: None, options: argparse.Namespace) -> int:
    if options.list:
        for backup in backups(options.url):
            print(f"{backup.id}  {backup.size:>15,} bytes  {len(backup.files):>5,} files")
        return 0
    restored = restore(options.home, options.url, options.backup, quiet=options.quiet)
    for problem in restored.passed_over:
        print(f"skipped a damaged backup: {problem}", file=sys.stderr)
    print(f"restored {_summary(restored.backup)} into {options.home}")
    return 0


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "url",
        metavar="URL",
        help="where backups are kept: a folder, hf://buckets/NAME/BUCKET, s3://BUCKET/FOLDER or any fsspec URL",
    )
    command.add_argument("--quiet", action="store_true", help="show no progress")


def _add_home(command: Any, **options: bool) -> None:
    command.add_argument("--home", type=Path, metavar="DIR", help="the home of the app", **options)


def _summary(backup: Backup) -> str:
    return f"backup {backup.id} ({len(backup.files):,} files, {backup.size:,} bytes)"


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number

"""`python -m feedback_store stats|export|verify|forget --home DIR`."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feedback_store.errors import StoreError, StoreUnwritable
from feedback_store.rows import from_store, trl_kto
from feedback_store.store import FeedbackStore


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0 done, 1 the store has problems, 2 it could not be done."""
    options = _parser().parse_args(arguments)
    try:
        with FeedbackStore.open(options.store_url or options.home / "feedback.db", create=False) as store:
            return int(options.command(store, options))
    except StoreError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def stats(store: FeedbackStore, options: argparse.Namespace) -> int:
    counts = store.counts()
    if options.json:
        print(json.dumps(counts, ensure_ascii=False, indent=2))
        return 0
    for name in ("raters", "conversations", "messages", "replies"):
        print(f"{name:<15}{counts[name]:>9,}")
    print()
    names = ("replies", "up", "down", "withdrawn")
    width = max([len("version"), *map(len, counts["versions"])])
    print("version".ljust(width) + "".join(f"{name:>11}" for name in names))
    total = {"replies": counts["replies"], **counts["ratings"]}
    for version, of in [*counts["versions"].items(), ("all", total)]:
        print(version.ljust(width) + "".join(f"{of[name]:>11,}" for name in names))
    if counts["reasons"]:
        print("\nreasons")
        for reason, number in counts["reasons"].items():
            print(f"{number:>9,}  {reason}")
    return 0


def export(store: FeedbackStore, options: argparse.Namespace) -> int:
    rows = [trl_kto(row) for row in from_store(store, options.version, options.minimum_votes)]
    _write_lines(options.out, rows)
    up = sum(row["label"] for row in rows)
    print(f"{len(rows)} rows ({up} up, {len(rows) - up} down) written to {options.out}")
    return 0


def verify(store: FeedbackStore, options: argparse.Namespace) -> int:
    found = store.verify()
    for problem in found:
        print(problem)
    print(f"problems: {len(found)}" if found else "clean")
    return 1 if found else 0


def forget(store: FeedbackStore, options: argparse.Namespace) -> int:
    if not options.yes and not _agreed(f"Delete everything of and by {options.rater}, for ever? [y/N] "):
        print("Nothing was deleted. Answer y, or give --yes.", file=sys.stderr)
        return 2
    counts = store.forget(options.rater)
    print("deleted: " + ", ".join(f"{number} {kind}" for kind, number in counts.items()))
    return 0


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:  # nobody is there to answer
        return False


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    # Written aside and renamed: a reader finds the whole file or the one before, never a half.
    aside = None
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            aside = Path(file.name)
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        if aside is not None:
            aside.unlink(missing_ok=True)
        raise StoreUnwritable(
            f"The export cannot be written to {path}: {error.strerror}. "
            "Name a file in a folder that you can write."
        ) from error


def _parser() -> argparse.ArgumentParser:
    where = argparse.ArgumentParser(add_help=False)
    place = where.add_mutually_exclusive_group(required=True)
    place.add_argument(
        "--home", type=Path, metavar="DIR", help="the app's home; the store is DIR/feedback.db"
    )
    place.add_argument("--store-url", metavar="URL", help="a SQLAlchemy URL in place of --home")

    parser = argparse.ArgumentParser(
        prog="python -m feedback_store", description="Look after the feedback store."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("stats", parents=[where], help="count replies and ratings by version")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(command=stats)

    command = commands.add_parser("export", parents=[where], help="write training rows")
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="the JSONL file to write")
    command.add_argument("--format", choices=["trl-kto"], default="trl-kto", help="default: %(default)s")
    command.add_argument("--version", metavar="ID", help="only replies of this version")
    command.add_argument(
        "--minimum-votes",
        type=int,
        default=1,
        metavar="N",
        help="raters a reply needs (default: %(default)s)",
    )
    command.set_defaults(command=export)

    command = commands.add_parser("verify", parents=[where], help="check that the store agrees with itself")
    command.set_defaults(command=verify)

    command = commands.add_parser("forget", parents=[where], help="delete a person's words and votes")
    command.add_argument("rater", metavar="RATER", help="the rater's id")
    command.add_argument("--yes", action="store_true", help="do not ask")
    command.set_defaults(command=forget)
    return parser


if __name__ == "__main__":
    sys.exit(main())
